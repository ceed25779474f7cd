"""What a process does beside its messages: nobody waits for it, and nothing is lost with it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress

MOST = 64
"""Pieces of work that wait; what comes beyond that is not taken."""
PATIENCE = 5.0
"""Seconds that the end of a process waits for what is under way."""


class Background:
    """A thread that does one piece of work at a time. It never keeps its process from ending: what
    is under way then is broken off."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[Callable[[], None]] = queue.Queue(MOST)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def do(self, work: Callable[[], None]) -> bool:
        """Have `work` done. False if too much waits already."""
        with self._starting:
            # Begun with the first piece, and anew should one have had a fault that it did not tell.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="background", daemon=True)
                self._thread.start()
        try:
            self._waiting.put_nowait(work)
        except queue.Full:
            return False
        return True

    @property
    def idle(self) -> bool:
        """Whether all is done."""
        return not self._waiting.unfinished_tasks

    def close(self) -> None:
        """Begin nothing more, and give what is under way a moment. Called once, when the process
        ends."""
        self._closed.set()
        with suppress(queue.Full):
            self._waiting.put_nowait(lambda: None)  # wakes the thread
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def _run(self) -> None:
        while not self._closed.is_set():
            work = self._waiting.get()
            try:
                if not self._closed.is_set():
                    work()
            finally:
                self._waiting.task_done()
