"""Customers' messages into Chatwoot: in order, once, and at the lowest price in calls."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.values import Message
from gateway.lanes import ids
from gateway.model import Person
from tests.relay.house import House

MESSAGES = "*/messages"


def posts(house: House) -> int:
    return sum(
        count
        for (method, route), count in house.chatwoot.requests.items()
        if method == "POST" and route.endswith("/messages")
    )


def test_a_new_person_costs_at_most_four_calls_and_the_next_message_one(house: House) -> None:
    house.customer_writes("hello")
    house.drain()
    # The inbox itself is asked for once in five minutes, not per person.
    assert house.chatwoot.requests.total() <= 5
    before = house.chatwoot.requests.total()
    house.customer_writes("are you there?")
    house.drain()
    assert house.chatwoot.requests.total() == before + 1
    assert house.incoming() == ["hello", "are you there?"]


def test_many_messages_of_many_people_arrive_in_order(house: House) -> None:
    for number in range(12):
        for peer in ("a", "b", "c", "d"):
            house.customer_writes(f"{peer}{number}", peer=peer)
    house.drain()
    for conversation in house.chatwoot.conversations():
        texts = [m["content"] for m in house.chatwoot.messages(conversation["id"])]
        assert texts == [f"{texts[0][0]}{number}" for number in range(12)]
    assert len(house.chatwoot.conversations()) == 4


def test_the_same_webhook_twice_makes_one_message(house: House) -> None:
    assert len(house.customer_writes("once", number=7).ids) == 1
    again = house.customer_writes("once", number=7)
    assert (again.ids, again.repeated) == ((), 1)
    house.drain()
    assert house.customer_writes("once", number=7).repeated == 1
    house.drain()
    assert house.incoming() == ["once"]


def test_two_first_messages_at_once_make_one_contact(house: House) -> None:
    person = Person(name="Ada", email="ada@example.com")
    house.chatwoot.fault("latency", method="POST", path="*/contacts", seconds=0.2, times=None)
    house.customer_writes("from here", peer="ada-1", person=person)
    house.customer_writes("from there", peer="ada-2", person=person)
    house.drain_until(lambda: len(house.incoming()) == 2)
    senders = {c["meta"]["sender"]["id"] for c in house.chatwoot.conversations()}
    assert len(senders) == 1


def test_who_has_lost_a_lane_leaves_the_locks_on_its_person_to_whoever_took_it_over(
    house: House,
) -> None:
    house.customer_writes("hello")
    [hold] = house.lanes.claim(1, lease=60, most_each=1, at_work={}, token="lost").holds
    house.relay.work(hold, stop=lambda: False, still_ours=lambda: False)
    assert list(house.store.scan_iter("gw:person:*")) == ["gw:person:main:p1"]
    house.store.delete(f"gw:lease:{hold.lane}")
    house.drain_until(lambda: house.incoming() == ["hello"])
    assert list(house.store.scan_iter("gw:person:*")) == []


def test_an_answer_lost_after_the_effect_makes_no_double(house: House) -> None:
    house.customer_writes("first")
    house.drain()
    house.chatwoot.fault("lose", method="POST", path=MESSAGES)
    house.customer_writes("second")
    house.drain()
    assert house.count("uncertain") == 1
    house.drain_until(lambda: house.count("delivered_in") == 2)
    assert house.incoming() == ["first", "second"]
    assert posts(house) == 2


def test_a_call_that_never_arrived_is_made_again(house: House) -> None:
    house.customer_writes("first")
    house.drain()
    house.chatwoot.fault("drop", method="POST", path=MESSAGES)
    house.customer_writes("second")
    house.drain_until(lambda: house.count("delivered_in") == 2)
    assert house.incoming() == ["first", "second"]


def test_uncertain_is_looked_for_where_it_was_going_though_resolved_since(house: House) -> None:
    house.customer_writes("first")
    house.drain()
    house.chatwoot.fault("lose", method="POST", path=MESSAGES)
    house.customer_writes("second")
    house.drain()
    house.chatwoot.agent_resolve(1)
    house.lanes.forget(ids.inbound_lane("cards", "p1"), "1")
    house.drain_until(lambda: house.count("delivered_in") == 2)
    assert house.incoming() == ["first", "second"]


def test_a_lost_conversation_is_found_not_made_again(house: House) -> None:
    house.chatwoot.fault("lose", method="POST", path="*/conversations")
    house.customer_writes("hello")
    house.drain_until(lambda: house.count("delivered_in") == 1)
    assert len(house.chatwoot.conversations()) == 1
    assert house.incoming() == ["hello"]


def test_a_lost_contact_is_found_not_made_again(house: House) -> None:
    house.chatwoot.fault("lose", method="POST", path="*/contacts")
    house.customer_writes("hello")
    house.drain_until(lambda: house.count("delivered_in") == 1)
    assert house.incoming() == ["hello"]
    assert len(list(house.chatwoot.store.contacts)) == 1


def test_of_a_late_commit_the_younger_double_is_deleted(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.customer_writes("first")
    house.drain()
    house.chatwoot.fault("drop", method="POST", path=MESSAGES)
    house.customer_writes("second")
    house.drain()
    account = house.settings.accounts["main"]
    slow = Chatwoot(account.url, 1, account.token)
    post = Chatwoot.create_message

    def after_the_late_one(self: Chatwoot, conversation: int, text: str, **more: Any) -> Message:
        # The look has found nothing; now what we gave up on is carried out, and then our own.
        post(slow, conversation, text, **more)
        return post(self, conversation, text, **more)

    monkeypatch.setattr(Chatwoot, "create_message", after_the_late_one)
    house.drain_until(lambda: house.count("delivered_in") == 2)
    slow.close()
    shown = [m for m in house.chatwoot.messages(1) if not m["content_attributes"].get("deleted")]
    assert [m["content"] for m in shown] == ["first", "second"]
    assert len(house.chatwoot.messages(1)) == 3
    assert house.count("doubles_removed") == 1


def test_the_next_message_opens_a_new_conversation_once_the_last_is_resolved(house: House) -> None:
    house.customer_writes("first")
    house.drain()
    house.chatwoot.agent_resolve(1)
    house.lanes.forget(ids.inbound_lane("cards", "p1"), "1")
    house.customer_writes("second")
    house.drain()
    assert [c["id"] for c in house.chatwoot.conversations()] == [2, 1]


def test_a_deleted_conversation_heals(house: House) -> None:
    house.customer_writes("first")
    house.drain()
    house.store.hset("gw:route:in/cards/p1", "conversation", "99")
    house.customer_writes("second")
    house.drain_until(lambda: house.count("delivered_in") == 2)
    assert house.incoming() == ["first", "second"]


@pytest.mark.parametrize("kind", ["html", "empty", "half", "silence"])
def test_nonsense_from_chatwoot_never_sticks_a_lane(house: House, kind: str) -> None:
    house.customer_writes("first")
    house.drain()
    house.chatwoot.fault(kind, method="POST", path=MESSAGES, seconds=0.1)
    house.customer_writes("second")
    house.customer_writes("third")
    house.drain_until(lambda: house.count("delivered_in") == 3)
    assert house.incoming() == ["first", "second", "third"]


def test_a_message_that_comes_late_says_when_it_was_written(house: House) -> None:
    house.customer_writes("old news", sent_at=1_700_000_000.0)
    house.drain()
    assert house.incoming() == ["old news\n\n_(written 2023-11-14 22:13 UTC)_"]


def test_a_reply_to_an_agents_message_names_it(house: House) -> None:
    house.customer_writes("hello")
    house.drain()
    agents = house.agent_replies("hi Ada")
    house.drain()
    [part] = house.network.sent
    house.customer_writes("thanks", reply_to=f"card-{part.id}")
    house.drain()
    answer = house.chatwoot.messages(1)[-1]
    assert answer["content_attributes"]["in_reply_to"] == agents


def test_a_reply_to_the_customers_own_message_names_it(house: House) -> None:
    house.customer_writes("hello", number=1)
    house.customer_writes("I mean that", number=2, reply_to="1")
    house.drain()
    first, second = house.chatwoot.messages(1)
    assert second["content_attributes"]["in_reply_to"] == first["id"]
