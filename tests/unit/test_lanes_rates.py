"""Rates: every call has a slot of its own; a lane that waits for one does not ask again."""

from __future__ import annotations

from typing import cast

import pytest
import redis

from gateway.lanes import Lanes, Lease, Pace, keys
from gateway.model import Rate
from tests.unit.lanes_kit import (
    UNLIMITED,
    becomes_due,
    claim,
    claim_one,
    due_in,
    lanes_over,
    ledger,
    letter,
    reply,
    server_time,
    stolen,
    taken,
)

SPREAD = Pace(destination=Rate(1, seconds=10))
BURSTS = Pace(destination=Rate(1, seconds=10, burst=3))
LANE = Pace(lane=Rate(1, seconds=10, burst=2))


def several(store: redis.Redis, count: int) -> tuple[Lanes, list[Lease]]:
    """Replies wait in lanes of their own, all claimed, in the order of their numbers."""
    lanes = lanes_over(store)
    lanes.append(reply(n, conversation=str(n)) for n in range(1, count + 1))
    return lanes, sorted(claim(lanes), key=lambda lease: lease.lane.key)


def waits(store: redis.Redis, *numbers: int) -> list[float]:
    """In how many seconds each lane is due, to ten."""
    lanes = (reply(n, conversation=str(n)) for n in numbers)
    return [round(due_in(store, lane), -1) for lane in lanes]


def slot_comes(store: redis.Redis, lease: Lease, message: str) -> None:
    store.hset(keys.message(message), "slot", int(server_time(store) * 1000) - 1)
    becomes_due(store, lease)


def tat(store: redis.Redis, destination: str = "shop") -> float:
    return float(cast(str, store.hget(keys.gate(destination), "tat")))


def test_calls_to_a_destination_are_spread(store: redis.Redis) -> None:
    lanes, leases = several(store, 4)
    assert taken(lanes, leases[0], pace=SPREAD).id == "r1"
    assert [lanes.take(lease, pace=SPREAD) for lease in leases[1:]] == [None] * 3
    assert waits(store, 2, 3, 4) == [10, 20, 30]


def test_a_burst_goes_at_once_and_then_they_are_spread(store: redis.Redis) -> None:
    lanes, leases = several(store, 5)
    answers = [lanes.take(lease, pace=BURSTS) for lease in leases]
    assert [answer is not None for answer in answers] == [True, True, True, False, False]
    assert waits(store, 4, 5) == [10, 20]


def test_a_lane_has_a_rate_of_its_own(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append(reply(n) for n in (1, 2, 3))
    lanes.append([reply(9, conversation="9")])
    lease, other = sorted(claim(lanes), key=lambda lease: lease.lane.key)
    taken(lanes, lease, pace=LANE)
    second = lanes.ack(lease, "r1", pace=LANE)
    assert second is not None
    assert lanes.ack(lease, "r2", pace=LANE) is None
    assert 5 < due_in(store, reply(3)) <= 10
    assert taken(lanes, other, pace=LANE).id == "r9"
    assert int(store.pttl(keys.pace("out/shop/7"))) > 0


def test_a_lane_that_waited_for_its_slot_does_not_ask_again(store: redis.Redis) -> None:
    lanes, (first, second) = several(store, 2)
    taken(lanes, first, pace=SPREAD)
    assert lanes.take(second, pace=SPREAD) is None
    before = tat(store)
    slot_comes(store, second, "r2")
    lease = claim_one(lanes)
    assert taken(lanes, lease, pace=SPREAD).id == "r2"
    assert tat(store) == before
    assert "slot" not in ledger(store, "r2")
    lanes.defer(lease, "r2", 0)
    assert lanes.take(claim_one(lanes), pace=SPREAD) is None  # another attempt, another slot
    assert tat(store) > before


def test_waiting_for_a_slot_is_no_attempt(store: redis.Redis) -> None:
    lanes, (first, second) = several(store, 2)
    taken(lanes, first, pace=SPREAD)
    lanes.take(second, pace=SPREAD)
    slot_comes(store, second, "r2")
    message = taken(lanes, claim_one(lanes), pace=SPREAD)
    assert (message.attempts, message.uncertain, message.crashes) == (1, False, 0)


def test_a_later_part_waits_for_a_slot_of_its_own(store: redis.Redis) -> None:
    lanes, (lease,) = several(store, 1)
    taken(lanes, lease, pace=SPREAD)
    assert lanes.announce(lease, "r1", "part 1") == "go"
    lanes.record_part(lease, "r1", 1, 2, ["x1"])
    assert lanes.announce(lease, "r1", "part 2", pace=SPREAD) == "wait"
    assert waits(store, 1) == [10]
    slot_comes(store, lease, "r1")
    lease = claim_one(lanes)
    again = taken(lanes, lease, pace=SPREAD)
    assert (again.attempts, again.uncertain, again.parts) == (1, False, {1: ("x1",)})
    assert lanes.announce(lease, "r1", "part 2") == "go"


def test_a_crash_is_not_forgotten_when_the_next_attempt_must_wait(store: redis.Redis) -> None:
    lanes, (lease,) = several(store, 1)
    taken(lanes, lease, pace=SPREAD)
    lease = stolen(lanes, store, lease)
    assert lanes.take(lease, pace=SPREAD) is None
    slot_comes(store, lease, "r1")
    message = taken(lanes, claim_one(lanes), pace=SPREAD)
    assert (message.uncertain, message.crashes) == (True, 1)


@pytest.mark.parametrize("pace", [UNLIMITED, SPREAD, BURSTS])
def test_a_throttled_destination_rests_as_long_as_it_asked(store: redis.Redis, pace: Pace) -> None:
    lanes, (first, *others) = several(store, 3)
    taken(lanes, first, pace=pace)
    lanes.defer(first, "r1", 60, error="too fast", trouble="throttled")
    assert [lanes.take(lease, pace=pace) for lease in others] == [None, None]
    assert waits(store, 1, 2) == [60, 60]
    assert waits(store, 3) == [60 if pace is UNLIMITED else 70]


def test_a_slot_reserved_before_the_pause_is_moved_behind_it(store: redis.Redis) -> None:
    lanes, (first, second) = several(store, 2)
    taken(lanes, first, pace=SPREAD)
    assert lanes.take(second, pace=SPREAD) is None
    lanes.defer(first, "r1", 60, error="too fast", trouble="throttled")
    slot_comes(store, second, "r2")
    assert lanes.take(claim_one(lanes), pace=SPREAD) is None
    assert waits(store, 2) == [60]


def test_a_shorter_pause_does_not_cut_a_longer_one(store: redis.Redis) -> None:
    lanes, (first, second, third) = several(store, 3)
    for lease, message, seconds in ((first, "r1", 60), (second, "r2", 5)):
        lanes.announce(lease, message, "there")
        lanes.defer(lease, message, seconds, error="too fast", trouble="throttled")
    assert lanes.take(third, pace=UNLIMITED) is None
    assert waits(store, 3) == [60]


def test_two_destinations_have_rates_of_their_own(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(1, conversation="1"), reply(2, conversation="2", destination="other")])
    first, second = claim(lanes)
    assert lanes.take(first, pace=SPREAD) is not None
    assert lanes.take(second, pace=SPREAD) is not None


def test_slots_that_were_missed_together_do_not_go_at_once(store: redis.Redis) -> None:
    """Behind a gate that was closed for an hour, say."""
    lanes, leases = several(store, 4)
    taken(lanes, leases[0], pace=SPREAD)
    for lease in leases[1:]:
        assert lanes.take(lease, pace=SPREAD) is None
        becomes_due(store, lease)
    hour_ago = int(server_time(store) - 3600) * 1000
    store.hset(keys.gate("shop"), "tat", hour_ago)
    for n in (2, 3, 4):
        store.hset(keys.message(f"r{n}"), "slot", hour_ago)
    again = sorted(claim(lanes), key=lambda lease: lease.lane.key)
    assert [lanes.take(lease, pace=SPREAD) is not None for lease in again] == [True, False, False]
    assert waits(store, 3, 4) == [10, 20]


def test_a_probe_waits_for_no_slot(store: redis.Redis) -> None:
    lanes, (lease,) = several(store, 1)
    store.hset(keys.gate("shop"), "tat", int(server_time(store) + 3600) * 1000)
    store.hset(keys.gate("shop"), mapping={"state": "probing", "probe": str(lease.lane)})
    assert taken(lanes, lease, pace=SPREAD).id == "r1"


def test_a_customers_first_message_reserves_for_finding_them_too(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    store.hset(keys.route("in/shop/known"), "conversation", "7")
    for peer, calls in (("new", 4), ("known", 1)):
        lanes.append([letter(calls, peer=peer)])
        before = server_time(store) * 1000
        store.hset(keys.gate("chatwoot"), "tat", before)
        lanes.take(claim_one(lanes), pace=Pace(destination=Rate(1, seconds=10, burst=9)))
        assert round((tat(store, "chatwoot") - before) / 10_000) == calls
