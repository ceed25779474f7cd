"""Total deadlines for HTTP calls.

The time-outs of `requests` count from one read to the next, so a server that drips a byte a second
holds a thread for ever. Here a watch closes the connection when the whole call has taken too long.
"""

from __future__ import annotations

import heapq
import itertools
import socket
import threading
import time
from contextvars import ContextVar
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from gateway.http.answer import SAFE_METHODS
from gateway.http.fence import check_fence

watching: ContextVar[Watch | None] = ContextVar("watching", default=None)
"""The watch of the call that this thread is making: the connection that it uses goes there."""


class Watch:
    """One call's deadline and, once there is one, its socket."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.expired = False
        self.over = False
        self.written = False
        """Something of the call may have reached the other side."""
        self._socket: socket.socket | None = None

    def hold(self, sock: socket.socket) -> None:
        self._socket = sock
        if self.expired:
            self.expire()

    def finish(self) -> None:
        self.over = True
        self._socket = None

    def expire(self) -> None:
        self.expired = True
        if (sock := self._socket) is not None:
            try:
                # Not SSLSocket.shutdown: it would throw away the TLS state that a reader uses.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                return  # already closed: nothing left to interrupt


class Watchdog:
    """A thread that expires watches when their time has come; it starts with the first."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Watch]] = []
        self._count = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def add(self, watch: Watch) -> None:
        with self._changed:
            soonest = not self._heap or watch.until < self._heap[0][0]
            heapq.heappush(self._heap, (watch.until, next(self._count), watch))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            elif soonest:
                self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while not self._stopped:
                self._drop_finished()
                if not self._heap:
                    self._changed.wait()
                elif (left := self._heap[0][0] - time.monotonic()) > 0:
                    self._changed.wait(left)
                else:
                    heapq.heappop(self._heap)[2].expire()

    def _drop_finished(self) -> None:
        while self._heap and self._heap[0][2].over:
            heapq.heappop(self._heap)


class WatchedHTTPConnection(HTTPConnection):
    """Gives its socket to the watch, and asks the fence at the last moment before a write."""

    _has_asked = True

    def _new_conn(self) -> socket.socket:
        return _hold(super()._new_conn())

    def request(self, method: str, *args: Any, **options: Any) -> None:
        _connect(self)
        self._has_asked = method in SAFE_METHODS
        super().request(method, *args, **options)

    def send(self, data: Any) -> None:
        if not self._has_asked:
            # The process may have been stopped since the call began, for longer than its lease.
            check_fence()
            self._has_asked = True
        super().send(data)


class WatchedHTTPSConnection(WatchedHTTPConnection, HTTPSConnection):
    """The same over TLS."""


def _hold(sock: socket.socket) -> socket.socket:
    if (watch := watching.get()) is not None:
        watch.hold(sock)
    return sock


def _connect(connection: HTTPConnection) -> None:
    """A kept-alive connection has its socket already; a TLS one has changed it by now."""
    if connection.sock is None:
        connection.connect()
    if (watch := watching.get()) is not None and isinstance(connection.sock, socket.socket):
        watch.hold(connection.sock)
        watch.written = True


class WatchedHTTPPool(HTTPConnectionPool):
    ConnectionCls = WatchedHTTPConnection


class WatchedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = WatchedHTTPSConnection


class WatchedTransport(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {
            "http": WatchedHTTPPool,
            "https": WatchedHTTPSPool,
        }
