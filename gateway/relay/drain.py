"""The drain: claims due lanes and keeps many of them at work at once, until nothing is due."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from uuid import uuid4

import redis

from gateway.lanes import Claim, Lanes, Lease
from gateway.observability import logs

GATHER = 0.02
"""Seconds that a claim waits for more threads to come back: one claim then serves several."""
RING_EVERY = 0.5
"""Seconds between two rings for other workers."""
TURN = 1.0
"""Seconds after which a busy lane makes room, if others may be waiting for a thread."""
PATIENCE = 10.0
"""Seconds that a drain which should end waits for what is under way, before it goes on instead."""
LONGEST_IN_ALL = 300.0
"""Seconds after which it does not begin again: RQ takes a worker for dead that works on one job for
longer than 420 (`DEFAULT_WORKER_TTL`)."""
LONGEST_WORK = 1800.0
"""Seconds that it then waits for what is under way. Our own calls all have an end before: what
takes longer hangs, in an adapter's library perhaps, and would keep its worker for ever."""

log = logging.getLogger(__name__)

Work = Callable[[Lease, Callable[[], bool], Callable[[], bool]], None]
"""Work on a lane: the lane, whether to stop after this message, whether the lane is still ours."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one drain does. Times in seconds."""

    threads: int = 160
    lease: float = 60.0
    linger: float = 1.0
    longest: float = 50.0
    """A drain ends after that, if nothing is under way that takes long, and another one goes on: RQ
    must see its worker alive."""


class Drain:
    """One run of draining: what an RQ job does."""

    def __init__(
        self,
        lanes: Lanes,
        work: Work,
        pool: Executor,
        limits: Limits,
        *,
        stop: threading.Event,
        beat: Callable[[], None],
        wait: Callable[[float], None] | None = None,
        ring: Callable[[], object] = lambda: None,
        worker: str = "",
    ) -> None:
        """`stop` ends it after the messages under way; `beat` is called as long as it moves.
        `worker`: the process's name, as `heartbeat.Liveness` shows it.

        `wait` sleeps until something becomes due, at most so many seconds. `ring` asks for another
        drain, when there is more to do than this one can take.
        """
        self._lanes = lanes
        self._work = work
        self._pool = pool
        self._limits = limits
        self._stop = stop
        self._beat = beat
        self._ring = ring
        self._worker = worker
        self._wait = wait or lanes.wait
        # By lease, not by lane: a lane that was given back may be claimed again before we tidy.
        self._ours_until: dict[Lease, float] = {}
        self._at_work: Counter[str] = Counter()
        """How many lanes of each destination."""
        self._finished: SimpleQueue[tuple[Lease, Future[None]]] = SimpleQueue()
        self._came_back = threading.Event()
        self._renewed = self._last_claim = time.monotonic()
        self._rang = self._renewed - RING_EVERY
        self._winding_up = False

    def run(self) -> int:
        """Deliver until nothing has been due for a while. Returns how many lanes were claimed."""
        claimed, last = 0, time.monotonic() + LONGEST_IN_ALL
        try:
            while True:
                for claim in self._claim_repeatedly():
                    claimed += len(claim.leases)
                    self._start_all(claim)
                self._finish(PATIENCE)
                # Others must not wait for a large file, until it is there, because we should end.
                if not self._ours_until or self._stop.is_set() or time.monotonic() > last:
                    break
        except redis.RedisError as error:
            # Leases that cannot be renewed end by themselves; the next ring starts afresh.
            logs.event(log, "drain_broken_off", level=logging.WARNING, kind=type(error).__name__)
        self._finish(LONGEST_WORK)
        for lease in self._ours_until:
            # Its lease runs out, and it is tried again; the thread is lost.
            logs.event(log, "delivery_hangs", level=logging.ERROR, lane=lease.lane)
        return claimed

    def _start_all(self, claim: Claim) -> None:
        if claim.leases:
            self._last_claim = time.monotonic()
        for lease in claim.leases:
            self._start(lease)

    def _claim_repeatedly(self) -> Iterator[Claim]:
        ends = time.monotonic() + self._limits.longest
        while not self._stop.is_set() and time.monotonic() < ends:
            self._tidy()
            claim = self._claim()
            yield claim
            if not claim.leases and not self._wait_for_more(claim, ends):
                return

    def _claim(self) -> Claim:
        free = self._limits.threads - len(self._ours_until)
        if free <= 0:
            return Claim((), None)
        asked = time.monotonic()
        claim = self._lanes.claim(
            free,
            seconds=self._limits.lease,
            most_each=self._most_each,
            at_work=self._at_work,
            token=f"{self._worker}.{uuid4().hex}",
        )
        for lease in claim.leases:
            self._ours_until[lease] = asked + self._safe_lease
            self._at_work[lease.destination] += 1
        return claim

    def _start(self, lease: Lease) -> None:
        def still_ours() -> bool:
            return time.monotonic() < self._ours_until.get(lease, 0.0)

        def hand_back(future: Future[None]) -> None:
            self._finished.put((lease, future))
            self._came_back.set()

        started = time.monotonic()

        def is_last() -> bool:
            turn_over = self._is_full(lease.destination) and time.monotonic() - started > TURN
            return turn_over or self._winding_up or self._stop.is_set()

        future = self._pool.submit(self._work, lease, is_last, still_ours)
        future.add_done_callback(hand_back)

    def _wait_for_more(self, claim: Claim, ends: float) -> bool:
        """False once nothing has come for the time that a drain lingers."""
        if self._is_any_full():
            self._ring_others()
            # Redis need not wake us: a thread comes back.
            if self._came_back.wait(0.05):
                self._stop.wait(GATHER)
            self._came_back.clear()
            return True
        linger, now = self._limits.linger, time.monotonic()
        wait = linger if claim.next_due is None else min(linger, claim.next_due)
        # However long it lingers: leases must be renewed in between, and a stop must be seen.
        self._wait(max(0.01, min(wait, 1.0, self._limits.lease / 8, ends - now)))
        return bool(self._ours_until) or time.monotonic() - self._last_claim < linger

    def _ring_others(self) -> None:
        """Other workers may rest meanwhile: one ring woke one worker only."""
        if time.monotonic() - self._rang > RING_EVERY:
            self._rang = time.monotonic()
            if self._lanes.pending():
                self._ring()

    def _is_any_full(self) -> bool:
        return any(map(self._is_full, self._at_work))

    def _is_full(self, destination: str) -> bool:
        """Whether no further lane of it can be claimed. Threads ask too."""
        no_thread = len(self._ours_until) >= self._limits.threads
        return no_thread or self._at_work[destination] >= self._most_each

    def _tidy(self) -> None:
        self._beat()
        while not self._finished.empty():
            lease, future = self._finished.get()
            del self._ours_until[lease]
            self._at_work[lease.destination] -= 1
            if (error := future.exception()) is not None:
                _log_abandoned(lease, error)
        if time.monotonic() - self._renewed > self._limits.lease / 4:
            self._renew()

    def _renew(self) -> None:
        asked = time.monotonic()
        kept = self._lanes.renew(self._ours_until, seconds=self._limits.lease)
        for lease in kept:
            self._ours_until[lease] = asked + self._safe_lease
        self._renewed = asked

    def _finish(self, patience: float) -> None:
        """Let every lane finish the message that it is at, if that takes no longer."""
        self._winding_up, ends = True, time.monotonic() + patience
        while self._ours_until and time.monotonic() < ends:
            self._came_back.wait(0.2)
            self._came_back.clear()
            with suppress(redis.RedisError):
                self._tidy()
        self._winding_up = False

    @property
    def _most_each(self) -> int:
        """No destination takes more than half of the threads: a slow one leaves room for others."""
        return max(1, self._limits.threads // 2)

    @property
    def _safe_lease(self) -> float:
        """What we count on of a lease: a little less than Redis grants."""
        return self._limits.lease * 0.9


def _log_abandoned(lease: Lease, error: BaseException) -> None:
    """The lane is left to its lease. Redis being away is not our fault: one short line."""
    if isinstance(error, redis.RedisError):
        kind = type(error).__name__
        logs.event(log, "lane_abandoned", level=logging.WARNING, lane=lease.lane, kind=kind)
    else:
        logs.event(log, "lane_abandoned", level=logging.ERROR, lane=lease.lane, error=error)
