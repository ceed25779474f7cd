"""What adapters make of a network's data is checked as it is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from gateway.errors import Malformed
from gateway.model import Attachment, Inbound, Person, Receipt, Sent, Status, only_items

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
        (lambda: Attachment(WRONG), "Attachment.id"),
        (lambda: Receipt(Status.READ, WRONG), "Receipt.external_id"),
        (lambda: Sent(WRONG), "Sent.external_id"),
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


@pytest.mark.parametrize(("number", "peer"), [("", "ann"), ("1", "")])
def test_a_message_without_an_id_or_a_peer_is_none(number: str, peer: str) -> None:
    with pytest.raises(Malformed):
        Inbound(number, peer, "hello")
