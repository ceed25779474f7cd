"""What customers must get, and what they must never get, of what Chatwoot tells."""

from __future__ import annotations

import pytest

from gateway.chatwoot.webhook import read
from gateway.clock.delay_notices import Delays
from gateway.errors import Retry
from gateway.intake.doorbell import Bell
from tests.relay.house import House, webhook

YES_NO = [{"title": "Yes", "value": "y"}, {"title": "No", "value": "n"}]


@pytest.fixture(autouse=True)
def somebody_wrote(house: House) -> None:
    house.customer_writes("hello")
    house.drain()


def sent(house: House) -> str:
    return "\n".join(part.text for part in house.network.sent)


def offers(house: House, text: str = "Sure?") -> None:
    house.told(house.chatwoot.interactive_reply(1, text, "input_select", YES_NO))
    house.drain()


def test_choices_arrive_numbered_and_the_answer_says_which(house: House) -> None:
    offers(house)
    assert sent(house) == "Sure?\n\n1. Yes\n2. No"
    house.customer_writes("2")
    house.customer_writes("yes!")
    house.drain()
    assert house.incoming() == ["hello", "2 (No)", "yes!"]


def test_a_later_reply_ends_the_offer(house: House) -> None:
    offers(house)
    house.agent_replies("How many?")
    house.drain()
    house.customer_writes("2")
    house.drain()
    assert house.incoming() == ["hello", "2"]


def test_another_customers_number_is_a_number(house: House) -> None:
    offers(house)
    house.customer_writes("2", peer="p2")
    house.drain()
    assert house.incoming() == ["hello", "2"]


def test_trap_24_what_chatwoot_would_expand_stays_as_it_was_written(house: House) -> None:
    house.customer_writes("I am {{contact.name}}")
    house.chatwoot.agent_reply(1, "seen by {{ contact.name }}")  # agents may: that is meant
    house.network.errors = [Retry("no {{contact.name}} {%here%}", after=30.0)]
    house.agent_replies("hi")
    house.drain()
    for key in house.store.scan_iter("gw:msg:o:*"):
        house.store.hincrby(key, "ready", -3000_000)
    Delays(house.settings, house.lanes, Bell(house.store)).look()
    house.drain_until(house.notes)
    assert house.incoming()[-1] == "I am {{contact.name}}"
    assert "seen by Ada" in [m["content"] for m in house.chatwoot.messages(1)]
    assert house.notes()[0].startswith("Not delivered yet: no { {contact.name}} { %here%}.")


def test_trap_34_a_survey_is_delivered_with_its_link(house: House) -> None:
    number = house.chatwoot.automatic_reply(1, "Please rate: https://c.example/survey/responses/u1")
    survey = webhook(house.chatwoot, 1, number, "message_created")
    event = read(survey | {"content_type": "input_csat", "sender": None})
    assert house.intake.take_event(house.channel, event) == "accepted"
    house.drain()
    assert " ".join(part.text for part in house.network.sent).startswith(
        "Please rate: https://c.ex"
    )
    assert house.network.sent[0].sender == ""


def test_greetings_and_absences_are_delivered_and_notes_and_activities_are_not(
    house: House,
) -> None:
    for text in ("Welcome!", "We are closed."):
        house.told(house.chatwoot.automatic_reply(1, text))
    house.told(house.chatwoot.agent_reply(1, "between us", private=True))
    house.drain()
    assert sent(house) == "Welcome!\nWe are closed."


def test_a_deleted_text_is_never_sent_whatever_event_carries_it(house: House) -> None:
    number = house.chatwoot.agent_reply(1, "oops")
    house.chatwoot.agent_delete(number)
    for event in ("message_created", "message_updated", "message_created"):
        house.told(number, event=event)
    house.drain()
    assert sent(house) == ""


def test_a_blocked_customer_is_heard_in_one_conversation_and_can_be_answered(house: House) -> None:
    with house.chatwoot.store.changing():
        house.chatwoot.store.contacts.get(1).blocked = True
    house.chatwoot.agent_resolve(1)
    house.customer_writes("are you there?")
    house.drain()
    house.customer_writes("hello?!")
    house.drain()
    assert house.incoming() == ["hello", "are you there?", "hello?!"]
    assert {row["status"] for row in house.chatwoot.conversations()} == {"resolved"}
    house.agent_replies("no")
    house.drain()
    assert sent(house) == "no"
