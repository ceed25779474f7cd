"""Which attempts that were never heard of again are laid at a message's door."""

from __future__ import annotations

import pytest
import redis

from gateway.lanes import Lanes, Lease, LeaseVoid, Locks, Taken, keys
from gateway.observability.heartbeat import Liveness
from gateway.relay.retry_policy import BEFORE_QUARANTINE
from tests.unit.lanes_kit import LEASE, UNLIMITED, claim_one, lanes_over, lease_dies, letter, taken


def begun(lanes: Lanes, alive: Liveness) -> Lease:
    """A worker has taken the message, and is calling."""
    lanes.append([letter(1)])
    alive.show()
    lease = claim_one(lanes, token=f"{alive.name}.claim")
    taken(lanes, lease)
    return lease


def next_attempt(lanes: Lanes, store: redis.Redis, lease: Lease) -> Taken:
    lease_dies(store, lease)
    return taken(lanes, claim_one(lanes))


def test_a_worker_that_lives_was_not_killed_by_its_message(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    alive = Liveness(Locks(lanes.client), LEASE)
    lease = begun(lanes, alive)
    second = next_attempt(lanes, store, lease)
    assert (second.uncertain, second.crashes) == (True, 0)


def test_a_worker_that_shows_no_sign_of_life_may_have_been(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    alive = Liveness(Locks(lanes.client), LEASE)
    lease = begun(lanes, alive)
    store.delete(keys.alive(alive.name))
    second = next_attempt(lanes, store, lease)
    assert (second.uncertain, second.crashes) == (True, 1)


def test_the_sign_of_life_ends_well_before_a_lease(store: redis.Redis) -> None:
    alive = Liveness(Locks(store), LEASE)
    alive.show()
    left = store.pttl(keys.alive(alive.name))
    assert isinstance(left, int)
    assert 0 < left <= LEASE * 1000 / 2


def test_an_attempt_that_came_to_an_end_clears_the_message(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    lease_dies(store, lease)
    lease = claim_one(lanes)
    assert taken(lanes, lease).crashes == 1
    lanes.defer(lease, "m1", 0.0, error="Chatwoot is not there")
    assert taken(lanes, claim_one(lanes)).crashes == 0


def test_waiting_without_an_attempt_clears_nothing(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    lease_dies(store, lease)
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.defer(lease, "m1", 0.0)
    assert taken(lanes, claim_one(lanes)).crashes == 1


def test_the_ledger_keeps_that_a_message_may_have_arrived(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    lease_dies(store, lease)
    lease = claim_one(lanes)
    message = taken(lanes, lease)
    lanes.ack(lease, message.id, pace=UNLIMITED)
    assert store.hmget(keys.message("m1"), "uncertain", "was_uncertain") == [None, "1"]


def test_a_quarantined_message_is_not_blamed_for_a_death_while_it_waits_for_its_turn(
    store: redis.Redis,
) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1)])
    lease = claim_one(lanes)
    for deaths in range(BEFORE_QUARANTINE + 1):
        assert taken(lanes, lease).crashes == deaths
        lease_dies(store, lease)
        lease = claim_one(lanes)
    poison = taken(lanes, lease)
    assert (poison.crashes, poison.uncertain) == (BEFORE_QUARANTINE, True)
    lanes.isolate(lease, poison.id)
    lease_dies(store, lease)
    assert taken(lanes, claim_one(lanes)).crashes == BEFORE_QUARANTINE + 1


def test_who_has_lost_the_lane_cannot_isolate(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    lease_dies(store, lease)
    with pytest.raises(LeaseVoid):
        lanes.isolate(lease, "m1")
