"""After an absence of the web process replies go out in the order in which they were written."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from gateway.clock.reconcile import Reconciler, Reconciliation
from gateway.lanes import KeyValues, Ledger, keys
from gateway.lanes.returns import Returns
from gateway.web.presence import Presence
from tests.relay.env import Env
from tests.waiting import until


@pytest.fixture
def clock(env: Env) -> Iterator[threading.Thread]:
    """One that looks for what was missed; the test starts it."""
    stop = threading.Event()
    looks = Reconciliation(env.settings, env.store, env.intake, stop)
    thread = threading.Thread(target=looks.run)
    yield thread
    stop.set()
    if thread.ident:
        thread.join(10)


@pytest.fixture(autouse=True)
def a_talk_goes_on(env: Env) -> None:
    env.customer_writes("hello")
    env.drain()
    reconciler_for(env).look()


def reconciler_for(env: Env) -> Reconciler:
    chatwoot = env.deliveries.chatwoots["main"]
    return Reconciler(env.channel, chatwoot, Ledger(env.store), KeyValues(env.store), env.intake)


def web_returns(env: Env) -> None:
    Presence(env.store, env.settings.channels.values()).look()


def texts(env: Env) -> list[str]:
    return [part.text for part in env.network.sent]


def test_a_reply_that_nobody_heard_goes_before_a_younger_one(
    env: Env, clock: threading.Thread
) -> None:
    env.chatwoot.agent_reply(1, "one")
    web_returns(env)
    env.agent_replies("two")
    env.drain()
    assert texts(env) == []
    clock.start()
    until(lambda: not Returns(env.store).wanted_look("cards"), 10)
    env.drain()
    assert texts(env) == ["one", "two"]


def test_a_clock_that_runs_looks_at_once(env: Env, clock: threading.Thread) -> None:
    """Though it has just looked, and the next round is a minute away."""
    clock.start()
    until(lambda: env.store.exists(keys.lock_reconciler("cards")), 10)
    for text in ("one", "three"):
        env.chatwoot.agent_reply(1, text)
        web_returns(env)
        until(lambda: not Returns(env.store).wanted_look("cards"), 10)
    env.drain()
    assert texts(env) == ["one", "three"]


def test_a_chatwoot_that_does_not_answer_the_look_holds_replies_for_seconds_only(
    env: Env, clock: threading.Thread
) -> None:
    web_returns(env)
    env.agent_replies("two")
    env.chatwoot.go_away()
    clock.start()
    env.drain()
    assert texts(env) == []
    assert 0 < env.store.pttl(keys.hold("channel/cards")) <= 10_000
    env.store.pexpire(keys.hold("channel/cards"), 1)
    env.drain_until(lambda: texts(env) == ["two"])
    env.chatwoot.come_back()
