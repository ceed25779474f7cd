"""Replies that an agent deletes: before, while and after they are sent."""

from __future__ import annotations

import redis

from gateway.lanes import DeadLetters, Entry, Lane, Lanes, Lease, Ledger, keys
from tests.unit.lanes_kit import (
    UNLIMITED,
    claim,
    claim_one,
    counted,
    deletion,
    drained,
    lanes_over,
    ledger,
    reply,
    snapshot,
    stolen,
    taken,
)


def under_way(store: redis.Redis) -> tuple[Lanes, Lease]:
    lanes = lanes_over(store)
    lanes.append([reply(5)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    return lanes, lease


def test_what_waits_is_removed(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5), reply(8)])
    assert Ledger(lanes.client).withdraw("r5", deletion(5)) == "removed"
    assert Ledger(lanes.client).withdraw("r5", deletion(5)) == "removed"
    assert drained(lanes) == ["r8"]
    assert lanes.append([reply(5)]).outcomes == ("duplicate",)
    assert "body" not in ledger(store, "r5")


def test_the_only_message_of_a_lane_is_removed(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5)])
    Ledger(lanes.client).withdraw("r5", deletion(5))
    assert claim(lanes) == []
    assert not store.exists(keys.due("shop"))


def test_one_removed_between_claim_and_take(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5)])
    lease = claim_one(lanes)
    assert Ledger(lanes.client).withdraw("r5", deletion(5)) == "removed"
    assert lanes.take(lease, pace=UNLIMITED) is None
    assert not store.exists(keys.due("shop"))


def test_one_withdrawn_between_take_and_mark_is_not_sent(store: redis.Redis) -> None:
    lanes, lease = under_way(store)
    assert Ledger(lanes.client).withdraw("r5", deletion(5)) == "delete"
    before = snapshot(store)
    assert lanes.announce(lease, "r5", "there") == "withdrawn"
    assert snapshot(store) == before
    following = lanes.ack(lease, "r5", pace=UNLIMITED)
    assert following is not None
    assert (following.id, following.kind, following.subject.parts) == ("d5", "delete", {})


def test_one_withdrawn_between_two_parts_is_deleted_so_far(store: redis.Redis) -> None:
    lanes, lease = under_way(store)
    assert lanes.announce(lease, "r5", "part 1") == "go"
    Ledger(lanes.client).withdraw("r5", deletion(5))
    lanes.record_part(lease, "r5", 1, 2, ["x1"])
    assert lanes.announce(lease, "r5", "part 2") == "withdrawn"
    following = lanes.ack(lease, "r5", pace=UNLIMITED)
    assert following is not None
    assert following.subject.parts == {1: ("x1",)}
    assert following.body == "delete r5"


def test_what_was_sent_gets_a_deletion_in_its_place(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5)])
    assert drained(lanes) == ["r5"]
    lanes.append([reply(8)])
    assert Ledger(lanes.client).withdraw("r5", deletion(5), nonce="n") == "delete"
    assert Ledger(lanes.client).withdraw("r5", deletion(5), nonce="n") == "delete"
    assert Ledger(lanes.client).withdraw("r5", deletion(5)) == "duplicate"
    assert drained(lanes) == ["d5", "r8"]
    assert Ledger(lanes.client).withdraw("r5", deletion(5)) == "duplicate"
    assert counted(store, "late") == 0


def test_a_deletion_without_a_place_goes_behind_all_that_waits(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5)])
    drained(lanes)
    lanes.append([reply(8)])
    Ledger(lanes.client).withdraw(
        "r5", Entry("d5", Lane("out", "shop", "7"), "shop", "delete", "delete r5")
    )
    assert drained(lanes) == ["r8", "d5"]


def test_one_that_may_have_arrived_is_deleted_rather_than_removed(store: redis.Redis) -> None:
    lanes, lease = under_way(store)
    lanes.defer(lease, "r5", 0, error="no answer", certainty="uncertain")
    assert Ledger(lanes.client).withdraw("r5", deletion(5)) == "delete"
    assert lanes.announce(claim_one(lanes), "r5", "there") == "withdrawn"


def test_one_of_which_a_part_was_sent_is_deleted(store: redis.Redis) -> None:
    lanes, lease = under_way(store)
    lanes.record_part(lease, "r5", 1, 2, ["x1"])
    lanes.defer(lease, "r5", 0, error="busy")
    assert Ledger(lanes.client).withdraw("r5", deletion(5)) == "delete"


def test_one_deferred_before_anything_was_sent_is_removed(store: redis.Redis) -> None:
    lanes, lease = under_way(store)
    lanes.defer(lease, "r5", 0, error="refused")
    assert Ledger(lanes.client).withdraw("r5", deletion(5)) == "removed"
    assert claim(lanes) == []


def test_one_whose_worker_died_is_deleted_after_it_is_taken_again(store: redis.Redis) -> None:
    lanes, lease = under_way(store)
    Ledger(lanes.client).withdraw("r5", deletion(5))
    lease = stolen(lanes, store, lease)
    assert taken(lanes, lease).id == "r5"
    assert lanes.announce(lease, "r5", "there") == "withdrawn"


def test_one_that_has_not_come_yet_is_not_sent_when_it_does(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    assert Ledger(lanes.client).withdraw("r5", deletion(5)) == "tombstone"
    assert lanes.append([reply(5), reply(8)]).outcomes == ("withdrawn", "new")
    assert drained(lanes) == ["r8"]
    assert 0 < int(store.ttl(keys.tombstone("r5"))) <= 600
    store.delete(keys.tombstone("r5"))  # its time is over
    assert lanes.append([reply(5)]).outcomes == ("new",)


def test_a_dead_letter_that_is_withdrawn_is_not_sent_by_a_replay(store: redis.Redis) -> None:
    lanes, lease = under_way(store)
    lanes.bury(lease, "r5", "blocked", pace=UNLIMITED)
    assert Ledger(lanes.client).withdraw("r5", deletion(5)) == "removed"
    assert Ledger(lanes.client).withdraw("r5", deletion(5)) == "removed"
    assert DeadLetters(store).replay("r5")
    (lease,) = (lease for lease in claim(lanes) if lease.lane.direction == "out")
    taken(lanes, lease)
    assert lanes.announce(lease, "r5", "there") == "withdrawn"


def test_the_parts_of_a_dead_letter_that_were_sent_are_deleted(store: redis.Redis) -> None:
    lanes, lease = under_way(store)
    lanes.record_part(lease, "r5", 1, 2, ["x1"])
    lanes.bury(lease, "r5", "blocked", pace=UNLIMITED)
    assert Ledger(lanes.client).withdraw("r5", deletion(5)) == "delete"
