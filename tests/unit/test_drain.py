"""The drain: how many lanes at once, for how long, and what it does with its leases."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any, TypeVar

import pytest
import redis

from gateway.lanes import Claim, Lane, Lanes, Lease, keys
from gateway.relay.drain import Drain, Limits, Work
from tests.unit.lanes_kit import UNLIMITED, becomes_due, lanes_over, ledger, letter
from tests.waiting import until

T = TypeVar("T")
QUICK = Limits(threads=4, lease=30.0, linger=0.05, longest=10.0)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def drain(
    lanes: Lanes,
    work: Work,
    pool: ThreadPoolExecutor,
    limits: Limits = QUICK,
    *,
    stop: threading.Event | None = None,
    worker: str = "",
) -> int:
    stop = stop or threading.Event()
    return Drain(lanes, work, pool, limits, stop=stop, beat=lambda: None, worker=worker).run()


def done(lanes: Lanes, lease: Lease) -> None:
    """Empty the lane as a delivery would."""
    taken = lanes.take(lease, pace=UNLIMITED)
    while taken is not None:
        taken = lanes.ack(lease, taken.id, pace=UNLIMITED)


def fill(lanes: Lanes, people: int, destination: str = "chatwoot") -> None:
    lanes.append(
        replace(letter(0, peer=name, destination=destination), id=name)
        for name in (f"{destination}-{number}" for number in range(people))
    )


def test_no_destination_has_more_than_half_of_the_threads(
    store: redis.Redis, pool: ThreadPoolExecutor
) -> None:
    lanes, at_once, most, lock = lanes_over(store), 0, 0, threading.Lock()
    fill(lanes, 12)

    def work(lease: Lease, stop: Callable[[], bool], still_ours: Callable[[], bool]) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.02)  # what a call to the outside takes
        done(lanes, lease)
        with lock:
            at_once -= 1

    assert drain(lanes, work, pool) == 12
    assert most == 2


def test_a_drain_that_cannot_take_all_asks_for_another(
    store: redis.Redis, pool: ThreadPoolExecutor
) -> None:
    lanes, rung, go_on = lanes_over(store), threading.Event(), threading.Event()

    def work(lease: Lease, stop: Callable[[], bool], still_ours: Callable[[], bool]) -> None:
        assert go_on.wait(10)
        done(lanes, lease)

    def rings(people: int) -> bool:
        fill(lanes, people, f"to {people}")
        stop = threading.Event()
        drain = Drain(lanes, work, pool, QUICK, stop=stop, beat=lambda: None, ring=rung.set)
        thread = threading.Thread(target=drain.run)
        thread.start()
        came = rung.wait(0.3)
        go_on.set()
        thread.join()
        go_on.clear()
        return came

    assert not rings(2)  # half of the threads are enough for them
    assert rings(3)


def test_a_slow_destination_leaves_room_for_another(
    store: redis.Redis, pool: ThreadPoolExecutor
) -> None:
    lanes, quick_done = lanes_over(store), threading.Event()
    fill(lanes, 6, "slow")
    fill(lanes, 1, "quick")

    def work(lease: Lease, stop: Callable[[], bool], still_ours: Callable[[], bool]) -> None:
        if lease.destination == "quick":
            quick_done.set()
        else:
            assert quick_done.wait(5)
        done(lanes, lease)

    assert drain(lanes, work, pool) == 7


def test_leases_are_renewed_while_the_work_goes_on(
    store: redis.Redis, pool: ThreadPoolExecutor
) -> None:
    lanes, seen = lanes_over(store), list[bool]()
    fill(lanes, 1)

    def work(lease: Lease, stop: Callable[[], bool], still_ours: Callable[[], bool]) -> None:
        ends = time.monotonic() + 0.9  # three times the lease
        while time.monotonic() < ends:
            seen.append(still_ours() and bool(store.exists(keys.lease(lease.lane))))
            time.sleep(0.02)
        done(lanes, lease)

    drain(lanes, work, pool, Limits(threads=4, lease=0.3, linger=5.0, longest=1.0))
    assert all(seen)


def test_a_stop_ends_it_after_the_messages_under_way(
    store: redis.Redis, pool: ThreadPoolExecutor
) -> None:
    lanes, stop, told = lanes_over(store), threading.Event(), list[bool]()
    fill(lanes, 8)

    def work(lease: Lease, stopping: Callable[[], bool], still_ours: Callable[[], bool]) -> None:
        stop.set()
        done(lanes, lease)
        told.append(stopping())

    assert drain(lanes, work, pool, stop=stop) < 8
    assert told
    assert all(told)


def test_redis_going_away_ends_it_quietly(store: redis.Redis, pool: ThreadPoolExecutor) -> None:
    lanes = lanes_over(redis.Redis(port=1, socket_connect_timeout=0.1))
    assert drain(lanes, lambda *_: None, pool) == 0


def test_a_lane_that_crashes_is_left_to_its_lease(
    store: redis.Redis, pool: ThreadPoolExecutor
) -> None:
    lanes = lanes_over(store)
    fill(lanes, 1)

    def work(lease: Lease, stop: Callable[[], bool], still_ours: Callable[[], bool]) -> None:
        raise RuntimeError("a bug")

    assert drain(lanes, work, pool) == 1
    assert store.keys(keys.lease("*"))


def test_a_lane_that_redis_was_away_for_is_no_fault(
    store: redis.Redis, pool: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    lanes = lanes_over(store)
    fill(lanes, 1)

    def work(lease: Lease, stop: Callable[[], bool], still_ours: Callable[[], bool]) -> None:
        raise redis.ConnectionError("closed")

    assert drain(lanes, work, pool) == 1
    [line] = [record for record in caplog.records if record.getMessage() == "lane_abandoned"]
    assert (line.levelname, line.exc_info) == ("WARNING", None)


def test_of_a_message_under_way_it_is_known_which_worker_has_it(
    store: redis.Redis, pool: ThreadPoolExecutor
) -> None:
    lanes, seen = lanes_over(store), list[str | None]()
    lanes.append([letter(1)])

    def work(lease: Lease, stop: Callable[[], bool], still_ours: Callable[[], bool]) -> None:
        taken = lanes.take(lease, pace=UNLIMITED)
        assert taken is not None
        seen.append(ledger(store, "m1").get("worker"))
        lanes.ack(lease, taken.id, pace=UNLIMITED)
        seen.append(ledger(store, "m1").get("worker"))

    drain(lanes, work, pool, worker="smith")
    assert seen == ["smith", None]


class KeepsFutures(ThreadPoolExecutor):
    """Remembers what it was given to do."""

    def __init__(self) -> None:
        super().__init__(4)
        self.futures: list[Future[Any]] = []

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future = super().submit(fn, *args, **kwargs)
        self.futures.append(future)
        return future


def test_a_lane_claimed_again_at_once_is_still_ours(
    store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_may_end, second_may_look = threading.Event(), threading.Event()
    tokens, seen = iter(("t1", "t2")), list[bool]()

    with KeepsFutures() as pool:

        def claim(self: Lanes, most: int, **_: object) -> Claim:
            """The same lane twice, the second time before the first is tidied away."""
            token = next(tokens, "")
            if token == "t2":
                first_may_end.set()
                wait(pool.futures, timeout=5)
            if not token:
                second_may_look.set()
                return Claim((), None)
            return Claim((Lease(Lane("in", "shop", "ann"), "chatwoot", token),), 0.0)

        def work(lease: Lease, stop: Callable[[], bool], still_ours: Callable[[], bool]) -> None:
            assert (first_may_end if lease.token == "t1" else second_may_look).wait(5)
            if lease.token == "t2":
                seen.append(still_ours())

        monkeypatch.setattr(Lanes, "claim", claim)
        drain(lanes_over(store), work, pool)
    assert seen == [True]


def test_a_lane_that_was_lost_is_not_ours_again_when_it_is_claimed_anew(
    store: redis.Redis, pool: ThreadPoolExecutor
) -> None:
    """A process that was stopped: a thread is still at the lane that its drain claims again."""
    lanes, seen = lanes_over(store), list[bool]()
    lanes.append([letter(1)])

    def work(lease: Lease, stop: Callable[[], bool], still_ours: Callable[[], bool]) -> None:
        if seen:
            time.sleep(0.5)  # several renewals
            return
        store.delete(keys.lease(lease.lane))
        while still_ours():
            time.sleep(0.01)
        seen.append(True)
        becomes_due(store, lease)
        ends = time.monotonic() + 0.5
        while time.monotonic() < ends:
            seen.append(not still_ours())
            time.sleep(0.01)

    assert drain(lanes, work, pool, Limits(threads=4, lease=0.5, linger=0.05, longest=10.0)) == 2
    assert all(seen)


def test_a_delivery_that_takes_long_holds_up_no_other_when_the_drain_should_end(
    store: redis.Redis, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large file under way: whatever comes meanwhile must not wait for it."""
    monkeypatch.setattr("gateway.relay.drain.PATIENCE", 0.1)
    lanes, arrived = lanes_over(store), list[bool]()
    other_came = threading.Event()
    fill(lanes, 1, "large")

    def work(lease: Lease, stop: Callable[[], bool], still_ours: Callable[[], bool]) -> None:
        if lease.destination == "large":
            time.sleep(0.6)  # long after the drain should have ended
            fill(lanes, 1, "other")
            arrived.append(other_came.wait(5))
        else:
            other_came.set()
        done(lanes, lease)

    assert drain(lanes, work, pool, replace(QUICK, longest=0.2)) == 2
    assert arrived == [True]


def test_a_drain_that_is_told_to_stop_waits_for_what_is_under_way(
    store: redis.Redis, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.relay.drain.PATIENCE", 0.05)
    lanes, stop = lanes_over(store), threading.Event()
    fill(lanes, 1)

    def work(lease: Lease, stopping: Callable[[], bool], still_ours: Callable[[], bool]) -> None:
        stop.set()
        time.sleep(0.4)
        done(lanes, lease)

    assert drain(lanes, work, pool, stop=stop) == 1
    assert store.zcard(keys.lane("in/shop/chatwoot-0")) == 0


def test_a_delivery_that_hangs_does_not_keep_its_worker_for_ever(
    store: redis.Redis,
    pool: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for limit in ("PATIENCE", "LONGEST_IN_ALL", "LONGEST_WORK"):
        monkeypatch.setattr(f"gateway.relay.drain.{limit}", 0.1)
    lanes, test_over, ours = lanes_over(store), threading.Event(), list[bool]()
    fill(lanes, 1)

    def work(lease: Lease, stop: Callable[[], bool], still_ours: Callable[[], bool]) -> None:
        test_over.wait(30)
        ours.append(still_ours())

    try:
        assert drain(lanes, work, pool, replace(QUICK, longest=0.1, lease=2.0)) == 1
        [said] = [record for record in caplog.records if record.message == "delivery_hangs"]
        assert said.levelname == "ERROR"
        until(lambda: not store.exists(keys.lease("in/shop/chatwoot-0")))
    finally:
        test_over.set()
    until(lambda: ours == [False])  # its next write would be refused
    assert drain(lanes, lambda lease, *_: done(lanes, lease), pool) == 1
