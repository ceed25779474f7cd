"""Stopping in time: new messages are refused while Redis still has room to drain what it holds."""

from __future__ import annotations

import threading
import time
from typing import cast

import redis

from gateway.lanes import keys

FULL = 0.85
"""Of Redis's memory limit."""
ASK_EVERY = 5.0
"""Seconds."""


READY_SECONDS = 60
"""For which the key stays that `require_writable` writes."""


def used_share(store: redis.Redis) -> float:
    """How much of Redis's memory limit is in use; 0 without a limit. Raises redis.RedisError."""
    memory = cast(dict[str, int], store.info("memory"))
    limit = memory.get("maxmemory", 0)
    return memory["used_memory"] / limit if limit else 0.0


def require_writable(store: redis.Redis) -> None:
    """Raise redis.RedisError if a webhook that came now could not be stored.

    It writes: a server may answer and yet be full, a replica, or short of replicas or disk.
    """
    if (share := used_share(store)) > FULL:
        raise redis.OutOfMemoryError(f"Redis is {share:.0%} full")
    store.set(keys.READY, 1, ex=READY_SECONDS)


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
                self._share = used_share(self._store)
                self._asked = time.monotonic()
            if self._share > FULL:
                raise redis.OutOfMemoryError(f"Redis is {self._share:.0%} full")
