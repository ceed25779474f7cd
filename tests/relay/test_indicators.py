"""Customers see that an agent types, where the network can show it; and nothing waits for that."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from gateway.chatwoot.webhook import read
from gateway.errors import Unreachable
from gateway.intake.indicators import IndicatorQueue
from gateway.lanes import keys
from gateway.model import Place
from gateway.relay.indicators import Indicators
from sandbox.chatwoot import payloads
from sandbox.chatwoot.records import Event
from tests.relay.env import Env, Postcards


class Lively(Postcards):
    """A network with a sign for typing."""

    seen: list[str]

    def show_typing(self, place: Place) -> None:
        self.seen.append(place.peer)
        if self.errors:
            raise self.errors.pop()


@pytest.fixture(autouse=True)
def lively(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    """Customers have written, and the network has a sign."""
    monkeypatch.setattr(Lively, "seen", [], raising=False)
    monkeypatch.setattr(type(env.channel), "adapter", Lively)
    monkeypatch.setattr(env.network, "__class__", Lively)
    for peer in ("p1", "p2"):
        env.customer_writes(f"I am {peer}", peer=peer)
        env.drain()


def agent_types(
    env: Env, conversation: int = 1, *, typing: str = "on", private: bool = False
) -> str:
    return told(env, lambda: env.chatwoot.agent_typing(conversation, typing, private=private))


def seen(env: Env, count: int) -> list[str]:
    """Who was shown a sign, once there are so many."""
    env.drain_until(lambda: len(Lively.seen) >= count)
    return Lively.seen


def told(env: Env, act: Any) -> str:
    """What the gateway does with the webhook that follows an act."""
    events: list[Event] = []
    listeners = env.chatwoot.store.listeners
    listeners.append(events.extend)
    act()
    listeners.remove(events.extend)
    with env.chatwoot.store.reading():
        payload = payloads.payload(env.chatwoot.store, events[-1])
    return env.intake.take_event(env.channel, read(payload))


def test_an_agent_at_the_keyboard_is_shown(env: Env) -> None:
    assert agent_types(env) == "noted:typing"
    assert env.store.llen("rq:queue:gateway") > 0  # somebody was asked to show it
    assert seen(env, 1) == ["p1"]


def test_the_network_is_told_the_thread_and_the_context_too(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    places: list[Place] = []
    monkeypatch.setattr(Lively, "show_typing", lambda _, place: places.append(place))
    env.customer_writes("in here", peer="p3", thread="t", context={"room": "7"})
    env.drain()
    agent_types(env, 3)
    env.drain_until(lambda: places)
    assert places == [Place("p3", "t", {"room": "7"})]


def test_each_conversation_is_shown_once_in_a_while(env: Env) -> None:
    agent_types(env)
    assert agent_types(env) == "ignored:AgentTyping"
    assert agent_types(env, 2) == "noted:typing"
    assert sorted(seen(env, 2)) == ["p1", "p2"]


def test_who_stops_before_it_is_shown_is_not_shown(env: Env) -> None:
    agent_types(env)
    assert agent_types(env, typing="off") == "noted:typing_ended"
    env.drain()
    assert Lively.seen == []
    agent_types(env)
    assert seen(env, 1) == ["p1"]


def test_who_stops_after_it_was_shown_gets_no_second_sign_at_once(env: Env) -> None:
    agent_types(env)
    seen(env, 1)
    assert agent_types(env, typing="off") == "ignored:AgentStoppedTyping"
    assert agent_types(env) == "ignored:AgentTyping"
    env.drain()
    assert Lively.seen == ["p1"]


def test_who_stops_typing_a_note_leaves_the_sign_of_a_reply(env: Env) -> None:
    agent_types(env)
    assert agent_types(env, typing="off", private=True).startswith("ignored")
    assert seen(env, 1) == ["p1"]


def test_who_types_a_note_is_not_shown(env: Env) -> None:
    assert agent_types(env, private=True).startswith("ignored")


def test_a_customers_own_typing_does_not_come_back(env: Env) -> None:
    payload = {"event": "conversation_typing_on", "user": {"id": 42, "name": "Ada"}}
    assert env.intake.take_event(env.channel, read(payload)).startswith("ignored")


def test_what_is_not_shown_in_time_is_dropped(env: Env) -> None:
    agent_types(env)
    assert 0 < int(str(env.store.pttl(keys.typing_in("cards/1")))) <= 5000
    assert 0 < int(str(env.store.pttl(keys.TYPING))) <= 5000
    env.store.delete(keys.typing_in("cards/1"))  # its time is over
    env.drain()
    assert Lively.seen == []
    assert env.store.llen(keys.TYPING) == 0


def test_a_channel_without_a_sign_keeps_no_hints(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(env.channel), "adapter", Postcards)
    assert agent_types(env) == "ignored:AgentTyping"
    assert not env.store.exists(keys.TYPING)


@pytest.mark.parametrize("error", [Unreachable("away"), ValueError("a fault of the adapter")])
def test_a_sign_that_fails_harms_nothing(env: Env, error: Exception) -> None:
    env.network.errors = [error]
    agent_types(env)
    env.drain()
    env.agent_replies("hi")
    env.drain()
    assert [part.text for part in env.network.sent] == ["hi"]
    assert Lively.seen == ["p1"]


def test_signs_that_were_shown_leave_room_for_others(env: Env) -> None:
    indicators = Indicators(IndicatorQueue(env.store), env.deliveries.adapters, env.pool)
    for shown in range(1, 9):
        env.store.delete(keys.typing_in("cards/1"))  # some time later
        agent_types(env)
        deadline = time.monotonic() + 5
        while len(Lively.seen) < shown:
            assert time.monotonic() < deadline, "it was not shown"
            indicators.show_while_waiting(0.01)


def test_signs_that_hang_leave_the_threads_to_the_messages(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def hang(network: Lively, place: Place) -> None:
        Lively.seen.append(place.peer)
        go_on.wait(20)

    monkeypatch.setattr(Lively, "show_typing", hang)
    for number in range(3, 20):
        env.customer_writes("hello", peer=f"p{number}", number=number)
    env.drain()
    for conversation in range(1, 20):
        agent_types(env, conversation)
    env.agent_replies("hi")
    try:
        env.drain_until(lambda: env.network.sent)
        assert 1 <= len(Lively.seen) <= 4
    finally:
        go_on.set()
