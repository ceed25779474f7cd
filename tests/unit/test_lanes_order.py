"""Append: each message once, in its place, and its lane due at the right time."""

from __future__ import annotations

import pytest
import redis

from gateway.lanes import CursorMove, LeaseVoid, Locks, keys
from tests.unit.lanes_kit import (
    QUEUE,
    UNLIMITED,
    becomes_due,
    claim,
    claim_one,
    counted,
    drained,
    due_in,
    lanes_over,
    letter,
    reply,
    snapshot,
    stolen,
    taken,
)

MOST_EXACT = 2**52 - 1
"""The largest number whose place, twice as large, a sorted set keeps exactly."""


def test_a_message_is_stored_once(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    assert lanes.append([letter(1), letter(2)]).outcomes == ("new", "new")
    assert lanes.append([letter(2), letter(3)]).outcomes == ("duplicate", "new")
    assert drained(lanes) == ["m1", "m2", "m3"]
    assert lanes.append([letter(1)]).outcomes == ("duplicate",)
    assert drained(lanes) == []
    assert counted(store, "duplicates") == 2


def test_a_message_twice_in_one_batch_is_new_once(store: redis.Redis) -> None:
    appended = lanes_over(store).append([letter(1), letter(1)])
    assert appended.outcomes == ("new", "duplicate")
    assert appended.new == 1


def test_replies_leave_by_their_number_and_letters_as_they_came(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append(reply(n) for n in (30, 10, 20))
    assert drained(lanes) == ["r10", "r20", "r30"]
    lanes.append(letter(n) for n in (3, 1, 2))
    assert drained(lanes) == ["m3", "m1", "m2"]


def test_the_largest_numbers_stay_apart(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append(reply(n) for n in (MOST_EXACT, MOST_EXACT - 1, MOST_EXACT - 2))
    assert drained(lanes) == [f"r{MOST_EXACT - n}" for n in (2, 1, 0)]
    assert counted(store, "late") == 0


def test_a_letter_waits_behind_the_one_that_is_being_sent(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.append([letter(2)])
    assert claim(lanes) == []
    following = lanes.ack(lease, "m1", pace=UNLIMITED)
    assert following is not None
    assert following.id == "m2"


def test_the_head_leaves_only_when_its_settle_time_has_passed(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5, settle=40)])
    assert claim(lanes) == []
    assert 35 < due_in(store, reply(5)) <= 40
    store.hset(keys.message("r5"), "ready", 0)
    store.zadd(keys.due("shop"), {"out/shop/7": 0})
    assert drained(lanes) == ["r5"]


def test_an_unsettled_message_is_not_handed_out_behind_a_settled_one(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.append([reply(8, settle=40)])
    assert lanes.ack(lease, "r5", pace=UNLIMITED) is None
    assert 35 < due_in(store, reply(8)) <= 40


def test_a_swapped_pair_is_put_right(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(8, settle=1)])
    lanes.append([reply(5, settle=40)])  # its webhook came later
    store.zadd(keys.due("shop"), {"out/shop/7": 0})
    lease = claim_one(lanes)
    assert lanes.take(lease, pace=UNLIMITED) is None  # r8 has settled, but r5 is before it
    assert 35 < due_in(store, reply(5)) <= 40
    store.hset(keys.message("r5"), "ready", 0)
    store.hset(keys.message("r8"), "ready", 0)
    becomes_due(store, lease)
    assert drained(lanes) == ["r5", "r8"]
    assert counted(store, "late") == 0


def test_a_message_that_comes_after_a_younger_one_has_left_is_sent_and_counted(
    store: redis.Redis,
) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(8)])
    assert drained(lanes) == ["r8"]
    lanes.append([reply(5)])
    assert drained(lanes) == ["r5"]
    assert counted(store, "late") == 1
    lanes.append([reply(6)])
    assert drained(lanes) == ["r6"]
    assert counted(store, "late") == 2
    lanes.append([reply(9)])
    assert drained(lanes) == ["r9"]
    assert counted(store, "late") == 2


def test_a_message_that_comes_while_a_younger_one_leaves_is_late_too(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(8)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.append([reply(5)])
    lanes.ack(lease, "r8", pace=UNLIMITED)
    lanes.ack(lease, "r5", pace=UNLIMITED)
    assert counted(store, "late") == 1


def test_a_lane_that_backs_off_is_not_made_due_by_a_new_message(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.defer(lease, "m1", 30, error="busy")
    lanes.append([letter(2)])
    assert claim(lanes) == []
    assert 25 < due_in(store, letter(1)) <= 30
    becomes_due(store, lease)
    assert drained(lanes) == ["m1", "m2"]


def test_a_leased_lane_is_not_made_due_by_a_new_message(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1)])
    lease = claim_one(lanes)
    before = store.zscore(keys.due("chatwoot"), str(lease.lane))
    lanes.append([letter(2)])
    assert store.zscore(keys.due("chatwoot"), str(lease.lane)) == before


def test_a_late_message_goes_before_the_one_whose_worker_died(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(8)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.append([reply(5)])
    lease = stolen(lanes, store, lease)
    assert taken(lanes, lease).id == "r5"
    following = lanes.ack(lease, "r5", pace=UNLIMITED)
    assert following is not None
    assert (following.id, following.uncertain, following.crashes) == ("r8", True, 1)


def test_somebody_must_ring_only_if_nobody_has(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    assert lanes.append([letter(1)]).ring
    assert lanes.pending()
    store.rpush(QUEUE, "a job")
    assert not lanes.append([letter(2)]).ring
    assert not lanes.pending()


def test_an_append_wakes_a_drain_that_lingers(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    for number in range(20):
        lanes.append([letter(number, peer=f"p{number}")])
    assert 1 <= int(store.llen(keys.WAKE)) <= 8
    waiting = store.llen(keys.WAKE)
    lanes.wait(1)
    assert store.llen(keys.WAKE) == int(waiting) - 1


def test_a_cursor_moves_in_the_same_step_as_its_batch_is_stored(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    assert Locks(lanes.client).lock(keys.lock_poller("mail"), "me", seconds=30)
    for _ in range(2):
        lanes.append([letter(1)], move=CursorMove("mail", "me", "uid 9"), nonce="n")
    assert store.get(keys.cursor("mail")) == "uid 9"
    assert drained(lanes) == ["m1"]


@pytest.mark.parametrize("owner", ["another", None])
def test_a_poller_without_its_lease_stores_neither_batch_nor_cursor(
    store: redis.Redis, owner: str | None
) -> None:
    lanes = lanes_over(store)
    if owner:
        Locks(lanes.client).lock(keys.lock_poller("mail"), owner, seconds=30)
    before = snapshot(store)
    with pytest.raises(LeaseVoid):
        lanes.append([letter(1)], move=CursorMove("mail", "me", "uid 9"))
    assert snapshot(store) == before


def test_a_named_lease_has_one_owner(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    assert Locks(lanes.client).lock(keys.lock_poller("mail"), "me", seconds=30)
    assert not Locks(lanes.client).lock(keys.lock_poller("mail"), "another", seconds=30)
    assert Locks(lanes.client).lock(keys.lock_poller("mail"), "me", seconds=60)
    assert int(store.pttl(keys.lock_poller("mail"))) > 30_000
    Locks(lanes.client).unlock(keys.lock_poller("mail"), "another")
    assert not Locks(lanes.client).lock(keys.lock_poller("mail"), "another", seconds=30)
    Locks(lanes.client).unlock(keys.lock_poller("mail"), "me")
    assert Locks(lanes.client).lock(keys.lock_poller("mail"), "another", seconds=30)
