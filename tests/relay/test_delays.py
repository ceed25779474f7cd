"""Agents are told of replies that wait, whatever keeps them."""

from __future__ import annotations

import pytest

from gateway.clock.delay_notices import Delays
from gateway.errors import Permanent, Retry, Unreachable
from gateway.intake.doorbell import Bell, queue_key
from tests.relay.house import House


@pytest.fixture(autouse=True)
def somebody_wrote(house: House) -> None:
    house.customer_writes("hello")
    house.drain()


@pytest.fixture
def delays(house: House) -> Delays:
    return Delays(house.settings, house.lanes, Bell(house.store))


def an_hour_passes(house: House) -> None:
    """For whatever waits, but not long enough to be given up."""
    for key in house.store.scan_iter("gw:msg:o:*"):
        house.store.hincrby(key, "ready", -3000_000)


def test_a_reply_that_waits_is_explained_once_and_then_reported_as_delivered(
    house: House, delays: Delays
) -> None:
    house.network.errors = [Retry("The provider has a pause.", after=40.0)]
    number = house.agent_replies("hi")
    house.drain()
    assert delays.look() == 0
    an_hour_passes(house)
    assert delays.look() == 1
    assert delays.look() == 0
    house.drain()
    [note] = house.notes()
    assert note.startswith(
        "Not delivered yet: The provider has a pause. The next attempt is due at "
    )
    shown = [m for m in house.chatwoot.messages(1) if m["private"]]
    assert shown[0]["content_attributes"]["in_reply_to"] == number
    house.drain_until(lambda: len(house.notes()) == 2)
    assert house.notes()[1] == "Delivered now."
    assert [part.text for part in house.network.sent] == ["hi"]


def test_one_that_nobody_attempts_because_the_gate_is_closed_is_explained_too(
    house: House, delays: Delays
) -> None:
    house.customer_writes("me too", peer="p2")
    house.drain()
    house.network.errors = [Unreachable("The provider cannot be reached") for _ in range(20)]
    house.agent_replies("hi")
    house.drain_until(lambda: house.store.hget("gw:gate:channel/cards", "state") == "closed")
    house.agent_replies("and you", conversation=2)
    house.drain()
    an_hour_passes(house)
    assert delays.look() == 2
    house.drain()
    [note] = house.notes(2)
    assert "The provider cannot be reached" in note


def test_a_note_does_not_ring_while_a_ring_is_unheard(house: House, delays: Delays) -> None:
    house.network.errors = [Retry("busy", after=40.0)]
    house.agent_replies("hi")
    house.drain()
    an_hour_passes(house)
    house.store.delete(queue_key())
    Bell(house.store).ring()
    assert delays.look() == 1
    assert house.store.llen(queue_key()) == 1


def test_one_that_failed_after_all_is_red_and_that_says_it(house: House, delays: Delays) -> None:
    house.network.errors = [Retry("busy", after=40.0), Permanent("No such customer")]
    number = house.agent_replies("hi")
    house.drain()
    an_hour_passes(house)
    delays.look()
    house.drain_until(lambda: house.shown(number)["status"] == "failed")
    house.drain()
    assert len(house.notes()) == 1


def test_with_a_dead_chatwoot_the_reply_is_sent_and_the_notes_come_later(
    house: House, delays: Delays
) -> None:
    house.network.errors = [Retry("busy", after=40.0)]
    house.agent_replies("hi")
    house.drain()
    an_hour_passes(house)
    house.chatwoot.go_away()
    delays.look()
    house.drain_until(lambda: house.network.sent)
    house.chatwoot.come_back()
    house.drain_until(lambda: len(house.notes()) == 2)
    assert house.notes()[0].startswith("Not delivered yet: busy.")


def test_zero_means_never(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    never = house.channel.config.model_copy(update={"delay_notice": 0.0})
    monkeypatch.setattr(type(house.channel), "config", never)
    house.network.errors = [Retry("busy", after=40.0)]
    house.agent_replies("hi")
    house.drain()
    an_hour_passes(house)
    assert Delays(house.settings, house.lanes, Bell(house.store)).look() == 0
