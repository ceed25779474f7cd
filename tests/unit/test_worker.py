"""The worker's own parts: its watchdog."""

from __future__ import annotations

import threading
from typing import Any, cast

from gateway.storage.connections import connect_worker
from gateway.worker import LISTEN, RQ_GRACE, GatewayWorker, StallWatchdog


def test_rq_listens_no_longer_than_its_connection_waits(redis_url: str) -> None:
    connection = connect_worker(redis_url, timeout=LISTEN + RQ_GRACE)
    worker = GatewayWorker(cast(Any, None), connection)
    assert worker.dequeue_timeout == LISTEN
    assert worker.connection_timeout == LISTEN + RQ_GRACE
    assert connection.connection_pool.connection_kwargs["socket_timeout"] == LISTEN + RQ_GRACE


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
