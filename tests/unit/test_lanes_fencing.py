"""A worker whose lease has run out changes nothing any more, whatever it still meant to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from gateway.lanes import Lane, Lanes, Lease, LeaseVoid, Note, keys
from gateway.lanes.route import Route
from tests.unit.lanes_kit import (
    LEASE,
    UNLIMITED,
    claim,
    claim_one,
    counted,
    drained,
    lanes_over,
    lease_dies,
    ledger,
    letter,
    reply,
    snapshot,
    stolen,
    taken,
)

NOTE = Note("n1", Lane("status", "shop", "7"), "chatwoot", "was not delivered")
STEPS: dict[str, Callable[[Lanes, Lease], Any]] = {
    "take": lambda lanes, lease: lanes.take(lease, pace=UNLIMITED),
    "mark": lambda lanes, lease: lanes.announce(lease, "r5", "there"),
    "ack": lambda lanes, lease: lanes.ack(lease, "r5", pace=UNLIMITED),
    "ack and stop": lambda lanes, lease: lanes.ack(lease, "r5", pace=UNLIMITED, after="stop"),
    "defer": lambda lanes, lease: lanes.defer(lease, "r5", 9, error="busy", trouble="down"),
    "bury": lambda lanes, lease: lanes.bury(lease, "r5", "no", pace=UNLIMITED, note=NOTE),
}


def lost(store: redis.Redis) -> tuple[Lanes, Lease, Lease]:
    """One worker took r5, its lease ran out, and another took it too."""
    lanes = lanes_over(store)
    lanes.append([reply(5), reply(8)])
    mine = claim_one(lanes)
    taken(lanes, mine)
    theirs = stolen(lanes, store, mine)
    assert taken(lanes, theirs).id == "r5"
    return lanes, mine, theirs


@pytest.mark.parametrize("name", STEPS)
def test_a_step_without_a_lease_is_void_and_changes_nothing(store: redis.Redis, name: str) -> None:
    lanes, mine, theirs = lost(store)
    before = snapshot(store)
    with pytest.raises(LeaseVoid):
        STEPS[name](lanes, mine)
    assert snapshot(store) == before
    following = lanes.ack(theirs, "r5", pace=UNLIMITED)
    assert following is not None
    assert following.id == "r8"


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_void_as_soon_as_the_lease_has_run_out(store: redis.Redis, name: str) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    lease_dies(store, lease)
    before = snapshot(store)
    with pytest.raises(LeaseVoid):
        STEPS[name](lanes, lease)
    assert snapshot(store) == before


def test_an_ack_repeated_after_the_lane_was_handed_on_is_void(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5), reply(8)])
    mine = claim_one(lanes)
    taken(lanes, mine)
    lanes.ack(mine, "r5", pace=UNLIMITED, nonce="n")
    theirs = stolen(lanes, store, mine)
    taken(lanes, theirs)
    before = snapshot(store)
    with pytest.raises(LeaseVoid):
        lanes.ack(mine, "r5", pace=UNLIMITED, nonce="n")
    assert snapshot(store) == before


@pytest.mark.parametrize("message", ["", "r5"])
def test_a_release_without_a_lease_takes_nothing_from_the_new_holder(
    store: redis.Redis, message: str
) -> None:
    lanes, mine, theirs = lost(store)
    before = snapshot(store)
    lanes.release(mine, message)
    assert snapshot(store) == before
    assert lanes.renew([mine, theirs], seconds=LEASE) == {theirs}


def test_renewing_keeps_only_what_is_ours(store: redis.Redis) -> None:
    lanes, mine, _ = lost(store)
    before = snapshot(store)
    assert lanes.renew([mine], seconds=LEASE * 100) == frozenset()
    assert snapshot(store) == before


def test_renewing_moves_the_end_of_the_lease_and_the_time_the_lane_is_due(
    store: redis.Redis,
) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5)])
    lease = claim_one(lanes)
    store.pexpire(keys.lease(lease.lane), 1000)
    store.zadd(keys.due("shop"), {str(lease.lane): 0})
    assert lanes.renew([lease], seconds=LEASE) == {lease}
    assert int(store.pttl(keys.lease(lease.lane))) > 1000
    assert claim(lanes) == []


def test_a_part_that_was_sent_is_noted_whoever_owns_the_lane(store: redis.Redis) -> None:
    lanes, mine, theirs = lost(store)
    with pytest.raises(LeaseVoid):
        lanes.record_part(mine, "r5", 1, 2, ["x1"])
    lanes.release(theirs, "r5")
    again = taken(lanes, claim_one(lanes))
    assert again.parts == {1: ("x1",)}
    assert not again.uncertain


def test_a_part_noted_twice_keeps_its_first_ids(store: redis.Redis) -> None:
    lanes, mine, theirs = lost(store)
    lanes.record_part(theirs, "r5", 1, 1, ["theirs"])
    with pytest.raises(LeaseVoid):
        lanes.record_part(mine, "r5", 1, 1, ["mine"])
    assert ledger(store, "r5")["part:1"] == '["theirs"]'


def test_a_dead_worker_s_message_is_uncertain_and_counts_the_crash(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1)])
    lease = claim_one(lanes)
    first = taken(lanes, lease)
    assert (first.uncertain, first.crashes, first.attempts) == (False, 0, 1)
    lanes.announce(lease, "m1", "conversation 7")
    lease = stolen(lanes, store, lease)
    second = taken(lanes, lease)
    assert (second.uncertain, second.crashes, second.attempts) == (True, 1, 2)
    assert second.target == "conversation 7"
    third = taken(lanes, stolen(lanes, store, lease))
    assert (third.uncertain, third.crashes, third.attempts) == (True, 2, 3)
    assert counted(store, "uncertain") == 1


def test_an_uncertain_message_remembers_when_its_call_was_announced(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.announce(lease, "m1", "there")
    store.hincrby(keys.message("m1"), "announced_at", -50_000)
    lease = stolen(lanes, store, lease)
    assert 50 <= taken(lanes, lease).since_announced < 60
    lanes.defer(lease, "m1", 0)
    assert 50 <= taken(lanes, claim_one(lanes)).since_announced < 60


def test_where_a_message_will_go_is_noted_as_it_is_handed_out(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1), letter(2)])
    lease = claim_one(lanes)
    assert taken(lanes, lease).target == ""
    routes = {lease.lane: Route(conversation=7, newest=41)}
    lanes.ack(lease, "m1", pace=UNLIMITED, routes=routes)
    again = taken(lanes, stolen(lanes, store, lease))
    assert (again.id, again.uncertain, again.target) == ("m2", True, "message:7:41")


def test_a_message_given_back_before_its_call_was_never_tried(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.release(lease, "m1")
    again = taken(lanes, claim_one(lanes))
    assert (again.uncertain, again.crashes, again.attempts) == (False, 0, 1)


def test_a_released_lane_may_be_told_to_wait(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1)])
    lanes.release(claim_one(lanes), seconds=30)
    found = lanes.claim(9, seconds=LEASE, most_each=9, at_work={}, token="t")
    assert found.leases == ()
    assert found.next_due is not None
    assert 25 < found.next_due <= 30


def test_a_lane_has_one_holder_even_if_its_destination_was_renamed(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1)])
    mine = claim_one(lanes)
    lanes.append([letter(2, destination="chatwoot, moved")])
    assert claim(lanes) == []
    assert taken(lanes, mine).id == "m1"
    lanes.ack(mine, "m1", pace=UNLIMITED, after="stop")
    assert drained(lanes) == ["m2"]


def test_ack_removes_exactly_the_message_it_names(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.append([reply(3)])
    following = lanes.ack(lease, "r5", pace=UNLIMITED)
    assert following is not None
    assert following.id == "r3"
    assert ledger(store, "r5")["state"] == "done"


def test_a_message_that_has_left_cannot_end_again(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5), reply(6), reply(8)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    for _ in range(3):
        lanes.ack(lease, "r5", pace=UNLIMITED)
    for _ in range(3):
        lanes.bury(lease, "r6", "no", pace=UNLIMITED)
    lanes.ack(lease, "r6", pace=UNLIMITED)
    assert counted(store, "delivered_out") == 1
    assert counted(store, "buried_out") == 1
    assert store.xlen(keys.DEAD_LETTERS) == 1
    assert store.zrange(keys.lane("out/shop/7"), 0, -1) == ["r8"]
