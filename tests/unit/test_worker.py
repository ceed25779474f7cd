"""The worker's own parts: its watchdog."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import redis
from rq import Callback, Queue

from gateway.intake import doorbell
from gateway.lanes import keys
from gateway.storage.connections import connect_worker
from gateway.worker import LISTEN, RQ_GRACE, GatewayWorker, Ring, StallWatchdog


def test_rq_listens_no_longer_than_its_connection_waits(redis_url: str) -> None:
    connection = connect_worker(redis_url, timeout=LISTEN + RQ_GRACE)
    worker = GatewayWorker(cast(Any, None), connection)
    assert worker.dequeue_timeout == LISTEN
    assert worker.connection_timeout == LISTEN + RQ_GRACE
    assert connection.connection_pool.connection_kwargs["socket_timeout"] == LISTEN + RQ_GRACE


def odd_jobs(queue: Queue, mark: Path) -> Iterator[str]:
    """What somebody who can write to Redis might put there; each would leave a mark."""
    touch = f"touch {mark}"
    yield queue.enqueue("os.system", touch).id
    yield queue.enqueue(doorbell.DRAIN, touch).id
    yield queue.enqueue(doorbell.DRAIN, again=touch).id
    yield queue.enqueue(doorbell.DRAIN, on_success=Callback("os.system")).id
    yield queue.enqueue(doorbell.DRAIN, on_failure=Callback("os.system")).id
    unreadable = queue.enqueue(doorbell.DRAIN)
    queue.connection.hset(unreadable.key, "data", b"[1")
    yield unreadable.id


def test_only_a_ring_is_answered(
    redis_url: str, store: redis.Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    drained: list[int] = []
    process = cast(Any, SimpleNamespace(drain=lambda: drained.append(1), stop=threading.Event()))
    connection = connect_worker(redis_url, timeout=LISTEN + RQ_GRACE)
    jobs = list(odd_jobs(doorbell.queue(connection), tmp_path / "mark"))
    doorbell.Doorbell(connection).ring()
    GatewayWorker(process, connection).work(burst=True)
    assert not (tmp_path / "mark").exists()
    assert drained == [1]
    assert store.hget(keys.COUNTS, "refused_jobs|gateway") == str(len(jobs))
    refused = [record for record in caplog.records if record.message == "job_refused"]
    assert len(refused) == len(jobs)
    assert not any("touch" in str(vars(record)) for record in refused)
    assert not [key for key in store.scan_iter("rq:*") if any(job in key for job in jobs)]


def test_what_a_job_wants_called_after_it_is_forgotten(redis_url: str) -> None:
    """RQ's housekeeping reads jobs as well, and calls what they name for their failure."""
    connection = connect_worker(redis_url, timeout=LISTEN + RQ_GRACE)
    queue = doorbell.queue(connection)
    job = queue.enqueue(doorbell.DRAIN, on_failure=Callback("os.system"))
    read = cast(Ring, Ring.fetch(job.id, connection=connection, serializer=queue.serializer))
    assert read.oddity and read.failure_callback is None


def test_a_drain_that_stops_moving_ends_the_process() -> None:
    ended, stop = threading.Event(), threading.Event()
    watchdog = StallWatchdog(0.1, ended.set)
    with watchdog.expected():
        watchdog.watch(stop)
    assert ended.is_set()


def test_a_worker_at_rest_is_left_alone() -> None:
    ended, stop = threading.Event(), threading.Event()
    watchdog = StallWatchdog(0.1, ended.set)
    with watchdog.expected():
        watchdog.beat()
    watcher = threading.Thread(target=watchdog.watch, args=(stop,), daemon=True)
    watcher.start()
    watcher.join(0.5)
    assert watcher.is_alive()
    stop.set()
    watcher.join(5)
    assert not ended.is_set()
