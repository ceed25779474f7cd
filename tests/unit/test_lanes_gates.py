"""Claims, and the gates that keep lanes from a destination that is down."""

from __future__ import annotations

from typing import cast

import redis

from gateway.lanes import Backlog, GatePolicy, GateState, Lanes, Lease, Pace, keys
from gateway.model import Rate
from tests.unit.lanes_kit import (
    LEASE,
    UNLIMITED,
    becomes_due,
    claim,
    claim_one,
    counted,
    drained,
    due_in,
    lanes_over,
    lease_dies,
    ledger,
    letter,
    reply,
    server_time,
    taken,
)

PEERS = ("ann", "bob", "cid", "dan", "eve", "fay")
DOWN = GatePolicy(failures=2, first_wait=10, longest_wait=35)


def waiting(store: redis.Redis, count: int = 6) -> Lanes:
    """One message waits in each of several lanes to Chatwoot."""
    lanes = lanes_over(store, gates=DOWN)
    lanes.append(letter(n, peer=PEERS[n]) for n in range(count))
    return lanes


def fail(lanes: Lanes, lease: Lease) -> None:
    message = taken(lanes, lease)
    lanes.defer(lease, message.id, 0, error="no answer", trouble="down")


def closed(store: redis.Redis) -> Lanes:
    """Six lanes wait before a closed gate."""
    lanes = waiting(store)
    first, second = claim(lanes, most=2)
    fail(lanes, first)
    fail(lanes, second)
    return lanes


def gate(lanes: Lanes, destination: str = "chatwoot") -> GateState:
    (state,) = (
        gate for gate in Backlog(lanes.client).read().gates if gate.destination == destination
    )
    return state


def pause(store: redis.Redis) -> float:
    """Seconds until the gate lets a probe through."""
    until = cast(str, store.hget(keys.gate("chatwoot"), "until"))
    return float(until) / 1000 - server_time(store)


def step_is_over(store: redis.Redis) -> None:
    store.hset(keys.gate("chatwoot"), "until", 0)


def test_the_lane_that_is_due_longest_is_claimed_first(store: redis.Redis) -> None:
    lanes = waiting(store, 3)
    for score, peer in enumerate(("bob", "cid", "ann")):
        store.zadd(keys.due("chatwoot"), {f"in/shop/{peer}": score})
    assert [lease.lane.key for lease in claim(lanes, most=2)] == ["bob", "cid"]
    assert [lease.lane.key for lease in claim(lanes)] == ["ann"]
    assert claim(lanes) == []


def test_one_destination_gets_no_more_than_its_share(store: redis.Redis) -> None:
    lanes = waiting(store)
    lanes.append(reply(n, conversation=str(n)) for n in range(3))

    def shares(most_each: int, **at_work: int) -> list[str]:
        found = lanes.claim(9, seconds=LEASE, most_each=most_each, at_work=at_work, token="t")
        for lease in found.leases:
            lanes.release(lease)
        store.delete(keys.claim("t"))
        return sorted(lease.destination for lease in found.leases)

    assert shares(2) == ["chatwoot", "chatwoot", "shop", "shop"]
    assert shares(2, chatwoot=1) == ["chatwoot", "shop", "shop"]
    assert shares(2, chatwoot=2, shop=3) == []


def test_a_destination_at_its_share_gets_no_probe_either(store: redis.Redis) -> None:
    lanes = closed(store)
    step_is_over(store)
    found = lanes.claim(9, seconds=LEASE, most_each=2, at_work={"chatwoot": 2}, token="t")
    assert found.leases == ()


def test_a_claim_says_when_the_next_lane_is_due(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    nothing = lanes.claim(9, seconds=LEASE, most_each=9, at_work={}, token="t")
    assert nothing.next_due is None
    lanes.append([reply(5, settle=20)])
    later = lanes.claim(9, seconds=LEASE, most_each=9, at_work={}, token="t")
    assert later.next_due is not None
    assert 15 < later.next_due <= 20


def test_a_dead_claim_is_claimed_by_another(store: redis.Redis) -> None:
    lanes = waiting(store, 2)
    for lease in claim(lanes, token="dead"):
        lease_dies(store, lease)
    assert len(claim(lanes, token="another")) == 2


def test_an_empty_lane_takes_no_place_in_a_claim(store: redis.Redis) -> None:
    lanes = waiting(store, 2)
    store.zadd(keys.due("chatwoot"), {"in/shop/nobody": 0, "in/shop/no one": 1})
    assert len(claim(lanes, most=2)) == 2


def test_failures_in_a_row_close_the_gate_and_no_attempt_burns(store: redis.Redis) -> None:
    lanes = closed(store)
    assert gate(lanes).state == "closed"
    assert gate(lanes).reason == "no answer"
    assert claim(lanes) == []
    assert not lanes.pending()
    assert [ledger(store, f"m{n}").get("attempts") for n in range(6)].count("1") == 2
    assert 5 < pause(store) <= 10


def test_one_failure_does_not_close_it_nor_do_two_with_a_success_between(
    store: redis.Redis,
) -> None:
    lanes = waiting(store, 3)
    first, second, third = claim(lanes)
    fail(lanes, first)
    lanes.ack(second, taken(lanes, second).id, pace=UNLIMITED)
    fail(lanes, third)
    assert gate(lanes).state == "open"


def test_an_answer_of_any_kind_breaks_the_row(store: redis.Redis) -> None:
    lanes = waiting(store, 3)
    first, second, third = claim(lanes)
    fail(lanes, first)
    lanes.defer(second, taken(lanes, second).id, 0, error="500", trouble="refused")
    fail(lanes, third)
    assert gate(lanes).state == "open"


def test_a_probe_lets_exactly_one_lane_through_and_its_success_opens(store: redis.Redis) -> None:
    lanes = closed(store)
    step_is_over(store)
    assert lanes.pending()
    probe = claim_one(lanes)
    assert gate(lanes).state == "probing"
    assert claim(lanes) == []
    assert not lanes.pending()
    message = taken(lanes, probe)
    store.delete(keys.WAKE)
    lanes.ack(probe, message.id, pace=UNLIMITED)
    assert gate(lanes).state == "open"
    assert store.llen(keys.WAKE)  # a drain that lingers need not wait for the old step
    assert len(claim(lanes)) == 5


def test_every_failed_probe_doubles_the_pause_up_to_the_longest(store: redis.Redis) -> None:
    lanes = closed(store)
    for longest in (20, 35, 35):
        step_is_over(store)
        fail(lanes, claim_one(lanes))
        assert longest - 5 < pause(store) <= longest
    step_is_over(store)
    probe = claim_one(lanes)
    lanes.ack(probe, taken(lanes, probe).id, pace=UNLIMITED)
    first, second = claim(lanes, most=2)
    fail(lanes, first)
    fail(lanes, second)
    assert 5 < pause(store) <= 10  # from the beginning again


def test_calls_that_were_under_way_do_not_stretch_the_pause(store: redis.Redis) -> None:
    lanes = waiting(store)
    leases = claim(lanes)
    for lease in leases[:5]:
        fail(lanes, lease)
    assert pause(store) <= 10
    step_is_over(store)
    probe = claim(lanes, most=1)
    fail(lanes, leases[5])  # it is still an old call
    assert gate(lanes).state == "probing"
    fail(lanes, probe[0])
    assert 15 < pause(store) <= 20


def test_bad_credentials_close_it_at_once(store: redis.Redis) -> None:
    lanes = waiting(store, 2)
    first = claim(lanes, most=1)[0]
    lanes.defer(first, taken(lanes, first).id, 0, error="bad token", trouble="credentials")
    assert gate(lanes).state == "closed"
    assert gate(lanes).reason == "bad token"
    assert claim(lanes) == []


def test_a_probe_that_fails_in_another_way_keeps_it_closed(store: redis.Redis) -> None:
    lanes = waiting(store, 2)
    first = claim(lanes, most=1)[0]
    lanes.defer(first, taken(lanes, first).id, 0, error="bad token", trouble="credentials")
    step_is_over(store)
    fail(lanes, claim_one(lanes))
    assert gate(lanes).state == "closed"
    assert 15 < pause(store) <= 20


def test_a_probe_that_is_answered_with_an_error_opens_the_gate(store: redis.Redis) -> None:
    lanes = closed(store)
    step_is_over(store)
    probe = claim_one(lanes)
    lanes.defer(probe, taken(lanes, probe).id, 9, error="500", trouble="refused")
    assert gate(lanes).state == "open"


def test_a_refusal_of_the_probe_does_not_say_that_others_were_served(store: redis.Redis) -> None:
    lanes = closed(store)
    for _ in range(3):
        store.hset(keys.gate("chatwoot"), mapping={"state": "closed", "until": 0})
        for peer in PEERS[1:]:
            store.zadd(keys.due("chatwoot"), {f"in/shop/{peer}": 1_000_000_000_000_000})
        store.zadd(keys.due("chatwoot"), {"in/shop/ann": 0})
        probe = claim_one(lanes)
        message = taken(lanes, probe)
        assert not message.served_since_refusal
        lanes.defer(probe, message.id, 0, error="500", trouble="refused")


def test_a_message_refused_while_others_pass_is_told_so(store: redis.Redis) -> None:
    lanes = waiting(store, 2)
    refused, other = claim(lanes)
    lanes.defer(refused, taken(lanes, refused).id, 0, error="500", trouble="refused")
    store.hincrby(keys.message(f"m{PEERS.index(refused.lane.key)}"), "refused_at", -1)
    lanes.ack(other, taken(lanes, other).id, pace=UNLIMITED)
    again = taken(lanes, claim_one(lanes))
    assert again.served_since_refusal
    assert again.refusals == 1


def test_a_probe_that_made_no_call_passes_the_turn_on(store: redis.Redis) -> None:
    lanes = closed(store)
    step_is_over(store)
    probe = claim_one(lanes)
    lanes.defer(probe, taken(lanes, probe).id, 50)  # it must wait for a reason of its own
    assert gate(lanes).state == "probing"
    second = claim_one(lanes)
    assert second.lane != probe.lane
    lanes.release(second)
    assert claim_one(lanes).lane.direction == "in"


def test_a_probe_whose_worker_dies_is_followed_by_another(store: redis.Redis) -> None:
    lanes = closed(store)
    step_is_over(store)
    lease_dies(store, claim_one(lanes))
    assert claim(lanes) == []
    step_is_over(store)  # it lasts as long as the lease did
    assert len(claim(lanes)) == 1


def test_an_empty_lane_is_no_probe(store: redis.Redis) -> None:
    lanes = closed(store)
    step_is_over(store)
    store.zadd(keys.due("chatwoot"), {"in/shop/nobody": 0})
    probe = claim_one(lanes)
    assert probe.lane.key in PEERS


def test_a_success_under_way_opens_a_closed_gate(store: redis.Redis) -> None:
    lanes = waiting(store)
    first, second, third, *_ = claim(lanes)
    slow = taken(lanes, third)
    fail(lanes, first)
    fail(lanes, second)
    assert gate(lanes).state == "closed"
    lanes.ack(third, slow.id, pace=UNLIMITED)
    assert gate(lanes).state == "open"


def test_two_destinations_do_not_disturb_each_other(store: redis.Redis) -> None:
    lanes = closed(store)
    lanes.append([reply(5)])
    assert drained(lanes) == ["r5"]
    assert gate(lanes).state == "closed"
    assert gate(lanes, "shop").state == "open"
    assert counted(store, "delivered_out") == 1


def test_lanes_before_a_closed_gate_stay_in_the_backlog(store: redis.Redis) -> None:
    lanes = closed(store)
    store.hset(keys.message("m3"), "appended", int((server_time(store) - 90) * 1000))
    backlog = Backlog(lanes.client).read()
    assert gate(lanes).lanes == 6
    assert 89 <= backlog.oldest["shop", "in"] < 95


def test_a_lane_that_was_deferred_is_claimed_when_its_time_has_come(store: redis.Redis) -> None:
    lanes = waiting(store, 1)
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.defer(lease, "m0", 30, error="busy")
    becomes_due(store, lease)
    again = taken(lanes, claim_one(lanes))
    assert (again.attempts, again.uncertain) == (2, False)
    assert ledger(store, "m0")["first_error"] == "busy"


# Servers in trouble


def refuse(lanes: Lanes, lease: Lease, *, seconds: float = 300) -> None:
    """A server error, after which the message itself would wait long."""
    message = taken(lanes, lease)
    lanes.defer(
        lease, message.id, seconds, error="500", trouble="failing", behind_gate=min(seconds, 2)
    )


def test_server_errors_on_several_lanes_close_the_gate(store: redis.Redis) -> None:
    lanes = waiting(store)
    for lease in claim(lanes, most=3):
        refuse(lanes, lease)
    assert gate(lanes).state == "closed"
    assert claim(lanes) == []


def test_those_on_one_lane_do_not_however_many(store: redis.Redis) -> None:
    lanes = waiting(store, 2)
    for _ in range(5):
        for lease in claim(lanes):
            refuse(lanes, lease, seconds=0)
    assert gate(lanes).state == "open"


def test_nor_do_those_on_several_with_a_success_between(store: redis.Redis) -> None:
    lanes = waiting(store)
    first, second, third, fourth = claim(lanes, most=4)
    refuse(lanes, first)
    refuse(lanes, second)
    lanes.ack(third, taken(lanes, third).id, pace=UNLIMITED)
    refuse(lanes, fourth)
    assert gate(lanes).state == "open"


def failing(store: redis.Redis) -> Lanes:
    """Six lanes wait before a server that has failed at three."""
    lanes = waiting(store)
    for lease in claim(lanes, most=3):
        refuse(lanes, lease)
    return lanes


def test_a_probe_that_a_failing_server_refuses_keeps_the_gate_closed(store: redis.Redis) -> None:
    lanes = failing(store)
    step_is_over(store)
    store.delete(keys.failing("chatwoot"))  # a minute is over
    refuse(lanes, claim_one(lanes))
    assert gate(lanes).state == "closed"
    assert 15 < pause(store) <= 20


def test_once_it_has_recovered_all_lanes_return_within_seconds(store: redis.Redis) -> None:
    lanes = failing(store)
    for _ in range(2):
        step_is_over(store)
        refuse(lanes, claim_one(lanes))
    step_is_over(store)
    probe = claim_one(lanes)
    lanes.ack(probe, taken(lanes, probe).id, pace=UNLIMITED, after="stop")
    assert gate(lanes).state == "open"
    left = [due_in(store, letter(n, peer=PEERS[n])) for n in range(6) if PEERS[n] != probe.lane.key]
    assert max(left) <= 2 + 1


def test_of_a_server_that_was_down_a_single_error_still_opens_the_gate(store: redis.Redis) -> None:
    lanes = closed(store)
    step_is_over(store)
    refuse(lanes, claim_one(lanes))
    assert gate(lanes).state == "open"


# Limits of a whole network, told lane by lane


def find_too_fast(lanes: Lanes, count: int) -> None:
    for lease in claim(lanes, most=count):
        lanes.defer(lease, taken(lanes, lease).id, 20, error="429", trouble="throttled_lane")


def test_several_lanes_that_are_too_fast_at_once_stop_the_destination(store: redis.Redis) -> None:
    lanes = waiting(store)
    find_too_fast(lanes, 2)
    assert not store.hexists(keys.gate("chatwoot"), "paused")
    find_too_fast(lanes, 1)
    paused = float(str(store.hget(keys.gate("chatwoot"), "paused"))) / 1000 - server_time(store)
    assert 15 < paused <= 20
    lease = claim(lanes)[0]
    assert lanes.take(lease, pace=UNLIMITED) is None, "the others wait too"


def test_one_after_the_other_they_do_not(store: redis.Redis) -> None:
    lanes = waiting(store)
    for _ in range(4):
        find_too_fast(lanes, 1)
        store.delete(keys.throttled("chatwoot"))  # a second is over
    assert not store.hexists(keys.gate("chatwoot"), "paused")
    assert store.pttl(keys.throttled("chatwoot")) < 0
    find_too_fast(lanes, 1)
    assert 0 < int(str(store.pttl(keys.throttled("chatwoot")))) <= 1000


def test_after_a_pause_what_waits_comes_at_its_rate_and_not_at_once(store: redis.Redis) -> None:
    lanes = waiting(store)
    pace = Pace(Rate(10, burst=10))
    store.hset(keys.gate("chatwoot"), "paused", round(server_time(store) * 1000) - 1)
    at_once = [lease for lease in claim(lanes) if lanes.take(lease, pace=pace) is not None]
    assert len(at_once) < 3
