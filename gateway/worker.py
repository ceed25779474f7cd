"""The worker: an RQ worker that drains lanes.

RQ brings the ring and nothing else. What lives as long as the process (threads, HTTP connections,
the event loop, the lanes) belongs to a `WorkerProcess`, which the drain finds through a context
variable.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from types import FrameType
from typing import Any
from uuid import uuid4

import redis
from rq import SimpleWorker
from rq.exceptions import DeserializationError, StopRequested
from rq.job import Job
from rq.queue import Queue
from rq.serializers import JSONSerializer

from gateway.config import Settings
from gateway.intake import doorbell
from gateway.intake.doorbell import Doorbell
from gateway.intake.indicators import IndicatorQueue
from gateway.lanes import Lanes, Lease, Locks, keys
from gateway.observability import logs
from gateway.observability.heartbeat import Heartbeat, Liveness
from gateway.observability.logs import Redactor
from gateway.observability.metrics import Counts
from gateway.processes.public_address import await_public_address
from gateway.relay.drain import Drain, Limits
from gateway.relay.indicators import Indicators
from gateway.relay.lane_worker import LaneWorker
from gateway.relay.quarantine import Quarantine
from gateway.relay.wiring import Deliveries
from gateway.runtime import Runtime
from gateway.storage.connections import connect, connect_worker
from gateway.storage.failover import ServerWatch

LANE_CONNECTIONS = 3
RING_EVERY = 2.0
LISTEN = 15
"""Seconds that RQ listens before it begins to listen again: how long a worker at rest may fail to
notice that the other end is gone without a word."""
RQ_LISTENS_SHORTER = 15
"""Seconds, than the life of its worker's record (`BaseWorker.dequeue_timeout`)."""
RQ_GRACE = 10
"""Seconds more than it listens until RQ takes the other end for dead
(`BaseWorker.connection_timeout`)."""
PAUSE = 1.0
"""Seconds, when RQ could not go on, before it begins anew."""
SHORTEST_STALL = 60.0
"""Seconds. A Redis that cannot be reached holds the main loop up as well: a command with all its
repetitions takes up to 55, if two of three sentinels are silent too."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """What a worker process has at hand."""

    lanes: Lanes
    locks: Locks
    lane_worker: LaneWorker
    pool: ThreadPoolExecutor
    limits: Limits
    stop: threading.Event
    doorbell: Doorbell
    watchdog: StallWatchdog
    indicators: Indicators
    liveness: Liveness

    def drain(self) -> int:
        """Deliver what is due. Returns how many lanes were claimed."""

        def work(lease: Lease, stop: Callable[[], bool], still_ours: Callable[[], bool]) -> None:
            self.lane_worker.work(lease, stop=stop, still_ours=still_ours)

        with self.watchdog.expected():
            drain = Drain(
                self.lanes,
                work,
                self.pool,
                self.limits,
                stop=self.stop,
                beat=self.watchdog.beat,
                wait=self.indicators.show_while_waiting,
                ring=self.doorbell.ring,
                worker=self.liveness.name,
            )
            return drain.run()


_process: ContextVar[WorkerProcess] = ContextVar("process")


def drain() -> None:
    """The RQ job. Its import path is frozen: workers and rings of several releases meet."""
    _process.get().drain()


class Ring(Job):
    """RQ's job, of which nothing is believed: whoever can write to Redis may have made it, and RQ
    imports and calls whatever a job names, as its function and as what follows it."""

    oddity = ""
    """Why it is not a ring; empty if it is one."""

    def restore(self, raw_data: Any) -> Any:
        restored = super().restore(raw_data)
        self.oddity = self._find_oddity()
        self._success_callback_name = None
        self._failure_callback_name = None
        self._stopped_callback_name = None
        self.webhooks = []
        return restored

    def _find_oddity(self) -> str:
        try:
            is_drain = self.func_name == doorbell.DRAIN and self.instance is None
            has_arguments = bool(self.args or self.kwargs)
        except (DeserializationError, ValueError, TypeError):
            return "it cannot be read"
        if not is_drain:
            return "it names another function than the drain"
        if has_arguments:
            return "it brings arguments, and the drain takes none"
        names = (
            self._success_callback_name,
            self._failure_callback_name,
            self._stopped_callback_name,
        )
        if any(names) or self.webhooks:
            return "it names something to be called after it"
        return ""


class GatewayWorker(SimpleWorker):
    """Runs drains in its own process, and turns RQ's warm shutdown into a stop of the drain."""

    def __init__(self, process: WorkerProcess, connection: redis.Redis) -> None:
        super().__init__(
            [doorbell.QUEUE],
            connection=connection,
            job_class=Ring,
            serializer=JSONSerializer,
            worker_ttl=LISTEN + RQ_LISTENS_SHORTER,
        )
        self._process = process

    def _set_ip_address(self, connection: redis.Redis) -> None:
        """RQ asks for a client's address to show it. Redis-py cannot read the answer where the path
        of a Unix socket contains a space or `=`, and no drain would ever run."""
        self.ip_address = "unknown"

    def subscribe(self) -> None:
        """RQ's remote commands are not for us: it would take a connection and a thread for them."""

    def execute_job(self, job: Job, queue: Queue) -> None:
        if not isinstance(job, Ring) or job.oddity:
            self._refuse(job, queue)
            return
        token = _process.set(self._process)
        try:
            super().execute_job(job, queue)
        finally:
            _process.reset(token)

    def _refuse(self, job: Job, queue: Queue) -> None:
        """Forget a job that no process of ours has put there. What it names is not logged."""
        reason = job.oddity if isinstance(job, Ring) else "it is of another kind"
        logs.event(log, "job_refused", level=logging.ERROR, job=job.id[:50], reason=reason)
        counts = Counts(self.connection)
        counts.add("refused_jobs", doorbell.QUEUE)
        self.connection.lrem(queue.intermediate_queue_key, 1, job.id)
        self.connection.delete(job.key)

    def request_stop(self, signum: Any, frame: FrameType | None) -> None:
        """Claim nothing more, finish what is being sent, give the lanes back."""
        self._process.stop.set()
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """A second signal changes nothing: RQ would raise it in the middle of the drain."""


class StallWatchdog:
    """Ends the process if a drain stops moving: a stuck main loop would keep its lanes for ever."""

    def __init__(self, longest: float, end: Callable[[], None]) -> None:
        self._longest = longest
        self._end = end
        self._last: float | None = None

    def beat(self) -> None:
        self._last = time.monotonic()

    @contextmanager
    def expected(self) -> Iterator[None]:
        """As long as this lasts there must be beats."""
        self.beat()
        try:
            yield
        finally:
            self._last = None

    def watch(self, stop: threading.Event) -> None:
        """Look now and then, until `stop`."""
        while not stop.wait(min(1.0, self._longest / 4)):
            if (last := self._last) is not None and time.monotonic() - last > self._longest:
                logs.event(log, "stalled", level=logging.CRITICAL, seconds=self._longest)
                self._end()
                return


def main(settings: Settings) -> None:
    """Work until SIGTERM. Raises redis.RedisError if Redis cannot be reached at the start."""
    stop, runtime = threading.Event(), Runtime()
    url = settings.gateway.redis_url
    watch = ServerWatch()
    store = connect(url, connections=LANE_CONNECTIONS, retries=3, greet=watch.greet)
    lanes, locks = Lanes(store, doorbell.queue_key(), remember=watch.remember), Locks(store)
    deliveries = Deliveries(settings, lanes, runtime)
    limits = Limits(
        threads=settings.gateway.threads,
        lease=settings.gateway.lease,
        linger=settings.gateway.linger,
    )
    pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="lane")
    process = WorkerProcess(
        lanes=lanes,
        locks=locks,
        lane_worker=LaneWorker(lanes, deliveries, Quarantine(), Redactor(settings.secret_values())),
        pool=pool,
        limits=limits,
        stop=stop,
        doorbell=Doorbell(store),
        watchdog=StallWatchdog(max(limits.lease, SHORTEST_STALL), _die),
        indicators=Indicators(IndicatorQueue(store), deliveries.adapters, pool),
        liveness=Liveness(locks, limits.lease),
    )
    _start_threads(process)
    Heartbeat(store, "worker").start()
    await_public_address(settings, stop)
    connection = connect_worker(url, timeout=LISTEN + RQ_GRACE)
    connection.ping()
    try:
        _work(process, connection)
    finally:
        stop.set()
        process.pool.shutdown(wait=True)
        deliveries.close()
        runtime.close()


def _start_threads(process: WorkerProcess) -> None:
    for name, run in {
        "liveness": lambda: process.liveness.run(process.stop),
        "watchdog": lambda: process.watchdog.watch(process.stop),
        "ringer": lambda: _keep_ringing(process),
    }.items():
        threading.Thread(target=run, name=name, daemon=True).start()


def _work(process: WorkerProcess, connection: redis.Redis) -> None:
    """Be an RQ worker until SIGTERM.

    RQ's own loop ends when Redis fails at the wrong moment, in a fail-over perhaps, or is too full
    for what RQ notes of its workers. Then what is due is delivered without being rung for, and RQ
    begins anew.
    """
    with suppress(StopRequested):
        while not process.stop.is_set():
            try:
                GatewayWorker(process, connection).work()
            except redis.RedisError as error:
                logs.event(log, "redis_away", level=logging.WARNING, kind=type(error).__name__)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: process.stop.set())
            if not process.stop.wait(PAUSE):
                process.drain()


def _die() -> None:
    # Not by an exception: the main loop hangs, and would not see one.
    os.kill(os.getpid(), signal.SIGKILL)


def _keep_ringing(process: WorkerProcess) -> None:
    """Workers ring as well, one of them at a time, so that a dead clock stops no retries."""
    token = uuid4().hex
    while not process.stop.wait(RING_EVERY):
        try:
            mine = process.locks.lock(keys.LOCK_RINGER, token, seconds=RING_EVERY * 2)
            if mine and process.lanes.pending():
                process.doorbell.ring()
        except redis.RedisError as error:
            logs.event(log, "redis_away", level=logging.WARNING, kind=type(error).__name__)
