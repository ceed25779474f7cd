"""Gunicorn's threaded worker, made so that silent and dripping callers hold no thread for long.

As it comes it gives every new connection to a thread, which waits five seconds for the first byte
and, once that has come, for ever for the rest: eight half-sent requests would end all webhooks
(`gunicorn/workers/gthread.py`). Here a connection gets a thread when it has something to say, and
loses it if the request has not been answered in time.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from functools import partial
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

LONGEST_REQUEST = 15.0
"""Seconds for reading a request and answering it; ours take as long as Redis, five at most."""


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Wants gunicorn's setting `keepalive`: so long may a connection be silent."""

    longest_request = LONGEST_REQUEST

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._until: dict[Any, float] = {}
        """Connection → when (monotonic) its request must be done."""

    def enqueue_req(self, conn: Any) -> None:
        """Called in the main thread, for a new connection too: that one is only listened to."""
        if conn.initialized or conn.data_ready:
            super().enqueue_req(conn)
            return
        conn.sock.setblocking(False)
        conn.set_timeout()
        self.pending_conns.append(conn)
        readable = partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, readable)

    def handle(self, conn: Any) -> Any:
        self._until[conn] = time.monotonic() + self.longest_request
        try:
            return super().handle(conn)
        finally:
            self._until.pop(conn, None)

    def murder_pending(self) -> None:
        """Called by the main loop, at least each second."""
        super().murder_pending()
        now = time.monotonic()
        for conn, until in list(self._until.items()):
            if until < now:
                # What is still read ends here; a socket must not be closed under its reader.
                with contextlib.suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RDWR)
