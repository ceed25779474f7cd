"""Where each adapter writes to first, from what Chatwoot knows of a contact."""

from __future__ import annotations

import pytest

from adapters.email import Email
from adapters.telegram import Telegram
from adapters.twilio import Twilio
from gateway.adapter import Adapter, email_of, phone_of
from gateway.errors import Permanent
from gateway.model import Addressee


@pytest.mark.parametrize(
    ("kind", "to", "peer"),
    [
        (Twilio, Addressee(phone="+15551230001"), "+15551230001"),
        (Email, Addressee(email="Ada@Example.com"), "ada@example.com"),
        (Telegram, Addressee(identifier="4711"), "4711"),
        (Telegram, Addressee(identifier="telegram:4711"), "4711"),
        (Telegram, Addressee("", attributes={"social_telegram_user_id": "42"}), "42"),
        (Telegram, Addressee(identifier="7", attributes={"social_telegram_user_id": "42"}), "42"),
    ],
)
def test_the_address_is_found(kind: type[Adapter], to: Addressee, peer: str) -> None:
    assert kind.address(object.__new__(kind), to) == peer


@pytest.mark.parametrize(
    ("kind", "to", "cure"),
    [
        (Twilio, Addressee(email="ada@example.com"), "no phone number: fill it in"),
        (Twilio, Addressee(phone="x+1"), "write it with"),
        (Email, Addressee(phone="+15551230001"), "no e-mail address: fill it in"),
        (Telegram, Addressee(identifier="ada"), "into the contact's identifier"),
        (Telegram, Addressee(phone="+15551230001"), "write to the bot first"),
        (Adapter, Addressee(phone="+15551230001"), "the customer must write first"),
    ],
)
def test_without_one_the_agent_is_told_what_to_fill_in(
    kind: type[Adapter], to: Addressee, cure: str
) -> None:
    with pytest.raises(Permanent, match=cure):
        kind.address(object.__new__(kind), to)


def test_the_building_blocks_bring_an_address_into_one_spelling() -> None:
    assert phone_of(Addressee(phone="+1 (555) 123-0001")) == "+15551230001"
    assert email_of(Addressee(email="ADA@X.io")) == "ada@x.io"
