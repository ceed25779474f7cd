"""What customers must get, and what they must never get, of what Chatwoot tells.

The numbers are those of docs/TRAPS.md.
"""

from __future__ import annotations

import pytest

from gateway.chatwoot.webhook import read
from gateway.clock.delay_notices import DelayNotices
from gateway.errors import Retry
from gateway.intake.doorbell import Doorbell
from gateway.lanes import Backlog, keys
from tests.relay.env import Env, webhook

YES_NO = [{"title": "Yes", "value": "y"}, {"title": "No", "value": "n"}]


@pytest.fixture(autouse=True)
def somebody_wrote(env: Env) -> None:
    env.customer_writes("hello")
    env.drain()


def sent(env: Env) -> str:
    return "\n".join(part.text for part in env.network.sent)


def offers(env: Env, text: str = "Sure?") -> None:
    env.told(env.chatwoot.interactive_reply(1, text, "input_select", YES_NO))
    env.drain()


def test_trap_36_choices_arrive_numbered_and_the_answer_says_which(env: Env) -> None:
    offers(env)
    assert sent(env) == "Sure?\n\n1. Yes\n2. No"
    env.customer_writes("2")
    env.customer_writes("yes!")
    env.drain()
    assert env.incoming() == ["hello", "2 (No)", "yes!"]


def test_trap_36_a_later_reply_ends_the_offer(env: Env) -> None:
    offers(env)
    env.agent_replies("How many?")
    env.drain()
    env.customer_writes("2")
    env.drain()
    assert env.incoming() == ["hello", "2"]


def test_trap_36_another_customers_number_is_a_number(env: Env) -> None:
    offers(env)
    env.customer_writes("2", peer="p2")
    env.drain()
    assert env.incoming() == ["hello", "2"]


def test_trap_24_what_chatwoot_would_expand_stays_as_it_was_written(env: Env) -> None:
    env.customer_writes("I am {{contact.name}}")
    env.chatwoot.agent_reply(1, "seen by {{ contact.name }}")  # agents may: that is meant
    env.network.errors = [Retry("no {{contact.name}} {%here%}", after=30.0)]
    env.agent_replies("hi")
    env.drain()
    for key in env.store.scan_iter(keys.message("o:*")):
        env.store.hincrby(key, "ready", -3000_000)
    DelayNotices(env.settings, Backlog(env.store), Doorbell(env.store)).leave_notes()
    env.drain_until(env.notes)
    assert env.incoming()[-1] == "I am {{contact.name}}"
    assert "seen by Ada" in [m["content"] for m in env.chatwoot.messages(1)]
    assert env.notes()[0].startswith("Not delivered yet: no { {contact.name}} { %here%}.")


def test_trap_34_a_survey_is_delivered_with_its_link(env: Env) -> None:
    number = env.chatwoot.automatic_reply(1, "Please rate: https://c.example/survey/responses/u1")
    survey = webhook(env.chatwoot, 1, number, "message_created")
    event = read(survey | {"content_type": "input_csat", "sender": None})
    assert env.intake.take_event(env.channel, event) == "accepted"
    env.drain()
    assert " ".join(part.text for part in env.network.sent).startswith("Please rate: https://c.ex")
    assert env.network.sent[0].sender == ""


def test_trap_37_greetings_and_absences_are_delivered_and_notes_and_activities_are_not(
    env: Env,
) -> None:
    for text in ("Welcome!", "We are closed."):
        env.told(env.chatwoot.automatic_reply(1, text))
    env.told(env.chatwoot.agent_reply(1, "between us", private=True))
    env.drain()
    assert sent(env) == "Welcome!\nWe are closed."


def test_trap_33_a_deleted_text_is_never_sent_whatever_event_carries_it(env: Env) -> None:
    number = env.chatwoot.agent_reply(1, "oops")
    env.chatwoot.agent_delete(number)
    for event in ("message_created", "message_updated", "message_created"):
        env.told(number, event=event)
    env.drain()
    assert sent(env) == ""


def test_trap_38_a_blocked_customer_is_heard_in_one_conversation(env: Env) -> None:
    with env.chatwoot.store.changing():
        env.chatwoot.store.contacts.get(1).blocked = True
    env.chatwoot.agent_resolve(1)
    env.customer_writes("are you there?")
    env.drain()
    env.customer_writes("hello?!")
    env.drain()
    assert env.incoming() == ["hello", "are you there?", "hello?!"]
    assert {row["status"] for row in env.chatwoot.conversations()} == {"resolved"}
    env.agent_replies("no")
    env.drain()
    assert sent(env) == "no"
