"""What a newer release has written, read by this one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.chatwoot.events import Reply
from gateway.chatwoot.files import LinkedFile
from gateway.lanes import bodies
from gateway.lanes.bodies import Deletion, NoteText, UnknownVersion
from gateway.model import Addressee, Attachment, Inbound, Person

Read = Callable[[str, str], Any]
FREE = {"context", "attributes", "profiles"}
WRITTEN = [
    (
        bodies.read_inbound,
        Inbound("1", "ada", "hello", Person(name="Ada"), attachments=(Attachment("f", "cat.png"),)),
    ),
    (
        bodies.read_reply,
        Reply(1, 2, "ada", "hi", choices=("a",), files=(LinkedFile("u", "f"),), to=Addressee("A")),
    ),
    (bodies.read_note, NoteText(1, "look")),
    (bodies.read_deletion, Deletion("ada")),
]


@pytest.mark.parametrize(("read", "value"), WRITTEN)
def test_fields_that_are_not_known_are_passed_over(read: Read, value: Any) -> None:
    body = bodies.write(value)
    assert read(body, bodies.VERSION) == value
    assert read(json.dumps(_with_more(json.loads(body))), bodies.VERSION) == value


@pytest.mark.parametrize(("read", "value"), WRITTEN)
def test_a_version_that_is_not_known_is_not_guessed_at(read: Read, value: Any) -> None:
    with pytest.raises(UnknownVersion):
        read(bodies.write(value), "2")


def _with_more(told: Any) -> Any:
    """The same with a field more in each object, however deep, but where any name is welcome."""
    if isinstance(told, list):
        return [_with_more(each) for each in told]
    if isinstance(told, dict):
        more = {k: v if k in FREE else _with_more(v) for k, v in told.items()}
        return more | {"newer": {"x": [1]}}
    return told
