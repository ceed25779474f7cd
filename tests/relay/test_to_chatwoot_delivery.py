"""Customers' messages into Chatwoot: in order, once, and at the lowest price in calls."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.values import Message
from gateway.lanes import Routes, ids, keys
from gateway.model import Person
from tests.relay.env import Env

MESSAGES = "*/messages"


def posts(env: Env) -> int:
    return sum(
        count
        for (method, route), count in env.chatwoot.requests.items()
        if method == "POST" and route.endswith("/messages")
    )


def test_a_new_person_costs_at_most_four_calls_and_the_next_message_one(env: Env) -> None:
    env.customer_writes("hello")
    env.drain()
    # The inbox itself is asked for once in five minutes, not per person.
    assert env.chatwoot.requests.total() <= 5
    before = env.chatwoot.requests.total()
    env.customer_writes("are you there?")
    env.drain()
    assert env.chatwoot.requests.total() == before + 1
    assert env.incoming() == ["hello", "are you there?"]


def test_many_messages_of_many_people_arrive_in_order(env: Env) -> None:
    for number in range(12):
        for peer in ("a", "b", "c", "d"):
            env.customer_writes(f"{peer}{number}", peer=peer)
    env.drain()
    for conversation in env.chatwoot.conversations():
        texts = [m["content"] for m in env.chatwoot.messages(conversation["id"])]
        assert texts == [f"{texts[0][0]}{number}" for number in range(12)]
    assert len(env.chatwoot.conversations()) == 4


def test_the_same_webhook_twice_makes_one_message(env: Env) -> None:
    assert len(env.customer_writes("once", number=7).ids) == 1
    again = env.customer_writes("once", number=7)
    assert (again.ids, again.repeated) == ((), 1)
    env.drain()
    assert env.customer_writes("once", number=7).repeated == 1
    env.drain()
    assert env.incoming() == ["once"]


def test_two_first_messages_at_once_make_one_contact(env: Env) -> None:
    person = Person(name="Ada", email="ada@example.com")
    env.chatwoot.fault("latency", method="POST", path="*/contacts", seconds=0.2, times=None)
    env.customer_writes("from here", peer="ada-1", person=person)
    env.customer_writes("from there", peer="ada-2", person=person)
    env.drain_until(lambda: len(env.incoming()) == 2)
    senders = {c["meta"]["sender"]["id"] for c in env.chatwoot.conversations()}
    assert len(senders) == 1


def test_who_has_lost_a_lane_leaves_the_locks_on_its_person_to_whoever_took_it_over(
    env: Env,
) -> None:
    env.customer_writes("hello")
    [lease] = env.lanes.claim(1, seconds=60, most_each=1, at_work={}, token="lost").leases
    env.lane_worker.work(lease, stop=lambda: False, still_ours=lambda: False)
    assert list(env.store.scan_iter(keys.lock_person("*", "*"))) == [keys.lock_person("main", "p1")]
    env.store.delete(keys.lease(lease.lane))
    env.drain_until(lambda: env.incoming() == ["hello"])
    assert list(env.store.scan_iter(keys.lock_person("*", "*"))) == []


def test_an_answer_lost_after_the_effect_makes_no_double(env: Env) -> None:
    env.customer_writes("first")
    env.drain()
    env.chatwoot.fault("lose", method="POST", path=MESSAGES)
    env.customer_writes("second")
    env.drain()
    assert env.count("uncertain") == 1
    env.drain_until(lambda: env.count("delivered_in") == 2)
    assert env.incoming() == ["first", "second"]
    assert posts(env) == 2


def test_a_call_that_never_arrived_is_made_again(env: Env) -> None:
    env.customer_writes("first")
    env.drain()
    env.chatwoot.fault("drop", method="POST", path=MESSAGES)
    env.customer_writes("second")
    env.drain_until(lambda: env.count("delivered_in") == 2)
    assert env.incoming() == ["first", "second"]


def test_uncertain_is_looked_for_where_it_was_going_though_resolved_since(env: Env) -> None:
    env.customer_writes("first")
    env.drain()
    env.chatwoot.fault("lose", method="POST", path=MESSAGES)
    env.customer_writes("second")
    env.drain()
    env.chatwoot.agent_resolve(1)
    Routes(env.store).forget_conversation(ids.inbound_lane("cards", "p1"), "1")
    env.drain_until(lambda: env.count("delivered_in") == 2)
    assert env.incoming() == ["first", "second"]


def test_a_lost_conversation_is_found_not_made_again(env: Env) -> None:
    env.chatwoot.fault("lose", method="POST", path="*/conversations")
    env.customer_writes("hello")
    env.drain_until(lambda: env.count("delivered_in") == 1)
    assert len(env.chatwoot.conversations()) == 1
    assert env.incoming() == ["hello"]


def test_a_lost_contact_is_found_not_made_again(env: Env) -> None:
    env.chatwoot.fault("lose", method="POST", path="*/contacts")
    env.customer_writes("hello")
    env.drain_until(lambda: env.count("delivered_in") == 1)
    assert env.incoming() == ["hello"]
    assert len(list(env.chatwoot.store.contacts)) == 1


def test_of_a_late_commit_the_younger_double_is_deleted(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    env.customer_writes("first")
    env.drain()
    env.chatwoot.fault("drop", method="POST", path=MESSAGES)
    env.customer_writes("second")
    env.drain()
    account = env.settings.accounts["main"]
    slow = Chatwoot(account.url, 1, account.token)
    post = Chatwoot.create_message

    def after_the_late_one(self: Chatwoot, conversation: int, text: str, **more: Any) -> Message:
        # The look has found nothing; now what we gave up on is carried out, and then our own.
        post(slow, conversation, text, **more)
        return post(self, conversation, text, **more)

    monkeypatch.setattr(Chatwoot, "create_message", after_the_late_one)
    env.drain_until(lambda: env.count("delivered_in") == 2)
    slow.close()
    shown = [m for m in env.chatwoot.messages(1) if not m["content_attributes"].get("deleted")]
    assert [m["content"] for m in shown] == ["first", "second"]
    assert len(env.chatwoot.messages(1)) == 3
    assert env.count("doubles_removed") == 1


def test_the_next_message_opens_a_new_conversation_once_the_last_is_resolved(env: Env) -> None:
    env.customer_writes("first")
    env.drain()
    env.chatwoot.agent_resolve(1)
    Routes(env.store).forget_conversation(ids.inbound_lane("cards", "p1"), "1")
    env.customer_writes("second")
    env.drain()
    assert [c["id"] for c in env.chatwoot.conversations()] == [2, 1]


def test_a_deleted_conversation_heals(env: Env) -> None:
    env.customer_writes("first")
    env.drain()
    env.store.hset(keys.route("in/cards/p1"), "conversation", "99")
    env.customer_writes("second")
    env.drain_until(lambda: env.count("delivered_in") == 2)
    assert env.incoming() == ["first", "second"]


@pytest.mark.parametrize("kind", ["html", "empty", "half", "silence"])
def test_nonsense_from_chatwoot_never_sticks_a_lane(env: Env, kind: str) -> None:
    env.customer_writes("first")
    env.drain()
    env.chatwoot.fault(kind, method="POST", path=MESSAGES, seconds=0.1)
    env.customer_writes("second")
    env.customer_writes("third")
    env.drain_until(lambda: env.count("delivered_in") == 3)
    assert env.incoming() == ["first", "second", "third"]


def test_a_message_that_comes_late_says_when_it_was_written(env: Env) -> None:
    env.customer_writes("old news", sent_at=1_700_000_000.0)
    env.drain()
    assert env.incoming() == ["old news\n\n_(written 2023-11-14 22:13 UTC)_"]


def test_a_reply_to_an_agents_message_names_it(env: Env) -> None:
    env.customer_writes("hello")
    env.drain()
    agents = env.agent_replies("hi Ada")
    env.drain()
    [part] = env.network.sent
    env.customer_writes("thanks", reply_to=f"card-{part.id}")
    env.drain()
    answer = env.chatwoot.messages(1)[-1]
    assert answer["content_attributes"]["in_reply_to"] == agents


def test_a_reply_to_the_customers_own_message_names_it(env: Env) -> None:
    env.customer_writes("hello", number=1)
    env.customer_writes("I mean that", number=2, reply_to="1")
    env.drain()
    first, second = env.chatwoot.messages(1)
    assert second["content_attributes"]["in_reply_to"] == first["id"]
