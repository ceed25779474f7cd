"""Chatwoot's traps around people: ids, addresses, contacts and conversations.

Each test fails without its guard. The numbers are those of docs/TRAPS.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import redis

from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.events import Reply
from gateway.chatwoot.replies import as_event
from gateway.chatwoot.webhook import read
from gateway.config import ChatwootAccount
from gateway.lanes import keys
from gateway.model import Person
from sandbox.chatwoot import ChatwootStandIn
from sandbox.chatwoot.inboxes import create_inbox
from tests.relay.env import Env, opened, settings_for, webhook
from tests.relay.two_channel_env import EMAIL, PHONE, TwoChannelEnv

ADA = Person(name="Ada", phone=PHONE)


def requested(pair: TwoChannelEnv, ending: str) -> int:
    routes = pair.chatwoot.requests.items()
    return sum(count for (_, route), count in routes if route.endswith(ending))


def test_trap_10_conversation_numbers_count_per_account(redis_url: str, store: redis.Redis) -> None:
    with ChatwootStandIn() as chatwoot:
        other = chatwoot.add_account("Other")
        mine = chatwoot.add_inbox("Cards", None)
        with chatwoot.store.changing():
            fields = {"name": "Theirs", "channel": {"type": "api", "webhook_url": None}}
            theirs = create_inbox(chatwoot.store, other, fields).id
        settings = settings_for(chatwoot, mine, redis_url)
        here = settings.channels["cards"]
        account = ChatwootAccount(
            name="other", url=chatwoot.url, account=other, token=here.account.token
        )
        config = here.config.model_copy(update={"inbox": theirs})
        there = replace(here, name="theirs", config=config, account=account)
        settings = replace(
            settings,
            accounts={"main": here.account, "other": account},
            channels={"cards": here, "theirs": there},
        )
        with opened(settings, chatwoot, store) as env:
            both = TwoChannelEnv(env)
            for number in range(2):
                both.customer_writes("cards", f"mine {number}", "p1")
                both.customer_writes("theirs", f"theirs {number}", "p1")
                both.deliver()
            rows = list(chatwoot.store.conversations)
            assert [row.display_id for row in rows] == [1, 1]
            for row, name in zip(
                sorted(rows, key=lambda r: r.account_id), ("mine", "theirs"), strict=True
            ):
                texts = [message.content for message in chatwoot.store.messages_of(row)]
                assert texts == [f"{name} 0", f"{name} 1"]


def test_trap_11_a_webhook_and_the_api_write_types_and_times_otherwise(
    pair: TwoChannelEnv,
) -> None:
    pair.customer_writes("phones", "hello", PHONE, person=ADA)
    pair.deliver()
    number = pair.chatwoot.agent_reply(1, "an answer")
    payload = webhook(pair.chatwoot, 1, number, "message_created")
    [shown] = [m for m in pair.chatwoot.messages(1) if m["id"] == number]
    assert (payload["message_type"], shown["message_type"]) == ("outgoing", 1)
    assert isinstance(payload["created_at"], str)
    told = read(payload)
    account = pair.channel("phones").account
    api = Chatwoot(account.url, account.account, account.token)
    [message] = [m for m in api.messages_after(1, 0) if m.id == number]
    asked = as_event(api.conversation(1), message)
    api.close()
    assert isinstance(told, Reply)
    assert isinstance(asked, Reply)
    assert (told.message, told.peer, told.to) == (asked.message, asked.peer, asked.to)
    assert (told.automatic, asked.automatic) == (False, False)
    assert abs(told.written_at - asked.written_at) < 1.0


def test_trap_12_an_address_that_chatwoot_made_up_is_resolved_or_refused(
    pair: TwoChannelEnv,
) -> None:
    reachable = pair.add_contact(phone_number=PHONE)
    nameless = pair.add_contact(name="Bob", email=EMAIL)
    pair.agent_begins("phones", reachable, "hello?")
    lost = pair.agent_begins("phones", nameless, "and you?")
    pair.deliver()
    assert [(part.peer, part.text) for part in pair.sent("phones")] == [(PHONE, "hello?")]
    [message] = pair.chatwoot.messages(lost)
    assert message["status"] == "failed"
    assert "phone number" in message["content_attributes"]["external_error"]


def test_trap_18_a_taken_address_answers_500_and_means_look_again(
    pair: TwoChannelEnv,
) -> None:
    pair.customer_writes("phones", "one", "p1", person=Person("Ada"))
    pair.deliver()
    pair.forget_everything()
    # Nobody has this phone yet, but the address is taken: the contact cannot be made.
    pair.customer_writes("phones", "two", "p1", person=ADA)
    pair.deliver()
    assert pair.texts(1) == ["one", "two"]
    assert len(pair.contacts()) == 1
    assert pair.env.store.hget(keys.COUNTS, "retries|phones") is None


def test_trap_19_one_address_in_two_inboxes_is_two_places(pair: TwoChannelEnv) -> None:
    for channel in ("letters", "phones"):
        pair.customer_writes(channel, f"to {channel}", "shared", person=Person("Ada"))
        pair.deliver()
    inboxes = {pair.texts(c["id"])[0]: c["inbox_id"] for c in pair.chatwoot.conversations()}
    assert inboxes == {
        f"to {name}": pair.channel(name).config.inbox for name in ("letters", "phones")
    }


def test_trap_20_no_address_is_made_up_for_a_customer_who_has_one(
    pair: TwoChannelEnv,
) -> None:
    known = pair.add_contact(phone_number=PHONE)
    for number in range(3):
        pair.customer_writes("phones", f"n{number}", PHONE, person=ADA)
        pair.deliver()
        pair.agent_resolves("phones", pair.chatwoot.conversations()[0]["id"])
    assert len(pair.chatwoot.conversations()) == 3
    assert pair.source_ids(known, "phones") == {PHONE}


def test_trap_21_two_workers_make_one_contact_and_one_conversation(
    pair: TwoChannelEnv,
) -> None:
    # Chatwoot has no index on phones: without a lock of our own there would be two contacts.
    pair.chatwoot.fault("latency", method="POST", path="*/contacts*", seconds=0.2, times=None)
    pair.customer_writes("phones", "by phone", PHONE, person=ADA)
    pair.customer_writes("phones", "again", PHONE, person=ADA)
    pair.customer_writes("letters", "by letter", EMAIL, person=ADA, thread="t1")
    pair.env.drain_until(lambda: len(pair.env.incoming()) == 3)
    assert len(pair.contacts()) == 1
    assert requested(pair, "/contacts") == 1
    assert len(pair.chatwoot.conversations()) == 2


@pytest.mark.parametrize("thread", ["98765432109876543210", "t" * 2000])
def test_trap_22_long_numbers_and_texts_fit_into_attributes(
    pair: TwoChannelEnv, thread: str
) -> None:
    context = {"subject": "s" * 3000, "number": "98765432109"}
    pair.customer_writes("letters", "one", EMAIL, thread=thread, context=context)
    pair.deliver()
    pair.forget_everything()
    pair.customer_writes("letters", "two", EMAIL, thread=thread, context=context)
    pair.deliver()
    [conversation] = pair.chatwoot.conversations()
    assert pair.texts(conversation["id"]) == ["one", "two"]
    assert all(type(each) is str for each in conversation["additional_attributes"].values())


def test_trap_23_what_others_noted_is_not_replaced(pair: TwoChannelEnv) -> None:
    pair.customer_writes("phones", "one", PHONE, person=ADA)
    pair.deliver()
    [contact] = pair.contacts()
    noted: dict[str, Any] = {"custom_attributes": {"vip": "yes"}}
    pair.edit_contact(contact.id, additional_attributes={"city": "Paris"}, **noted)
    pair.customer_writes("phones", "two", PHONE, person=replace(ADA, language="fr"))
    pair.deliver()
    [contact] = pair.contacts()
    assert contact.additional_attributes["city"] == "Paris"
    assert contact.additional_attributes["language_code"] == "fr"
    assert contact.custom_attributes == {"vip": "yes"}
    assert not requested(pair, "custom_attributes")
    assert not requested(pair, "labels")


def test_trap_25_a_conversation_reopens_by_itself_and_nobody_is_assigned(
    pair: TwoChannelEnv,
) -> None:
    store = pair.chatwoot.store
    with store.changing():
        inbox = store.inboxes.get(pair.channel("phones").config.inbox)
        inbox.lock_to_single_conversation = True
    pair.customer_writes("phones", "one", PHONE, person=ADA)
    pair.deliver()
    pair.agent_resolves("phones", 1)
    pair.customer_writes("phones", "two", PHONE, person=ADA)
    pair.deliver()
    [conversation] = pair.chatwoot.conversations()
    assert conversation["status"] == "open"
    assert conversation["meta"].get("assignee") is None
    assert not requested(pair, "toggle_status")


def test_trap_29_quotes_name_the_message_by_the_id_that_its_side_knows(env: Env) -> None:
    env.customer_writes("hello", number="n1")
    env.drain()
    reply = env.agent_replies("yes?")
    env.drain()
    [part] = env.network.sent
    # To an agent's message: by Chatwoot's id, from our map. It has no source id there.
    env.customer_writes("to your answer", reply_to=f"card-{part.id}")
    # To the customer's own: by the source id that we gave it.
    env.customer_writes("to my own", reply_to="n1")
    env.drain()
    shown = {m["content"]: m for m in env.chatwoot.messages(1)}
    answered = {
        text: message["content_attributes"].get("in_reply_to") for text, message in shown.items()
    }
    assert answered["to your answer"] == reply
    assert answered["to my own"] == shown["hello"]["id"]
    # And an agent's quote reaches the network under the network's id.
    quoting = env.chatwoot.agent_reply(1, "quoting", in_reply_to=shown["hello"]["id"])
    env.told(quoting)
    env.drain()
    assert env.network.sent[-1].reply_to == "n1"


def test_trap_29_what_is_in_another_conversation_is_quoted_in_words(
    pair: TwoChannelEnv,
) -> None:
    pair.customer_writes("phones", "hello", PHONE, person=ADA)
    pair.deliver()
    pair.agent_replies("phones", 1, "yes?")
    pair.deliver()
    [part] = pair.sent("phones")
    pair.agent_resolves("phones", 1)
    for text, answered, quoted in (
        ("to your answer", f"card-{part.id}", "yes?"),
        ("to my own", "hello", "hello"),
    ):
        pair.customer_writes("phones", text, PHONE, person=ADA, reply_to=answered, quoted=quoted)
    pair.deliver()
    assert pair.texts(2) == ["> yes?\n\nto your answer", "> hello\n\nto my own"]
    attributes = [m["content_attributes"] for m in pair.chatwoot.messages(2)]
    assert not any(each.get("in_reply_to") for each in attributes)
