"""Replies that wait too long: found whatever keeps them, and told of once."""

from __future__ import annotations

import pytest
import redis

from gateway.lanes import Backlog, Delayed, GatePolicy, Lane, Lanes, Lease, Ledger, Note, keys
from tests.unit.lanes_kit import (
    UNLIMITED,
    claim_one,
    deletion,
    lanes_over,
    letter,
    reply,
    snapshot,
    taken,
)

STATUS = Lane("status", "shop", "7")
WAITS, ARRIVED = (Note(f"n:{what}", STATUS, "chatwoot", what) for what in ("waits", "arrived"))


def found(lanes: Lanes, seconds: float = 0.0) -> list[str]:
    return [delayed.message for delayed in Backlog(lanes.client).delayed("shop", seconds=seconds)]


def waiting(store: redis.Redis) -> list[str]:
    return [str(name) for name in store.zrange(keys.lane(STATUS), 0, -1)]


def delayed_one(lanes: Lanes) -> Delayed:
    (delayed,) = Backlog(lanes.client).delayed("shop", seconds=0)
    return delayed


def test_only_what_has_waited_long_enough_and_only_the_first_of_a_lane(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(1), reply(2), reply(3, conversation="8"), letter(4, destination="shop")])
    store.hincrby(keys.message("r1"), "ready", -60_000)
    assert found(lanes, 60) == ["r1"]
    assert sorted(found(lanes)) == ["r1", "r3"]


def test_the_time_in_which_a_reply_may_be_taken_back_is_no_delay(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(1, settle=600)])
    assert found(lanes) == []


def test_one_that_failed_says_why_and_when_it_is_tried_again(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(1)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    assert found(lanes) == []  # it is being sent
    lanes.defer(lease, "r1", 30, error="busy")
    delayed = delayed_one(lanes)
    seconds, _ = store.time()
    assert (delayed.reason, delayed.lane) == ("busy", lease.lane)
    assert 28 < delayed.next_attempt - seconds <= 31


def test_one_behind_a_closed_gate_has_the_reason_of_the_gate(store: redis.Redis) -> None:
    lanes = lanes_over(store, gates=GatePolicy(failures=1, first_wait=50))
    lanes.append([reply(1)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.defer(lease, "r1", 1, error="away", trouble="down")
    lanes.append([reply(2, conversation="8")])
    seconds, _ = store.time()
    for delayed in Backlog(lanes.client).delayed("shop", seconds=0):
        assert delayed.reason == "away"
        assert 48 < delayed.next_attempt - seconds <= 51
    assert sorted(found(lanes)) == ["r1", "r2"]


def test_a_repeated_notice_answers_the_same_and_leaves_one_note(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(1)])
    delayed = delayed_one(lanes)
    assert Backlog(lanes.client).tell_of_delay(delayed, WAITS, ARRIVED, nonce="n") == "told"
    assert found(lanes) == []
    lanes.append([reply(0)])  # the head now
    before = snapshot(store)
    assert Backlog(lanes.client).tell_of_delay(delayed, WAITS, ARRIVED, nonce="n") == "told"
    assert Backlog(lanes.client).tell_of_delay(delayed, WAITS, ARRIVED, nonce="another") == "known"
    assert snapshot(store) == before
    assert waiting(store) == [WAITS.id]
    assert found(lanes) == ["r0"]


def test_a_reply_that_left_in_between_is_not_told_of(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(1)])
    delayed = delayed_one(lanes)
    lease = claim_one(lanes)
    assert (
        Backlog(lanes.client).tell_of_delay(delayed, WAITS, ARRIVED) == "moved"
    )  # claimed: its turn has come
    taken(lanes, lease)
    assert Backlog(lanes.client).tell_of_delay(delayed, WAITS, ARRIVED) == "moved"
    lanes.ack(lease, "r1", pace=UNLIMITED)
    assert Backlog(lanes.client).tell_of_delay(delayed, WAITS, ARRIVED) == "moved"
    assert waiting(store) == []


@pytest.mark.parametrize("end", ["delivered", "buried", "deleted", "deleted while it was sent"])
def test_the_second_note_follows_a_delivery_and_nothing_else(store: redis.Redis, end: str) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(1)])
    Backlog(lanes.client).tell_of_delay(delayed_one(lanes), WAITS, ARRIVED)
    if end == "deleted":
        Ledger(lanes.client).withdraw("r1", deletion(1))
    else:
        lease = _claim(lanes)
        taken(lanes, lease)
        if end == "deleted while it was sent":
            Ledger(lanes.client).withdraw("r1", deletion(1))
        if end == "buried":
            lanes.bury(lease, "r1", "blocked", pace=UNLIMITED)
        else:
            for _ in range(2):
                lanes.ack(lease, "r1", pace=UNLIMITED, after="stop", nonce="n")
    assert (ARRIVED.id in waiting(store)) == (end == "delivered")


def _claim(lanes: Lanes) -> Lease:
    leases = lanes.claim(9, seconds=60, most_each=9, at_work={}, token="t").leases
    return next(lease for lease in leases if lease.lane.direction == "out")
