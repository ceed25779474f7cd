"""Stopping in time: new messages are refused while Redis still has room to drain what it holds."""

from __future__ import annotations

import threading
import time
from typing import cast

import redis

FULL = 0.85
"""Of Redis's memory limit."""
ASK_EVERY = 5.0
"""Seconds."""


class MemoryGuard:
    """Whether Redis has room for more. Threads may share it."""

    def __init__(self, store: redis.Redis) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._asked = -ASK_EVERY
        self._share = 0.0

    def require(self) -> None:
        """Raise redis.OutOfMemoryError if there is not enough; then the answer is a 503."""
        with self._lock:
            # While it is full it is asked each time: what has room again must be taken at once.
            if self._share > FULL or time.monotonic() - self._asked >= ASK_EVERY:
                self._share = self._used()
                self._asked = time.monotonic()
            if self._share > FULL:
                raise redis.OutOfMemoryError(f"Redis is {self._share:.0%} full")

    def _used(self) -> float:
        memory = cast(dict[str, int], self._store.info("memory"))
        limit = memory.get("maxmemory", 0)
        return memory["used_memory"] / limit if limit else 0.0
