"""The brake: a customer who floods us is slowed down, told of once, and answered by no machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

from gateway.chatwoot.webhook import read
from gateway.clock.reconcile import Reconciler
from gateway.lanes import KeyValues, Ledger, Routes, keys
from gateway.lanes.watermark import set_watermark, watermark_of
from gateway.relay.floods import WITHHELD, Floods
from sandbox.chatwoot import ChatwootStandIn
from tests.relay.env import Env, opened, settings_for, webhook

BRAKE = 3
KEY = keys.brake("cards:p1")


@pytest.fixture
def env(redis_url: str, store: redis.Redis) -> Iterator[Env]:
    with ChatwootStandIn() as chatwoot:
        inbox = chatwoot.add_inbox("Cards", None)
        settings = settings_for(chatwoot, inbox, redis_url, brake=BRAKE)
        with opened(settings, chatwoot, store) as built:
            yield built


def flood(env: Env, count: int = BRAKE + 2, *, peer: str = "p1") -> list[str]:
    texts = [f"{peer} no. {n}" for n in range(count)]
    for text in texts:
        assert env.customer_writes(text, peer=peer).ids
    return texts


def silence(env: Env) -> None:
    """A minute without a message, and the slots that were reserved before it have passed."""
    assert 0 < env.store.pttl(KEY) <= 60_000
    env.store.delete(KEY)
    for key in env.store.scan_iter(keys.flood("*", "*")):
        env.store.delete(key)
    env.make_due()


def machine_answers(env: Env, text: str, conversation: int = 1) -> int:
    """A rule of Chatwoot writes: no sender."""
    number = env.chatwoot.agent_reply(conversation, text)
    payload = webhook(env.chatwoot, conversation, number, "message_created")
    env.intake.take_event(env.channel, read({**payload, "sender": None}))
    return number


def test_a_flood_is_slowed_told_of_once_and_lost_nowhere(env: Env) -> None:
    texts = flood(env)
    env.drain()
    assert env.incoming() == texts[:1]
    flood(env, 1, peer="p2")
    env.drain()
    assert env.incoming() == [*texts[:1], "p2 no. 0"]  # nobody else is slowed down
    silence(env)
    env.drain()
    assert env.incoming()[: len(texts)] == texts
    [note] = env.notes()
    assert "more than 3 messages in a minute" in note
    assert env.count("brakes") == 1


def test_what_the_brake_allows_is_not_slowed(env: Env) -> None:
    texts = flood(env, BRAKE)
    env.drain()
    assert (env.incoming(), env.notes(), env.count("brakes")) == (texts, [], 0)


def test_the_note_is_left_once_though_it_is_asked_for_again(env: Env) -> None:
    flood(env)
    env.drain()
    # As by a worker that takes over.
    Floods(env.lanes, Routes(env.store), env.channel).tell("p1", 1)
    env.drain()
    assert len(env.notes()) == 1
    silence(env)
    env.drain()
    flood(env, peer="p1 again")
    Floods(env.lanes, Routes(env.store), env.channel).tell("p1", 1)
    env.drain()
    assert len(env.notes()) == 1


def test_a_second_flood_is_told_of_again(env: Env) -> None:
    flood(env)
    env.drain()
    silence(env)
    env.drain()
    for n in range(BRAKE + 1):
        env.customer_writes(f"later {n}")
    env.drain()
    assert (len(env.notes()), env.count("brakes")) == (2, 2)


def test_every_message_of_the_flood_keeps_the_brake_on(env: Env) -> None:
    flood(env)
    env.store.pexpire(KEY, 30_000)
    env.store.delete(keys.flood("in", "cards:p1"))
    env.customer_writes("one more")
    assert 50_000 < env.store.pttl(KEY) <= 60_000


def test_a_repeated_webhook_does_not_count(env: Env) -> None:
    flood(env, BRAKE)
    for n in range(BRAKE):
        assert not env.customer_writes(f"p1 no. {n}").ids
    assert not env.store.exists(KEY)


def test_no_machine_answers_a_flood_but_an_agent_does(env: Env) -> None:
    env.customer_writes("hello")
    env.drain()
    flood(env)
    automatic, own = machine_answers(env, "We are closed"), env.agent_replies("Stop, please")
    env.drain()
    assert [part.text for part in env.network.sent] == ["Stop, please"]
    env.drain()
    red = env.shown(automatic)
    assert (red["status"], red["content_attributes"]["external_error"]) == ("failed", WITHHELD)
    assert env.shown(own)["status"] == "sent"
    env.chatwoot.agent_retry(automatic)
    env.told(automatic, event="message_updated")
    env.drain_until(lambda: len(env.network.sent) == 2)
    assert env.network.sent[-1].text == "We are closed"[: len(env.network.sent[-1].text)]


def test_nor_one_whose_webhook_was_lost(env: Env) -> None:
    env.customer_writes("hello")
    env.drain()
    way = env.deliveries.chatwoots["main"]
    reconciler = Reconciler(env.channel, way, Ledger(env.store), KeyValues(env.store), env.intake)
    reconciler.look()
    flood(env)
    automatic = env.chatwoot.automatic_reply(1, "We are closed")
    env.chatwoot.agent_reply(1, "Stop, please")
    assert reconciler.look() == 2
    env.drain()
    assert [part.text for part in env.network.sent] == ["Stop, please"]
    env.drain()
    assert env.shown(automatic)["content_attributes"]["external_error"] == WITHHELD


def test_automatic_replies_that_gathered_while_we_were_away_are_no_flood(env: Env) -> None:
    env.customer_writes("hello")
    env.drain()
    way = env.deliveries.chatwoots["main"]
    reconciler = Reconciler(env.channel, way, Ledger(env.store), KeyValues(env.store), env.intake)
    reconciler.look()
    mark = watermark_of(KeyValues(env.store), "cards")
    assert mark is not None
    set_watermark(
        KeyValues(env.store),
        "cards",
        replace(mark, since=mark.since - 600, looked=mark.looked - 600),
    )
    for n in range(BRAKE + 2):
        number = env.chatwoot.automatic_reply(1, f"auto {n}")
        env.chatwoot.store.messages.get(number).created_at -= 120
    assert reconciler.look() == BRAKE + 2
    env.drain()
    assert len(env.network.sent) == BRAKE + 2


def test_two_machines_that_answer_each_other_are_parted(env: Env) -> None:
    """Each answers whatever it gets, for as long as it gets something."""
    spoken = 0
    env.customer_writes("hello")
    env.drain()
    while len(env.network.sent) < 50:
        before = len(env.network.sent)
        machine_answers(env, f"auto {spoken}")
        env.drain()
        if len(env.network.sent) == before:
            break
        spoken += 1
        # Slowly enough for the customer's own messages never to be too many in a minute.
        env.store.delete(keys.flood("in", "cards:p1"))
        env.customer_writes(f"no, you {spoken}")
        env.drain()
    assert spoken == BRAKE
    [note] = env.notes()
    assert "automatic replies" in note


def test_what_gathered_while_we_were_away_is_no_flood(env: Env) -> None:
    for n in range(BRAKE + 5):
        env.customer_writes(f"no. {n}", sent_at=time.time() - 120)
    env.drain()
    assert len(env.incoming()) == BRAKE + 5
    assert env.count("brakes") == 0


def test_without_a_brake_nothing_is_slowed(env: Env) -> None:
    env.channel.config.__dict__["brake"] = 0
    texts = flood(env, 20)
    env.drain()
    assert (env.incoming(), env.notes()) == (texts, [])


def test_a_full_redis_still_drains_a_flood(env: Env) -> None:
    flood(env)
    env.store.config_set("maxmemory", "1mb")
    try:
        env.drain()
        assert env.incoming() == ["p1 no. 0"]
        assert env.store.hget(keys.message("i:cards:p1 no. 0"), "state") == "done"
    finally:
        env.store.config_set("maxmemory", "0")
