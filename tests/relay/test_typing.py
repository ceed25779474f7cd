"""Customers see that an agent types, where the network can show it; and nothing waits for that."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from gateway.chatwoot.webhook import read
from gateway.errors import Unreachable
from gateway.intake.indicators import Hints
from gateway.relay.indicators import Signs
from sandbox.chatwoot import payloads
from sandbox.chatwoot.records import Event
from tests.relay.house import House, Postcards


class Lively(Postcards):
    """A network with a sign for typing."""

    seen: list[str]

    def typing(self, peer: str) -> None:
        self.seen.append(peer)
        if self.errors:
            raise self.errors.pop()


@pytest.fixture(autouse=True)
def lively(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Customers have written, and the network has a sign."""
    monkeypatch.setattr(Lively, "seen", [], raising=False)
    monkeypatch.setattr(type(house.channel), "adapter", Lively)
    monkeypatch.setattr(house.network, "__class__", Lively)
    for peer in ("p1", "p2"):
        house.customer_writes(f"I am {peer}", peer=peer)
        house.drain()


def agent_types(
    house: House, conversation: int = 1, *, typing: str = "on", private: bool = False
) -> str:
    return told(house, lambda: house.chatwoot.agent_typing(conversation, typing, private=private))


def seen(house: House, count: int) -> list[str]:
    """Who was shown a sign, once there are so many."""
    house.drain_until(lambda: len(Lively.seen) >= count)
    return Lively.seen


def told(house: House, act: Any) -> str:
    """What the gateway does with the webhook that follows an act."""
    events: list[Event] = []
    listeners = house.chatwoot.store.listeners
    listeners.append(events.extend)
    act()
    listeners.remove(events.extend)
    with house.chatwoot.store.reading():
        payload = payloads.payload(house.chatwoot.store, events[-1])
    return house.intake.take_event(house.channel, read(payload))


def test_an_agent_at_the_keyboard_is_shown(house: House) -> None:
    assert agent_types(house) == "noted:typing"
    assert house.store.llen("rq:queue:gateway") > 0  # somebody was asked to show it
    assert seen(house, 1) == ["p1"]


def test_each_conversation_is_shown_once_in_a_while(house: House) -> None:
    agent_types(house)
    assert agent_types(house) == "ignored:AgentTyping"
    assert agent_types(house, 2) == "noted:typing"
    assert sorted(seen(house, 2)) == ["p1", "p2"]


def test_who_stops_before_it_is_shown_is_not_shown(house: House) -> None:
    agent_types(house)
    assert agent_types(house, typing="off") == "noted:typing ended"
    house.drain()
    assert Lively.seen == []
    agent_types(house)
    assert seen(house, 1) == ["p1"]


def test_who_stops_after_it_was_shown_gets_no_second_sign_at_once(house: House) -> None:
    agent_types(house)
    seen(house, 1)
    assert agent_types(house, typing="off") == "ignored:AgentStoppedTyping"
    assert agent_types(house) == "ignored:AgentTyping"
    house.drain()
    assert Lively.seen == ["p1"]


def test_who_stops_typing_a_note_leaves_the_sign_of_a_reply(house: House) -> None:
    agent_types(house)
    assert agent_types(house, typing="off", private=True).startswith("ignored")
    assert seen(house, 1) == ["p1"]


def test_who_types_a_note_is_not_shown(house: House) -> None:
    assert agent_types(house, private=True).startswith("ignored")


def test_a_customers_own_typing_does_not_come_back(house: House) -> None:
    payload = {"event": "conversation_typing_on", "user": {"id": 42, "name": "Ada"}}
    assert house.intake.take_event(house.channel, read(payload)).startswith("ignored")


def test_what_is_not_shown_in_time_is_dropped(house: House) -> None:
    agent_types(house)
    assert 0 < int(str(house.store.pttl("gw:typing:cards/1"))) <= 5000
    assert 0 < int(str(house.store.pttl("gw:typing"))) <= 5000
    house.store.delete("gw:typing:cards/1")  # its time is over
    house.drain()
    assert Lively.seen == []
    assert house.store.llen("gw:typing") == 0


def test_a_channel_without_a_sign_keeps_no_hints(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(house.channel), "adapter", Postcards)
    assert agent_types(house) == "ignored:AgentTyping"
    assert not house.store.exists("gw:typing")


@pytest.mark.parametrize("error", [Unreachable("away"), ValueError("a fault of the adapter")])
def test_a_sign_that_fails_harms_nothing(house: House, error: Exception) -> None:
    house.network.errors = [error]
    agent_types(house)
    house.drain()
    house.agent_replies("hi")
    house.drain()
    assert [part.text for part in house.network.sent] == ["hi"]
    assert Lively.seen == ["p1"]


def test_signs_that_were_shown_leave_room_for_others(house: House) -> None:
    signs = Signs(Hints(house.store), house.deliveries.adapters, house.pool)
    for shown in range(1, 9):
        house.store.delete("gw:typing:cards/1")  # some time later
        agent_types(house)
        deadline = time.monotonic() + 5
        while len(Lively.seen) < shown:
            assert time.monotonic() < deadline, "it was not shown"
            signs.wait(0.01)


def test_signs_that_hang_leave_the_threads_to_the_messages(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def hang(network: Lively, peer: str) -> None:
        Lively.seen.append(peer)
        go_on.wait(20)

    monkeypatch.setattr(Lively, "typing", hang)
    for number in range(3, 20):
        house.customer_writes("hello", peer=f"p{number}", number=number)
    house.drain()
    for conversation in range(1, 20):
        agent_types(house, conversation)
    house.agent_replies("hi")
    try:
        house.drain_until(lambda: house.network.sent)
        assert 1 <= len(Lively.seen) <= 4
    finally:
        go_on.set()
