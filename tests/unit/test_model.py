"""What adapters make of a network's data is checked as it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, cast

import pytest

from gateway.adapter import Finding, Verdict
from gateway.errors import Malformed, Permanent
from gateway.model import (
    Attachment,
    Inbound,
    Person,
    Place,
    Portrait,
    Receipt,
    Sent,
    Status,
    only_items,
)

WRONG = cast(Any, 4711)
NULL = cast(Any, None)


@pytest.mark.parametrize(
    ("made", "named"),
    [
        (lambda: Inbound(WRONG, "ann", "hello"), "Inbound.id must be a str, and is of type int"),
        (lambda: Inbound("1", WRONG, "hello"), "Inbound.peer"),
        (lambda: Inbound("1", "ann", NULL), "Inbound.text must be a str, and is of type NoneType"),
        (lambda: Inbound("1", "ann", "", reply_to=WRONG), "Inbound.reply_to"),
        (lambda: Person(name=NULL), "Person.name"),
        (lambda: Person(profiles=NULL), "Person.profiles must be a mapping"),
        (lambda: Place(WRONG), "Place.peer"),
        (lambda: Sent("1", context=NULL), "Sent.context"),
        (lambda: Attachment(WRONG), "Attachment.id"),
        (lambda: Receipt(Status.READ, WRONG), "Receipt.external_id"),
        (lambda: Sent(WRONG), "Sent.external_id"),
        (lambda: Inbound("1", "ann", "", context=NULL), "Inbound.context must be a mapping"),
        (lambda: Inbound("1", "ann", "", person=NULL), "Inbound.person must be a Person"),
        (lambda: Inbound("1", "ann", "", attachments=cast(Any, Attachment("f"))), "a tuple"),
        (lambda: Inbound("1", "ann", "", attachments=(WRONG,)), "an Attachment, and is of"),
        (lambda: Inbound("1", "ann", "", sent_at=cast(Any, "2026")), "Inbound.sent_at"),
        (lambda: Receipt(cast(Any, "arrived"), "4711"), "Receipt.status must be a Status"),
        (lambda: only_items([Inbound("1", "ann", ""), WRONG]), "an Inbound or a Receipt"),
    ],
)
def test_a_wrong_type_is_named_without_its_value(made: Callable[[], object], named: str) -> None:
    with pytest.raises(TypeError, match=named) as caught:
        made()
    assert "4711" not in str(caught.value)


@pytest.mark.parametrize(("peer", "thread"), [("", ""), ("a" * 2001, ""), ("ann", "t" * 2001)])
def test_a_place_has_a_peer_and_names_of_a_length_that_keys_can_have(
    peer: str, thread: str
) -> None:
    with pytest.raises(Malformed):
        Place(peer, thread)


@pytest.mark.parametrize(("number", "peer"), [("", "ann"), ("1", "")])
def test_a_message_without_an_id_or_a_peer_is_none(number: str, peer: str) -> None:
    with pytest.raises(Malformed):
        Inbound(number, peer, "hello")


BAD = "a\0b\ud83d"
GOOD = "ab?"


def texts_in(value: object) -> list[str]:
    """All texts of a value, at any depth."""
    if isinstance(value, str):
        return [value]
    if is_dataclass(value) and not isinstance(value, type):
        return texts_in([getattr(value, each.name) for each in fields(value)])
    if isinstance(value, dict):
        return [*texts_in(list(value)), *texts_in(list(value.values()))]
    if isinstance(value, list | tuple):
        return [text for each in value for text in texts_in(each)]
    return []


@pytest.mark.parametrize(
    "made",
    [
        Person(BAD, BAD, BAD, BAD, BAD, BAD),
        Attachment(BAD, BAD, BAD),
        Portrait(BAD, Attachment(BAD)),
        Inbound(
            BAD,
            BAD,
            BAD,
            Person(BAD),
            BAD,
            BAD,
            BAD,
            (Attachment(BAD),),
            None,
            {BAD: BAD},
            {BAD: BAD},
            BAD,
        ),
        Receipt(Status.READ, BAD, BAD, BAD),
        Sent(BAD, (BAD,)),
        Finding.bad(BAD, BAD, BAD),
    ],
)
def test_whatever_an_adapter_makes_can_be_stored(made: Any) -> None:
    texts = texts_in(made)
    assert texts
    assert {text for text in texts if text not in {*Status, *Verdict, ""}} == {GOOD}


def test_what_an_adapter_says_of_a_failure_can_be_stored() -> None:
    error = Permanent(BAD, detail=BAD)
    assert (error.reason, error.detail, str(error)) == (GOOD, GOOD, GOOD)


def test_a_message_with_nothing_but_nuls_for_an_id_is_none() -> None:
    with pytest.raises(Malformed):
        Inbound("\0", "ann", "hello")


def test_a_name_looks_like_nothing_but_itself() -> None:
    assert Person("Ada\u202egpj.\x9b31m\nBob").name == "Ada gpj. 31m Bob"


@pytest.mark.parametrize("field", ["id", "peer", "thread"])
def test_an_address_without_end_is_refused(field: str) -> None:
    values: dict[str, Any] = {"id": "1", "peer": "ada", "text": "hi", field: "x" * 900_000}
    with pytest.raises(Malformed):
        Inbound(**values)
