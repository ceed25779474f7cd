"""A worker whose lease has run out changes nothing any more, whatever it still meant to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from gateway.lanes import Hold, Lane, Lanes, LeaseVoid, Note
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
STEPS: dict[str, Callable[[Lanes, Hold], Any]] = {
    "take": lambda lanes, hold: lanes.take(hold, pace=UNLIMITED),
    "mark": lambda lanes, hold: lanes.mark(hold, "r5", "there"),
    "ack": lambda lanes, hold: lanes.ack(hold, "r5", pace=UNLIMITED),
    "ack and stop": lambda lanes, hold: lanes.ack(hold, "r5", pace=UNLIMITED, after="stop"),
    "defer": lambda lanes, hold: lanes.defer(hold, "r5", 9, error="busy", trouble="down"),
    "bury": lambda lanes, hold: lanes.bury(hold, "r5", "no", pace=UNLIMITED, note=NOTE),
}


def lost(store: redis.Redis) -> tuple[Lanes, Hold, Hold]:
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
    hold = claim_one(lanes)
    taken(lanes, hold)
    lease_dies(store, hold)
    before = snapshot(store)
    with pytest.raises(LeaseVoid):
        STEPS[name](lanes, hold)
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
    assert lanes.renew([mine, theirs], lease=LEASE) == {theirs}


def test_renewing_keeps_only_what_is_ours(store: redis.Redis) -> None:
    lanes, mine, _ = lost(store)
    before = snapshot(store)
    assert lanes.renew([mine], lease=LEASE * 100) == frozenset()
    assert snapshot(store) == before


def test_renewing_moves_the_end_of_the_lease_and_the_time_the_lane_is_due(
    store: redis.Redis,
) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5)])
    hold = claim_one(lanes)
    store.pexpire(f"gw:lease:{hold.lane}", 1000)
    store.zadd("gw:due:shop", {str(hold.lane): 0})
    assert lanes.renew([hold], lease=LEASE) == {hold}
    assert int(store.pttl(f"gw:lease:{hold.lane}")) > 1000
    assert claim(lanes) == []


def test_a_part_that_was_sent_is_noted_whoever_owns_the_lane(store: redis.Redis) -> None:
    lanes, mine, theirs = lost(store)
    with pytest.raises(LeaseVoid):
        lanes.progress(mine, "r5", 1, 2, ["x1"])
    lanes.release(theirs, "r5")
    again = taken(lanes, claim_one(lanes))
    assert again.parts == {1: ("x1",)}
    assert not again.uncertain


def test_a_part_noted_twice_keeps_its_first_ids(store: redis.Redis) -> None:
    lanes, mine, theirs = lost(store)
    lanes.progress(theirs, "r5", 1, 1, ["theirs"])
    with pytest.raises(LeaseVoid):
        lanes.progress(mine, "r5", 1, 1, ["mine"])
    assert ledger(store, "r5")["part:1"] == '["theirs"]'


def test_a_dead_worker_s_message_is_uncertain_and_counts_the_crash(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1)])
    hold = claim_one(lanes)
    first = taken(lanes, hold)
    assert (first.uncertain, first.crashes, first.attempts) == (False, 0, 1)
    lanes.mark(hold, "m1", "conversation 7")
    hold = stolen(lanes, store, hold)
    second = taken(lanes, hold)
    assert (second.uncertain, second.crashes, second.attempts) == (True, 1, 2)
    assert second.target == "conversation 7"
    third = taken(lanes, stolen(lanes, store, hold))
    assert (third.uncertain, third.crashes, third.attempts) == (True, 2, 3)
    assert counted(store, "uncertain") == 1


def test_an_uncertain_message_remembers_when_its_call_was_announced(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1)])
    hold = claim_one(lanes)
    taken(lanes, hold)
    lanes.mark(hold, "m1", "there")
    store.hincrby("gw:msg:m1", "marked", -50_000)
    hold = stolen(lanes, store, hold)
    assert 50 <= taken(lanes, hold).since_mark < 60
    lanes.defer(hold, "m1", 0)
    assert 50 <= taken(lanes, claim_one(lanes)).since_mark < 60


def test_where_a_message_will_go_is_noted_as_it_is_handed_out(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1), letter(2)])
    hold = claim_one(lanes)
    assert taken(lanes, hold).target == ""
    memos = {hold.lane: {"conversation": "7", "newest": "41"}}
    lanes.ack(hold, "m1", pace=UNLIMITED, memos=memos)
    again = taken(lanes, stolen(lanes, store, hold))
    assert (again.id, again.uncertain, again.target) == ("m2", True, "message:7:41")


def test_a_message_given_back_before_its_call_was_never_tried(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1)])
    hold = claim_one(lanes)
    taken(lanes, hold)
    lanes.release(hold, "m1")
    again = taken(lanes, claim_one(lanes))
    assert (again.uncertain, again.crashes, again.attempts) == (False, 0, 1)


def test_a_released_lane_may_be_told_to_wait(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1)])
    lanes.release(claim_one(lanes), seconds=30)
    found = lanes.claim(9, lease=LEASE, most_each=9, at_work={}, token="t")
    assert found.holds == ()
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
    hold = claim_one(lanes)
    taken(lanes, hold)
    lanes.append([reply(3)])
    following = lanes.ack(hold, "r5", pace=UNLIMITED)
    assert following is not None
    assert following.id == "r3"
    assert ledger(store, "r5")["state"] == "done"


def test_a_message_that_has_left_cannot_end_again(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5), reply(6), reply(8)])
    hold = claim_one(lanes)
    taken(lanes, hold)
    for _ in range(3):
        lanes.ack(hold, "r5", pace=UNLIMITED)
    for _ in range(3):
        lanes.bury(hold, "r6", "no", pace=UNLIMITED)
    lanes.ack(hold, "r6", pace=UNLIMITED)
    assert counted(store, "delivered_out") == 1
    assert counted(store, "buried_out") == 1
    assert store.xlen("gw:dead") == 1
    assert store.zrange("gw:lane:out/shop/7", 0, -1) == ["r8"]
