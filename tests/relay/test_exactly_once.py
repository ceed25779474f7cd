"""Exactly once in Chatwoot: what may have arrived is looked for before it is posted again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
import redis

from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.values import Message, MessageType
from gateway.errors import LeaseLost, Uncertain
from gateway.http import fence
from gateway.lanes import Entry, Routes, bodies, ids, keys
from gateway.lanes.bodies import NoteText
from gateway.lanes.scripts import Scripts
from gateway.model import Attachment, Person
from sandbox.chatwoot import ChatwootStandIn
from sandbox.chatwoot.contacts import create_contact, merge_contacts
from tests.relay.env import Env, opened, settings_for

MESSAGES = "*/messages"
LANE = ids.inbound_lane("cards", "p1")


def calls(env: Env, method: str, end: str = "/messages") -> int:
    return sum(
        count
        for (verb, route), count in env.chatwoot.requests.items()
        if verb == method and route.endswith(end)
    )


def visible(env: Env, conversation: int = 1) -> list[str]:
    """What agents read in a conversation, without what was deleted there."""
    return [
        message["content"]
        for message in env.chatwoot.messages(conversation)
        if not message["content_attributes"].get("deleted") and message["message_type"] < 2
    ]


def lose(env: Env, text: str, **more: Any) -> None:
    """The customer writes, the message arrives, and nobody hears of it."""
    env.chatwoot.fault("lose", method="POST", path=MESSAGES)
    env.customer_writes(text, **more)
    env.drain()
    assert env.count("uncertain") == 1


def settle(env: Env, messages: int) -> None:
    env.drain_until(lambda: env.count("delivered_in") == messages)


def resolve(env: Env, conversation: int = 1) -> None:
    """An agent resolves a conversation, and the gateway is told."""
    env.chatwoot.agent_resolve(conversation)
    Routes(env.store).forget_conversation(LANE, str(conversation))


@pytest.fixture
def began(env: Env) -> None:
    env.customer_writes("first")
    env.drain()


# Where it was going


@pytest.mark.usefixtures("began")
def test_found_in_a_resolved_conversation_and_the_next_message_opens_a_new_one(
    env: Env,
) -> None:
    lose(env, "second")
    resolve(env)
    settle(env, 2)
    env.customer_writes("third")
    settle(env, 3)
    assert (visible(env, 1), visible(env, 2)) == (["first", "second"], ["third"])


@pytest.mark.usefixtures("began")
def test_what_did_not_arrive_in_a_conversation_resolved_since_goes_into_a_new_one(
    env: Env,
) -> None:
    env.chatwoot.fault("drop", method="POST", path=MESSAGES)
    env.customer_writes("second")
    env.drain()
    resolve(env)
    settle(env, 2)
    assert (visible(env, 1), visible(env, 2)) == (["first"], ["second"])


def test_the_first_message_of_a_new_conversation_is_found_there(env: Env) -> None:
    lose(env, "hello")
    settle(env, 1)
    assert env.incoming() == ["hello"]
    assert calls(env, "POST", "/conversations") == 1


@pytest.mark.usefixtures("began")
@pytest.mark.parametrize(("since", "pages"), [(30, 1), (150, 2)])
def test_however_much_was_written_before_and_after_it(env: Env, since: int, pages: int) -> None:
    for number in range(since):
        env.chatwoot.agent_reply(1, f"before {number}")
    lose(env, "second")
    for number in range(25):
        env.chatwoot.agent_reply(1, f"after {number}")
    settle(env, 2)
    assert env.incoming() == ["first", "second"]
    assert calls(env, "GET") == pages


@pytest.mark.usefixtures("began")
def test_in_a_conversation_found_again_the_look_begins_at_what_was_its_end(env: Env) -> None:
    for number in range(150):
        env.chatwoot.agent_reply(1, f"before {number}")
    env.store.delete(keys.route(LANE))
    lose(env, "second")
    settle(env, 2)
    assert env.incoming() == ["first", "second"]
    assert calls(env, "GET") == 1


@pytest.mark.usefixtures("began")
def test_an_edit_is_not_taken_for_its_original_nor_the_original_for_its_edit(
    env: Env,
) -> None:
    env.customer_writes("helo", number="9")
    env.drain()
    env.chatwoot.fault("drop", method="POST", path=MESSAGES)
    env.customer_writes("hello", number="9:edit:1700000000")
    settle(env, 3)
    assert env.incoming() == ["first", "helo", "hello"]
    lose_again = env.count("uncertain")
    env.chatwoot.fault("lose", method="POST", path=MESSAGES)
    env.customer_writes("hello!", number="9:edit:1700000001")
    settle(env, 4)
    assert env.incoming() == ["first", "helo", "hello", "hello!"]
    assert env.count("uncertain") == lose_again + 1


@pytest.mark.usefixtures("began")
def test_a_conversation_deleted_meanwhile_took_the_message_with_it(env: Env) -> None:
    lose(env, "second")
    store = env.chatwoot.store
    with store.changing():
        for conversation in store.conversations:
            for message in store.message_ids(conversation):
                del store.messages.rows[message]
            del store.conversations.rows[conversation.id]
        store.index()
    settle(env, 2)
    assert env.incoming() == ["second"]


def test_contacts_merged_meanwhile_are_the_same_person(env: Env) -> None:
    lose(env, "hello")
    store = env.chatwoot.store
    with store.changing():
        [ada] = store.contacts
        other = create_contact(store, 1, {"name": "Ada L"})
        merge_contacts(store, other, ada)
    settle(env, 1)
    env.customer_writes("more")
    settle(env, 2)
    assert env.incoming() == ["hello", "more"]
    assert len(env.chatwoot.conversations()) == 1


@pytest.mark.usefixtures("began")
def test_what_an_agent_deleted_did_arrive(env: Env) -> None:
    lose(env, "second")
    env.chatwoot.agent_delete(env.chatwoot.messages(1)[-1]["id"])
    settle(env, 2)
    assert visible(env) == ["first"]
    assert calls(env, "POST") == 2


STUMBLED = [
    (422, '{"error":"Validation failed: Phone number has already been taken"}'),
    (500, '{"status":500,"error":"Internal Server Error"}'),
]


@pytest.mark.usefixtures("began")
@pytest.mark.parametrize(("status", "body"), STUMBLED)
def test_a_refusal_does_not_prove_that_the_message_is_not_there(
    env: Env, status: int, body: str
) -> None:
    # Chatwoot stores it, stumbles over what follows (here at every message), and answers so.
    env.chatwoot.fault(
        "stumble", method="POST", path=MESSAGES, status=status, body=body, times=None
    )
    env.customer_writes("second")
    env.customer_writes("third")
    settle(env, 3)
    assert env.incoming() == ["first", "second", "third"]
    assert env.count("uncertain") == 0


@pytest.mark.parametrize(("status", "body"), STUMBLED)
def test_nor_that_nothing_is_there_if_chatwoot_cannot_be_asked(
    env: Env, status: int, body: str
) -> None:
    env.chatwoot.fault("stumble", method="POST", path=MESSAGES, status=status, body=body)
    env.chatwoot.fault("drop", method="GET", path=MESSAGES)
    env.customer_writes("hello")
    settle(env, 1)
    assert env.incoming() == ["hello"]
    assert env.count("uncertain") == 1


@pytest.mark.usefixtures("began")
@pytest.mark.parametrize(("status", "body"), STUMBLED)
def test_the_same_with_a_note(env: Env, status: int, body: str) -> None:
    env.chatwoot.fault("stumble", method="POST", path=MESSAGES, status=status, body=body)
    leave_note(env)
    env.drain_until(lambda: env.count("delivered_note") == 1)
    assert env.notes() == ["It waits."]


@pytest.mark.usefixtures("began")
@pytest.mark.parametrize("status", [502, 504, 520, 524])
def test_a_proxy_that_heard_no_answer_does_not_know_either(env: Env, status: int) -> None:
    env.chatwoot.fault("stumble", method="POST", path=MESSAGES, status=status, body="<html>")
    env.customer_writes("second")
    settle(env, 2)
    assert env.incoming() == ["first", "second"]


# What was made on the way


@pytest.mark.parametrize("path", ["*/contacts", "*/conversations", MESSAGES])
@pytest.mark.parametrize("kind", ["lose", "drop", "half"])
def test_whatever_call_of_a_first_contact_is_lost_all_is_there_once(
    env: Env, kind: str, path: str
) -> None:
    env.chatwoot.fault(kind, method="POST", path=path)
    env.customer_writes("hello", person=Person(name="Ada", email="ada@example.com"))
    settle(env, 1)
    assert env.incoming() == ["hello"]
    assert len(env.chatwoot.conversations()) == 1
    assert len(list(env.chatwoot.store.contacts)) == 1


def test_a_500_on_making_a_contact_means_look_again(env: Env) -> None:
    # Chatwoot answers so where somebody was faster, here our own request that we gave up on.
    env.chatwoot.fault("late", method="POST", path="*/contacts", seconds=0.0, status=500)
    env.customer_writes("hello")
    settle(env, 1)
    assert env.incoming() == ["hello"]
    assert len(list(env.chatwoot.store.contacts)) == 1


# The request that is carried out after its caller gave up


@pytest.fixture
def patient(redis_url: str, store: redis.Redis) -> Iterator[Env]:
    """A gateway that waits before it looks."""
    with ChatwootStandIn() as chatwoot:
        inbox = chatwoot.add_inbox("Cards", None)
        settings = settings_for(chatwoot, inbox, redis_url)
        waiting = settings.gateway.model_copy(update={"uncertain_after": 1.0})
        with opened(replace(settings, gateway=waiting), chatwoot, store) as built:
            yield built


def test_a_commit_within_the_waiting_time_is_found(patient: Env) -> None:
    patient.customer_writes("first")
    patient.drain()
    patient.chatwoot.fault("late", method="POST", path=MESSAGES, seconds=0.5)
    done = time.monotonic() + 0.6
    patient.customer_writes("second")
    patient.drain_until(
        lambda: (
            patient.count("delivered_in") == 2
            and time.monotonic() > done
            and calls(patient, "POST") > 1
        )
    )
    assert patient.incoming() == ["first", "second"]
    assert calls(patient, "POST") == 2
    assert patient.count("doubles_removed") == 0


Post = Callable[..., Message]


def late(env: Env, monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    """The next message but one is posted twice: once by a request that was given up on."""
    post = Chatwoot.create_message
    slow = Chatwoot(env.settings.accounts["main"].url, 1, env.settings.accounts["main"].token)

    def twice(self: Chatwoot, conversation: int, text: str, **more: Any) -> Message:
        monkeypatch.setattr(Chatwoot, "create_message", post)
        if order == "before ours":
            post(slow, 1, text, **more)
        ours = post(self, conversation, text, **more)
        if order == "behind ours":
            post(slow, 1, text, **more)
        if order == "before ours, which is lost too":
            post(slow, 1, text, **more)
            raise Uncertain("no answer")
        return ours

    monkeypatch.setattr(Chatwoot, "create_message", twice)


@pytest.mark.usefixtures("began")
@pytest.mark.parametrize("order", ["before ours", "behind ours", "before ours, which is lost too"])
def test_of_a_commit_after_the_first_look_the_younger_copy_is_removed_and_counted(
    env: Env, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    env.chatwoot.fault("drop", method="POST", path=MESSAGES)
    env.customer_writes("second")
    env.drain()
    late(env, monkeypatch, order)
    settle(env, 2)
    assert visible(env) == ["first", "second"]
    assert [m["content_attributes"].get("deleted") for m in env.chatwoot.messages(1)] == [
        None,
        None,
        True,
    ]
    assert env.count("doubles_removed") == 1


@pytest.mark.usefixtures("began")
def test_who_lost_the_lane_while_it_posted_removes_its_own_copy_if_it_is_the_younger(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that stood still between its last look at the clock and the call: another one has
    looked for the message meanwhile, in vain, and posted it."""
    post = Chatwoot.create_message
    other = Chatwoot(env.settings.accounts["main"].url, 1, env.settings.accounts["main"].token)

    def stand_still(self: Chatwoot, conversation: int, text: str, **more: Any) -> Message:
        monkeypatch.setattr(Chatwoot, "create_message", post)
        post(other, conversation, text, **more)
        ours = post(self, conversation, text, **more)
        fence.set(lose_lane)
        return ours

    def lose_lane() -> None:
        raise LeaseLost("somebody else's")

    monkeypatch.setattr(Chatwoot, "create_message", stand_still)
    env.customer_writes("second")
    env.drain()
    assert visible(env) == ["first", "second"]
    assert [m["content_attributes"].get("deleted") for m in env.chatwoot.messages(1)] == [
        None,
        None,
        True,
    ]


@pytest.mark.usefixtures("began")
def test_the_older_copy_stays_though_ours_went_into_a_new_conversation(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    env.chatwoot.fault("drop", method="POST", path=MESSAGES)
    env.customer_writes("second")
    env.drain()
    resolve(env)
    late(env, monkeypatch, "before ours")
    settle(env, 2)
    assert (visible(env, 1), visible(env, 2)) == (["first", "second"], [])
    assert env.count("doubles_removed") == 1


@pytest.mark.usefixtures("began")
def test_where_it_was_going_first_is_not_forgotten_when_it_goes_elsewhere(env: Env) -> None:
    env.chatwoot.fault("drop", method="POST", path=MESSAGES)
    env.customer_writes("second")
    env.drain()
    resolve(env)
    # The second attempt makes a new conversation and ends there; then the first one is carried out.
    env.chatwoot.fault("drop", method="POST", path=MESSAGES)
    env.drain_until(lambda: calls(env, "POST", "/conversations") == 2)
    way = env.deliveries.chatwoots["main"]
    way.create_message(1, "second", source_id="gw:cards:second")
    settle(env, 2)
    assert (visible(env, 1), visible(env, 2)) == (["first", "second"], [])


# Only what is uncertain is looked for


@pytest.mark.usefixtures("began")
def test_of_several_shares_only_the_uncertain_one_is_looked_for(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(env.network, "open", lambda attachment: iter([b"\x89PNG"]))
    many = tuple(Attachment(str(n), f"{n}.png", "image/png") for n in range(35))
    post = Chatwoot.create_message
    lost: list[Message] = []

    def lose_the_second(self: Chatwoot, conversation: int, text: str, **more: Any) -> Message:
        posted = post(self, conversation, text, **more)
        if more["source_id"].endswith("~share2") and not lost:
            lost.append(posted)
            raise Uncertain("no answer")
        return posted

    monkeypatch.setattr(Chatwoot, "create_message", lose_the_second)
    env.customer_writes("cats", attachments=many)
    settle(env, 2)
    sources = [message["source_id"] for message in env.chatwoot.messages(1)]
    assert sources[1:] == ["gw:cards:cats", "gw:cards:cats~share2", "gw:cards:cats~share3"]
    assert calls(env, "GET") == 1


@pytest.mark.usefixtures("began")
def test_of_a_message_that_a_fail_over_forgot_every_share_is_looked_for(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(env.network, "open", lambda attachment: iter([b"\x89PNG"]))
    many = tuple(Attachment(str(n), f"{n}.png", "image/png") for n in range(35))
    env.customer_writes("cats", attachments=many)
    fail_over(env)
    # All of it was posted in the moments that the replica has not heard of.
    for share in ("", "~share2", "~share3"):
        way = env.deliveries.chatwoots["main"]
        way.create_message(1, "cats", source_id=f"gw:cards:cats{share}")
    settle(env, 2)
    sources = [message["source_id"] for message in env.chatwoot.messages(1)]
    assert sources[1:] == ["gw:cards:cats", "gw:cards:cats~share2", "gw:cards:cats~share3"]


@pytest.mark.usefixtures("began")
def test_what_redis_forgot_is_found_where_it_would_go(env: Env) -> None:
    # As after a fail-over: the message is uncertain, and nothing of its attempt is known any more.
    for number in range(150):
        env.chatwoot.agent_reply(1, f"before {number}")
    env.customer_writes("second")
    env.drain()
    env.deliveries.chatwoots["main"].create_message(1, "third", source_id="gw:cards:3")
    env.customer_writes("third", number=3)
    env.store.hset(keys.message("i:cards:3"), "uncertain", 1)
    env.drain()
    assert env.incoming() == ["first", "second", "third"]
    assert calls(env, "GET") == 1


@pytest.mark.usefixtures("began")
def test_what_redis_forgot_with_the_conversation_is_found_as_well(env: Env) -> None:
    env.store.flushall()
    env.customer_writes("first")
    env.store.hset(keys.message("i:cards:first"), "uncertain", 1)
    env.drain()
    assert env.incoming() == ["first"]


def fail_over(env: Env) -> None:
    """Another server goes on, which may lack what the one before was told last."""
    run_script = Scripts(env.store)
    run_script("server_changed", "primary", "", 0)
    run_script("server_changed", "replica", "", 0)


def post_unheard(env: Env, text: str) -> None:
    """What was posted in the moments that the replica has not heard of."""
    way = env.deliveries.chatwoots["main"]
    way.create_message(1, text, source_id=f"gw:cards:{text}")


@pytest.mark.usefixtures("began")
@pytest.mark.parametrize("step", ["conversation", "contact", "labels:1", "message:1:999"])
def test_what_redis_forgot_is_found_whatever_step_it_has_kept(env: Env, step: str) -> None:
    post_unheard(env, "second")
    env.customer_writes("second")
    fail_over(env)
    name = keys.message("i:cards:second")
    at = str(env.store.get(keys.FAILOVER))
    doubt = {"uncertain": "failover", "failover": at, "announced_at": 0, "target": step}
    env.store.hset(name, mapping=cast(Any, doubt))
    settle(env, 2)
    assert env.incoming() == ["first", "second"]


@pytest.mark.usefixtures("began")
def test_what_follows_a_forgotten_message_is_found_before_its_double(env: Env) -> None:
    for text in ("second", "third"):
        env.customer_writes(text)
    fail_over(env)
    post_unheard(env, "third")  # and «second» was not
    settle(env, 3)
    assert sorted(env.incoming()) == ["first", "second", "third"]


@pytest.mark.usefixtures("began")
def test_a_repetition_that_does_not_tell_its_age_is_looked_for_after_a_fail_over(env: Env) -> None:
    post_unheard(env, "second")
    fail_over(env)
    env.customer_writes("second")
    settle(env, 2)
    assert env.incoming() == ["first", "second"]


# Notes


def leave_note(env: Env, in_reply_to: int = 0) -> None:
    entry = Entry(
        id="o:cards:1:note",
        lane=ids.status_lane("cards", 1),
        destination=ids.chatwoot_destination("main"),
        kind="note",
        body=bodies.write(NoteText(1, "It waits.", in_reply_to=in_reply_to)),
    )
    env.lanes.append([entry])
    env.drain()


@pytest.mark.usefixtures("began")
@pytest.mark.parametrize("in_reply_to", [0, 1])
@pytest.mark.parametrize("kind", ["lose", "drop", "half"])
def test_a_note_whose_post_was_lost_is_there_once(env: Env, kind: str, in_reply_to: int) -> None:
    for number in range(150):
        env.chatwoot.agent_reply(1, f"before {number}")
    env.chatwoot.fault(kind, method="POST", path=MESSAGES)
    leave_note(env, in_reply_to)
    assert env.count("uncertain") == 1
    env.drain_until(lambda: env.count("delivered_note") == 1)
    assert env.notes() == ["It waits."]
    if kind != "drop":  # then it is found, in the first page of what came after it was begun
        assert calls(env, "GET") == (2 if in_reply_to else 1)


@pytest.mark.usefixtures("began")
def test_of_a_note_that_was_carried_out_late_the_younger_copy_is_removed(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    env.chatwoot.fault("drop", method="POST", path=MESSAGES)
    leave_note(env)
    late(env, monkeypatch, "before ours")
    env.drain_until(lambda: env.count("delivered_note") == 1)
    assert visible(env) == ["first", "It waits."]
    assert env.count("doubles_removed") == 1


def test_a_note_waits_as_long_before_it_is_looked_for(patient: Env) -> None:
    patient.customer_writes("first")
    patient.drain()
    patient.chatwoot.fault("late", method="POST", path=MESSAGES, seconds=0.5)
    began = time.monotonic()
    leave_note(patient)
    patient.drain_until(lambda: patient.count("delivered_note") == 1)
    assert time.monotonic() - began >= 0.9
    assert patient.notes() == ["It waits."]


@pytest.mark.usefixtures("began")
def test_a_note_that_a_fail_over_forgot_is_there_once(env: Env) -> None:
    source = ids.source_id("cards", "o:cards:1:note")
    env.deliveries.chatwoots["main"].create_message(
        1, "It waits.", source_id=source, message_type=MessageType.NOTE
    )
    env.stop.set()
    leave_note(env)
    env.stop.clear()
    fail_over(env)
    env.drain_until(lambda: env.count("delivered_note") == 1)
    assert env.notes() == ["It waits."]


@pytest.mark.usefixtures("began")
def test_in_a_conversation_that_was_deleted_nobody_needs_the_note(env: Env) -> None:
    env.lanes.append(
        [
            Entry(
                id="o:cards:9:note",
                lane=ids.status_lane("cards", 99),
                destination=ids.chatwoot_destination("main"),
                kind="note",
                body=bodies.write(NoteText(99, "It waits.")),
            )
        ]
    )
    env.drain()
    assert env.count("delivered_note") == 1
    assert list(env.dead.list()) == []
