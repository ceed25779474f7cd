"""Chatwoot's traps around people: ids, addresses, contacts and conversations.

Each test fails without its guard. The numbers are those of the issue's list.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import redis

from gateway.chatwoot.api_messages import as_event
from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.events import AgentMessage
from gateway.chatwoot.webhook import read
from gateway.config import ChatwootAccount
from gateway.model import Person
from sandbox.chatwoot import ChatwootStandIn
from sandbox.chatwoot.inboxes import create_inbox
from tests.relay.house import House, opened, settings_for, webhook
from tests.relay.village import EMAIL, PHONE, Village, village

__all__ = ["village"]

ADA = Person(name="Ada", phone=PHONE)


def requested(village: Village, ending: str) -> int:
    routes = village.chatwoot.requests.items()
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
        with opened(settings, chatwoot, store) as house:
            both = Village(house)
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


def test_trap_11_a_webhook_and_the_api_write_types_and_times_otherwise(village: Village) -> None:
    village.customer_writes("phones", "hello", PHONE, person=ADA)
    village.deliver()
    number = village.chatwoot.agent_reply(1, "an answer")
    payload = webhook(village.chatwoot, 1, number, "message_created")
    [shown] = [m for m in village.chatwoot.messages(1) if m["id"] == number]
    assert (payload["message_type"], shown["message_type"]) == ("outgoing", 1)
    assert isinstance(payload["created_at"], str)
    told = read(payload)
    account = village.channel("phones").account
    api = Chatwoot(account.url, account.account, account.token)
    [message] = [m for m in api.messages_after(1, 0) if m.id == number]
    asked = as_event(api.conversation(1), message)
    api.close()
    assert isinstance(told, AgentMessage)
    assert isinstance(asked, AgentMessage)
    assert (told.id, told.peer, told.contact.phone) == (asked.id, asked.peer, asked.contact.phone)
    assert (told.is_template, asked.is_template) == (False, False)
    assert abs(told.created_at - asked.created_at) < 1.0


def test_trap_12_an_address_that_chatwoot_made_up_is_resolved_or_refused(
    village: Village,
) -> None:
    reachable = village.add_contact(phone_number=PHONE)
    nameless = village.add_contact(name="Bob", email=EMAIL)
    village.agent_begins("phones", reachable, "hello?")
    lost = village.agent_begins("phones", nameless, "and you?")
    village.deliver()
    assert [(part.peer, part.text) for part in village.sent("phones")] == [(PHONE, "hello?")]
    [message] = village.chatwoot.messages(lost)
    assert message["status"] == "failed"
    assert "phone number" in message["content_attributes"]["external_error"]


def test_trap_18_a_taken_address_answers_500_and_means_look_again(village: Village) -> None:
    village.customer_writes("phones", "one", "p1", person=Person("Ada"))
    village.deliver()
    village.forget_everything()
    # Nobody has this phone yet, but the address is taken: the contact cannot be made.
    village.customer_writes("phones", "two", "p1", person=ADA)
    village.deliver()
    assert village.texts(1) == ["one", "two"]
    assert len(village.contacts()) == 1
    assert village.house.store.hget("gw:count", "retries|phones") is None


def test_trap_19_one_address_in_two_inboxes_is_two_places(village: Village) -> None:
    for channel in ("letters", "phones"):
        village.customer_writes(channel, f"to {channel}", "shared", person=Person("Ada"))
        village.deliver()
    inboxes = {village.texts(c["id"])[0]: c["inbox_id"] for c in village.chatwoot.conversations()}
    assert inboxes == {
        f"to {name}": village.channel(name).config.inbox for name in ("letters", "phones")
    }


def test_trap_20_no_address_is_made_up_for_a_customer_who_has_one(village: Village) -> None:
    known = village.add_contact(phone_number=PHONE)
    for number in range(3):
        village.customer_writes("phones", f"n{number}", PHONE, person=ADA)
        village.deliver()
        village.agent_resolves("phones", village.chatwoot.conversations()[0]["id"])
    assert len(village.chatwoot.conversations()) == 3
    assert village.source_ids(known, "phones") == {PHONE}


def test_trap_21_two_workers_make_one_contact_and_one_conversation(village: Village) -> None:
    # Chatwoot has no index on phones: without a lock of our own there would be two contacts.
    village.chatwoot.fault("latency", method="POST", path="*/contacts*", seconds=0.2, times=None)
    village.customer_writes("phones", "by phone", PHONE, person=ADA)
    village.customer_writes("phones", "again", PHONE, person=ADA)
    village.customer_writes("letters", "by letter", EMAIL, person=ADA, thread="t1")
    village.house.drain_until(lambda: len(village.house.incoming()) == 3)
    assert len(village.contacts()) == 1
    assert requested(village, "/contacts") == 1
    assert len(village.chatwoot.conversations()) == 2


@pytest.mark.parametrize("thread", ["98765432109876543210", "t" * 2000])
def test_trap_22_long_numbers_and_texts_fit_into_attributes(village: Village, thread: str) -> None:
    context = {"subject": "s" * 3000, "number": "98765432109"}
    village.customer_writes("letters", "one", EMAIL, thread=thread, context=context)
    village.deliver()
    village.forget_everything()
    village.customer_writes("letters", "two", EMAIL, thread=thread, context=context)
    village.deliver()
    [conversation] = village.chatwoot.conversations()
    assert village.texts(conversation["id"]) == ["one", "two"]
    assert all(type(each) is str for each in conversation["additional_attributes"].values())


def test_trap_23_what_others_noted_is_not_replaced(village: Village) -> None:
    village.customer_writes("phones", "one", PHONE, person=ADA)
    village.deliver()
    [contact] = village.contacts()
    noted: dict[str, Any] = {"custom_attributes": {"vip": "yes"}}
    village.edit_contact(contact.id, additional_attributes={"city": "Paris"}, **noted)
    village.customer_writes("phones", "two", PHONE, person=replace(ADA, language="fr"))
    village.deliver()
    [contact] = village.contacts()
    assert contact.additional_attributes["city"] == "Paris"
    assert contact.additional_attributes["language_code"] == "fr"
    assert contact.custom_attributes == {"vip": "yes"}
    assert not requested(village, "custom_attributes")
    assert not requested(village, "labels")


def test_trap_25_a_conversation_reopens_by_itself_and_nobody_is_assigned(
    village: Village,
) -> None:
    store = village.chatwoot.store
    with store.changing():
        inbox = store.inboxes.get(village.channel("phones").config.inbox)
        inbox.lock_to_single_conversation = True
    village.customer_writes("phones", "one", PHONE, person=ADA)
    village.deliver()
    village.agent_resolves("phones", 1)
    village.customer_writes("phones", "two", PHONE, person=ADA)
    village.deliver()
    [conversation] = village.chatwoot.conversations()
    assert conversation["status"] == "open"
    assert conversation["meta"].get("assignee") is None
    assert not requested(village, "toggle_status")


def test_trap_29_quotes_name_the_message_by_the_id_that_its_side_knows(house: House) -> None:
    house.customer_writes("hello", number="n1")
    house.drain()
    reply = house.agent_replies("yes?")
    house.drain()
    [part] = house.network.sent
    # To an agent's message: by Chatwoot's id, from our map. It has no source id there.
    house.customer_writes("to your answer", reply_to=f"card-{part.id}")
    # To the customer's own: by the source id that we gave it.
    house.customer_writes("to my own", reply_to="n1")
    house.drain()
    shown = {m["content"]: m for m in house.chatwoot.messages(1)}
    answered = {
        text: message["content_attributes"].get("in_reply_to") for text, message in shown.items()
    }
    assert answered["to your answer"] == reply
    assert answered["to my own"] == shown["hello"]["id"]
    # And an agent's quote reaches the network under the network's id.
    quoting = house.chatwoot.agent_reply(1, "quoting", in_reply_to=shown["hello"]["id"])
    house.told(quoting)
    house.drain()
    assert house.network.sent[-1].reply_to == "n1"


def test_trap_29_what_is_in_another_conversation_is_quoted_in_words(village: Village) -> None:
    village.customer_writes("phones", "hello", PHONE, person=ADA)
    village.deliver()
    village.agent_replies("phones", 1, "yes?")
    village.deliver()
    [part] = village.sent("phones")
    village.agent_resolves("phones", 1)
    for text, answered, quoted in (
        ("to your answer", f"card-{part.id}", "yes?"),
        ("to my own", "hello", "hello"),
    ):
        village.customer_writes("phones", text, PHONE, person=ADA, reply_to=answered, quoted=quoted)
    village.deliver()
    assert village.texts(2) == ["> yes?\n\nto your answer", "> hello\n\nto my own"]
    attributes = [m["content_attributes"] for m in village.chatwoot.messages(2)]
    assert not any(each.get("in_reply_to") for each in attributes)
