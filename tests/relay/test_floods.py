"""The brake: a customer who floods us is slowed down, told of once, and answered by no machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

from gateway.chatwoot.webhook import read
from gateway.clock.reconcile import Reconciler
from gateway.lanes.watermark import keep_mark, mark_of
from gateway.relay.floods import WITHHELD, tell_of_flood
from sandbox.chatwoot import ChatwootStandIn
from tests.relay.house import House, opened, settings_for, webhook

BRAKE = 3
KEY = "gw:brake:cards:p1"


@pytest.fixture
def house(redis_url: str, store: redis.Redis) -> Iterator[House]:
    with ChatwootStandIn() as chatwoot:
        inbox = chatwoot.add_inbox("Cards", None)
        settings = settings_for(chatwoot, inbox, redis_url, brake=BRAKE)
        with opened(settings, chatwoot, store) as built:
            yield built


def flood(house: House, count: int = BRAKE + 2, *, peer: str = "p1") -> list[str]:
    texts = [f"{peer} no. {n}" for n in range(count)]
    for text in texts:
        assert house.customer_writes(text, peer=peer).ids
    return texts


def silence(house: House) -> None:
    """A minute without a message, and the slots that were reserved before it have passed."""
    assert 0 < house.store.pttl(KEY) <= 60_000
    house.store.delete(KEY)
    for key in house.store.scan_iter("gw:flood:*"):
        house.store.delete(key)
    house.make_due()


def machine_answers(house: House, text: str, conversation: int = 1) -> int:
    """A rule of Chatwoot writes: no sender."""
    number = house.chatwoot.agent_reply(conversation, text)
    payload = webhook(house.chatwoot, conversation, number, "message_created")
    house.intake.take_event(house.channel, read({**payload, "sender": None}))
    return number


def test_a_flood_is_slowed_told_of_once_and_lost_nowhere(house: House) -> None:
    texts = flood(house)
    house.drain()
    assert house.incoming() == texts[:1]
    flood(house, 1, peer="p2")
    house.drain()
    assert house.incoming() == [*texts[:1], "p2 no. 0"]  # nobody else is slowed down
    silence(house)
    house.drain()
    assert house.incoming()[: len(texts)] == texts
    [note] = house.notes()
    assert "more than 3 messages in a minute" in note
    assert house.count("brakes") == 1


def test_what_the_brake_allows_is_not_slowed(house: House) -> None:
    texts = flood(house, BRAKE)
    house.drain()
    assert (house.incoming(), house.notes(), house.count("brakes")) == (texts, [], 0)


def test_the_note_is_left_once_though_it_is_asked_for_again(house: House) -> None:
    flood(house)
    house.drain()
    tell_of_flood(house.lanes, house.channel, "p1", 1)  # as by a worker that takes over
    house.drain()
    assert len(house.notes()) == 1
    silence(house)
    house.drain()
    flood(house, peer="p1 again")
    tell_of_flood(house.lanes, house.channel, "p1", 1)
    house.drain()
    assert len(house.notes()) == 1


def test_a_second_flood_is_told_of_again(house: House) -> None:
    flood(house)
    house.drain()
    silence(house)
    house.drain()
    for n in range(BRAKE + 1):
        house.customer_writes(f"later {n}")
    house.drain()
    assert (len(house.notes()), house.count("brakes")) == (2, 2)


def test_every_message_of_the_flood_keeps_the_brake_on(house: House) -> None:
    flood(house)
    house.store.pexpire(KEY, 30_000)
    house.store.delete("gw:flood:in:cards:p1")
    house.customer_writes("one more")
    assert 50_000 < house.store.pttl(KEY) <= 60_000


def test_a_repeated_webhook_does_not_count(house: House) -> None:
    flood(house, BRAKE)
    for n in range(BRAKE):
        assert not house.customer_writes(f"p1 no. {n}").ids
    assert not house.store.exists(KEY)


def test_no_machine_answers_a_flood_but_an_agent_does(house: House) -> None:
    house.customer_writes("hello")
    house.drain()
    flood(house)
    automatic, own = machine_answers(house, "We are closed"), house.agent_replies("Stop, please")
    house.drain()
    assert [part.text for part in house.network.sent] == ["Stop, please"]
    house.drain()
    red = house.shown(automatic)
    assert (red["status"], red["content_attributes"]["external_error"]) == ("failed", WITHHELD)
    assert house.shown(own)["status"] == "sent"
    house.chatwoot.agent_retry(automatic)
    house.told(automatic, event="message_updated")
    house.drain_until(lambda: len(house.network.sent) == 2)
    assert house.network.sent[-1].text == "We are closed"[: len(house.network.sent[-1].text)]


def test_nor_one_whose_webhook_was_lost(house: House) -> None:
    house.customer_writes("hello")
    house.drain()
    way = house.deliveries.chatwoots["main"]
    reconciler = Reconciler(house.channel, way, house.lanes, house.intake)
    reconciler.look()
    flood(house)
    automatic = house.chatwoot.automatic_reply(1, "We are closed")
    house.chatwoot.agent_reply(1, "Stop, please")
    assert reconciler.look() == 2
    house.drain()
    assert [part.text for part in house.network.sent] == ["Stop, please"]
    house.drain()
    assert house.shown(automatic)["content_attributes"]["external_error"] == WITHHELD


def test_automatic_replies_that_gathered_while_we_were_away_are_no_flood(house: House) -> None:
    house.customer_writes("hello")
    house.drain()
    way = house.deliveries.chatwoots["main"]
    reconciler = Reconciler(house.channel, way, house.lanes, house.intake)
    reconciler.look()
    mark = mark_of(house.lanes, "cards")
    assert mark is not None
    keep_mark(house.lanes, "cards", replace(mark, since=mark.since - 600, looked=mark.looked - 600))
    for n in range(BRAKE + 2):
        number = house.chatwoot.automatic_reply(1, f"auto {n}")
        house.chatwoot.store.messages.get(number).created_at -= 120
    assert reconciler.look() == BRAKE + 2
    house.drain()
    assert len(house.network.sent) == BRAKE + 2


def test_two_machines_that_answer_each_other_are_parted(house: House) -> None:
    """Each answers whatever it gets, for as long as it gets something."""
    spoken = 0
    house.customer_writes("hello")
    house.drain()
    while len(house.network.sent) < 50:
        before = len(house.network.sent)
        machine_answers(house, f"auto {spoken}")
        house.drain()
        if len(house.network.sent) == before:
            break
        spoken += 1
        # Slowly enough for the customer's own messages never to be too many in a minute.
        house.store.delete("gw:flood:in:cards:p1")
        house.customer_writes(f"no, you {spoken}")
        house.drain()
    assert spoken == BRAKE
    [note] = house.notes()
    assert "automatic replies" in note


def test_what_gathered_while_we_were_away_is_no_flood(house: House) -> None:
    for n in range(BRAKE + 5):
        house.customer_writes(f"no. {n}", sent_at=time.time() - 120)
    house.drain()
    assert len(house.incoming()) == BRAKE + 5
    assert house.count("brakes") == 0


def test_without_a_brake_nothing_is_slowed(house: House) -> None:
    house.channel.config.__dict__["brake"] = 0
    texts = flood(house, 20)
    house.drain()
    assert (house.incoming(), house.notes()) == (texts, [])


def test_a_full_redis_still_drains_a_flood(house: House) -> None:
    flood(house)
    house.store.config_set("maxmemory", "1mb")
    try:
        house.drain()
        assert house.incoming() == ["p1 no. 0"]
        assert house.store.hget("gw:msg:i:cards:p1 no. 0", "state") == "done"
    finally:
        house.store.config_set("maxmemory", "0")
