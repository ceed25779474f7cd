"""The clock of Redis's host goes back, or a replica that was promoted is behind."""

from __future__ import annotations

import redis

from gateway.lanes import Backlog, Locks, keys
from tests.unit.lanes_kit import LEASE, claim, claim_one, lanes_over, letter, server_time, taken

HOUR = 3600.0


def goes_back(store: redis.Redis) -> None:
    """All that is stored was stored by a clock that was an hour ahead of this one."""
    seen = round((server_time(store) + HOUR) * 1000)
    store.hset(keys.CLOCK, "seen", seen)


def test_a_closed_gate_is_tried_again_as_soon_as_before(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1)])
    lease = claim_one(lanes)
    until = round((server_time(store) + HOUR) * 1000)
    lanes.defer(lease, taken(lanes, lease).id, HOUR, error="bad", trouble="credentials")
    store.hset(keys.gate("chatwoot"), "until", until)
    goes_back(store)
    assert lanes.pending()
    assert len(claim(lanes)) == 1


def test_ages_go_on_and_nothing_becomes_old_at_once(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1)])
    goes_back(store)
    lanes.append([letter(2, peer="bob")])
    ages = {lease.lane.key: taken(lanes, lease).age for lease in claim(lanes)}
    assert ages["bob"] < 5, "noticed by the first script, not by the next claim"


def test_the_lease_of_a_worker_that_died_does_not_last_as_much_longer(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1)])
    lease = claim_one(lanes)
    store.zadd(keys.due("chatwoot"), {str(lease.lane): 0})
    store.pexpire(keys.lease(lease.lane), round((HOUR + LEASE) * 1000))
    assert claim(lanes) == []
    goes_back(store)
    store.zadd(keys.due("chatwoot"), {str(lease.lane): 0})
    assert len(claim(lanes)) == 1


def test_nor_does_a_lock(store: redis.Redis) -> None:
    locks = Locks(store)
    assert locks.lock("gw:lock:poller:shop", "dead", seconds=9)
    store.pexpire("gw:lock:poller:shop", round(HOUR * 1000))
    assert not locks.lock("gw:lock:poller:shop", "other", seconds=9)
    goes_back(store)
    assert locks.lock("gw:lock:poller:shop", "other", seconds=9)
    assert not locks.lock("gw:lock:poller:shop", "third", seconds=9)


def test_a_small_step_is_none_and_a_clock_that_goes_on_is_noted_each_second(
    store: redis.Redis,
) -> None:
    Backlog(store).read()
    store.hset(keys.CLOCK, "seen", round((server_time(store) + 1) * 1000))
    Backlog(store).read()
    assert not store.hexists(keys.CLOCK, "ahead")
    store.hset(keys.CLOCK, "seen", 5)
    Backlog(store).read()
    seen = float(str(store.hget(keys.CLOCK, "seen"))) / 1000
    assert abs(seen - server_time(store)) < 5
