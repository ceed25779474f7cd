"""Gunicorn's threaded worker, made so that a slow caller costs a socket and no thread.

As it comes it gives each connection to a thread, which then waits for the request: a few dozen
half-sent ones would end all webhooks (`gunicorn/workers/gthread.py`). And it takes leave of a
caller in its main loop, waiting up to two seconds for them to hang up. Here heads, bodies of usual
size and farewells wait in the main loop's selector, each with a short deadline. A thread gets a
request that is complete. A long body is read by one of a few threads of its own, and only if the
application wants it, which has seen the head by then.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from gunicorn import http
from gunicorn.workers.gthread import ThreadWorker

from gateway.web.arrival import Arrival, Progress, Source

LONGEST_REQUEST = 15.0
"""Seconds for answering a request; ours take as long as Redis, five at most."""
HEAD_SECONDS = 3.0
"""From the first byte of a head to its last."""
BODY_SECONDS = 5.0
"""For a body of usual size."""
LARGE_BODY_SECONDS = 10.0
FAREWELL_SECONDS = 2.0
"""For a caller to hang up, after an answer that says that it is the last one (RFC 9112, 9.6)."""
LARGE_THREADS = 2
PIECE = 64 * 1024


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Wants gunicorn's setting `keepalive`: so long may a connection be silent."""

    longest_request = LONGEST_REQUEST
    head_seconds = HEAD_SECONDS
    body_seconds = BODY_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._until: dict[Any, float] = {}
        """Connection → when (monotonic) its request must be answered."""
        self._arriving: dict[Any, tuple[Arrival, float]] = {}
        """Connection → its request, and when more of it must have come; the oldest first."""
        self._leaving: dict[Any, float] = {}
        """Connection → when it is closed, whether its caller has hung up or not."""

    def init_process(self) -> None:
        self._large = ThreadPoolExecutor(LARGE_THREADS, thread_name_prefix="large")
        super().init_process()

    def accept(self, listener: Any) -> None:
        """With all connections in use, the one that has been at its head for longest makes room."""
        if self.nr_conns >= self.worker_connections - 1:
            heads = (c for c, (a, _) in self._arriving.items() if a.progress() is Progress.HEAD)
            if (slowest := next(heads, None)) is not None:
                self._hang_up(slowest)
        super().accept(listener)

    def enqueue_req(self, conn: Any) -> None:
        """Called in the main loop when a connection is new, or has something to say again."""
        early = b"" if conn.parser is None else conn.parser.unreader.take_buffered()
        conn.sock.setblocking(False)
        self._arriving[conn] = Arrival(early), time.monotonic() + self.cfg.keepalive
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._gather, conn))
        self._gather(conn, conn.sock)

    def _gather(self, conn: Any, sock: socket.socket) -> None:
        arrival, _ = self._arriving[conn]
        before = arrival.progress() if arrival.data else None
        try:
            piece = sock.recv(PIECE)
        except BlockingIOError:
            piece = None
        except OSError:
            self._hang_up(conn)
            return
        arrival.add(piece or b"")
        now = arrival.progress()
        if piece == b"":  # no more will come: an incomplete request is answered as such
            now = Progress.WHOLE if now in {Progress.BODY, Progress.WHOLE} else now
            if now is Progress.HEAD:
                self._hang_up(conn)
                return
        if now in {Progress.WHOLE, Progress.LARGE}:
            self._hand_over(conn, now)
        elif arrival.data and now is not before:
            seconds = self.head_seconds if now is Progress.HEAD else self.body_seconds
            self._arriving[conn] = arrival, time.monotonic() + seconds

    def _hand_over(self, conn: Any, progress: Progress) -> None:
        """Give a request to a thread."""
        arrival, _ = self._arriving.pop(conn)
        self.poller.unregister(conn.sock)
        if conn.parser is None:
            conn.source = Source(conn.sock)
            conn.parser = http.get_parser(self.cfg, conn.source, conn.client)
        conn.parser.unreader.unread(bytes(arrival.data))
        conn.data_ready = True
        pool = self.tpool
        conn.source.end()
        if progress is Progress.LARGE:
            conn.source.open(LARGE_BODY_SECONDS)
            pool = self._large
        answered = pool.submit(self.handle, conn)
        answered.add_done_callback(
            lambda future: self.method_queue.defer(self.finish_request, conn, future)
        )

    def handle(self, conn: Any) -> Any:
        self._until[conn] = time.monotonic() + self.longest_request
        try:
            return super().handle(conn)
        finally:
            self._until.pop(conn, None)

    def handle_request(self, req: Any, conn: Any) -> Any:
        # Gunicorn believes these of a peer on loopback, as every caller is behind a local proxy.
        req.headers = [each for each in req.headers if each[0] not in {"SCRIPT_NAME", "PATH_INFO"}]
        if conn.source.is_open:
            req.force_close()  # what the application leaves of a long body is not read to its end
        return super().handle_request(req, conn)

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Called in the main loop when a request is answered."""
        if not fs.cancelled() and fs.exception() is None and fs.result():
            super().finish_request(conn, fs)
        else:
            self._take_leave(conn)

    def _take_leave(self, conn: Any) -> None:
        """As gunicorn's `close_graceful`, without waiting."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._wait_for_end, conn))
        except (OSError, ValueError):
            self._close(conn)
            return
        self._leaving[conn] = time.monotonic() + FAREWELL_SECONDS

    def _wait_for_end(self, conn: Any, sock: socket.socket) -> None:
        try:
            ended = not sock.recv(PIECE)
        except BlockingIOError:
            return
        except OSError:
            ended = True
        if ended:
            self._hang_up(conn)

    def _hang_up(self, conn: Any) -> None:
        self._arriving.pop(conn, None)
        self._leaving.pop(conn, None)
        with contextlib.suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)
        self._close(conn)

    def _close(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """Called by the main loop, at least each second."""
        super().murder_pending()
        now = time.monotonic()
        late = [conn for conn, (_, until) in self._arriving.items() if until < now]
        for conn in [*late, *(conn for conn, until in self._leaving.items() if until < now)]:
            self._hang_up(conn)
        for conn, until in list(self._until.items()):
            if until < now:
                # What is still read ends here; a socket must not be closed under its reader.
                with contextlib.suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RDWR)
