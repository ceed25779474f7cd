"""Says when something has changed anywhere, so that the page can show it at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable

from sandbox.feed import Event


class Changes:
    """Counts changes; each wakes those who wait."""

    def __init__(self) -> None:
        self._count = 0
        self._closed = False
        self._condition = threading.Condition()

    def follow(self, feeds: Iterable[queue.Queue[Event]]) -> None:
        """Count every event of these feeds, for as long as the process lives."""
        for feed in feeds:
            threading.Thread(target=self._read, args=(feed,), name="changes", daemon=True).start()

    def note(self) -> None:
        """Something has changed."""
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    def wait(self, seen: int, seconds: float) -> int:
        """Wait for a change after number `seen`, at most `seconds`. Returns the newest number."""
        with self._condition:
            self._condition.wait_for(lambda: self._count > seen or self._closed, seconds)
            return self._count

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Wake those who wait, for good."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _read(self, feed: queue.Queue[Event]) -> None:
        while True:
            feed.get()
            self.note()
