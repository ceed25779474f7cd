"""Agents are told of replies that wait, whatever keeps them."""

from __future__ import annotations

import pytest

from gateway.clock.delay_notices import DelayNotices
from gateway.errors import Permanent, Retry, Unreachable
from gateway.intake.doorbell import Doorbell, queue_key
from gateway.lanes import Backlog, keys
from tests.relay.env import Env


@pytest.fixture(autouse=True)
def somebody_wrote(env: Env) -> None:
    env.customer_writes("hello")
    env.drain()


@pytest.fixture
def delays(env: Env) -> DelayNotices:
    return DelayNotices(env.settings, Backlog(env.store), Doorbell(env.store))


def an_hour_passes(env: Env) -> None:
    """For whatever waits, but not long enough to be given up."""
    for key in env.store.scan_iter(keys.message("o:*")):
        env.store.hincrby(key, "ready", -3000_000)


def test_a_reply_that_waits_is_explained_once_and_then_reported_as_delivered(
    env: Env, delays: DelayNotices
) -> None:
    env.network.errors = [Retry("The provider has a pause.", after=40.0)]
    number = env.agent_replies("hi")
    env.drain()
    assert delays.leave_notes() == 0
    an_hour_passes(env)
    assert delays.leave_notes() == 1
    assert delays.leave_notes() == 0
    env.drain()
    [note] = env.notes()
    assert note.startswith(
        "Not delivered yet: The provider has a pause. The next attempt is due at "
    )
    shown = [m for m in env.chatwoot.messages(1) if m["private"]]
    assert shown[0]["content_attributes"]["in_reply_to"] == number
    env.drain_until(lambda: len(env.notes()) == 2)
    assert env.notes()[1] == "Delivered now."
    assert [part.text for part in env.network.sent] == ["hi"]


def test_one_that_nobody_attempts_because_the_gate_is_closed_is_explained_too(
    env: Env, delays: DelayNotices
) -> None:
    env.customer_writes("me too", peer="p2")
    env.drain()
    env.network.errors = [Unreachable("The provider cannot be reached") for _ in range(20)]
    env.agent_replies("hi")
    env.drain_until(lambda: env.store.hget(keys.gate("channel/cards"), "state") == "closed")
    env.agent_replies("and you", conversation=2)
    env.drain()
    an_hour_passes(env)
    assert delays.leave_notes() == 2
    env.drain()
    [note] = env.notes(2)
    assert "The provider cannot be reached" in note


def test_a_note_does_not_ring_while_a_ring_is_unheard(env: Env, delays: DelayNotices) -> None:
    env.network.errors = [Retry("busy", after=40.0)]
    env.agent_replies("hi")
    env.drain()
    an_hour_passes(env)
    env.store.delete(queue_key())
    Doorbell(env.store).ring()
    assert delays.leave_notes() == 1
    assert env.store.llen(queue_key()) == 1


def test_one_that_failed_after_all_is_red_and_that_says_it(env: Env, delays: DelayNotices) -> None:
    env.network.errors = [Retry("busy", after=40.0), Permanent("No such customer")]
    number = env.agent_replies("hi")
    env.drain()
    an_hour_passes(env)
    delays.leave_notes()
    env.drain_until(lambda: env.shown(number)["status"] == "failed")
    env.drain()
    assert len(env.notes()) == 1


def test_with_a_dead_chatwoot_the_reply_is_sent_and_the_notes_come_later(
    env: Env, delays: DelayNotices
) -> None:
    env.network.errors = [Retry("busy", after=40.0)]
    env.agent_replies("hi")
    env.drain()
    an_hour_passes(env)
    env.chatwoot.go_away()
    delays.leave_notes()
    env.drain_until(lambda: env.network.sent)
    env.chatwoot.come_back()
    env.drain_until(lambda: len(env.notes()) == 2)
    assert env.notes()[0].startswith("Not delivered yet: busy.")


def test_zero_means_never(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    never = env.channel.config.model_copy(update={"delay_notice": 0.0})
    monkeypatch.setattr(type(env.channel), "config", never)
    env.network.errors = [Retry("busy", after=40.0)]
    env.agent_replies("hi")
    env.drain()
    an_hour_passes(env)
    assert DelayNotices(env.settings, Backlog(env.store), Doorbell(env.store)).leave_notes() == 0
