"""The request limits of rack-attack, as Chatwoot sets them up (config/initializers/rack_attack.rb).

Windows are aligned to the clock's minute; the answer is plain text without a Retry-After header.
"""

from __future__ import annotations

import threading

from sandbox.chatwoot.store import Store
from sandbox.server import Reply

WINDOW = 60


class RequestLimits:
    """Counts requests per minute. A limit of None is off."""

    def __init__(self, requests: int | None, searches: int | None, store: Store) -> None:
        self._requests = requests
        self._searches = searches
        self._store = store
        self._lock = threading.Lock()
        self._window = 0
        self._counts: dict[str, int] = {}

    def count(self, path: str) -> Reply | None:
        """The answer to a request that is one too many; None if it may pass."""
        if self._requests is None and self._searches is None:
            return None
        over = self._count("all", self._requests)
        if "/contacts/search" in path:
            over = self._count(path.partition("/contacts/")[0], self._searches) or over
        return Reply(429, b"Retry later\n", "text/plain") if over else None

    def _count(self, key: str, limit: int | None) -> bool:
        with self._lock:
            window = int(self._store.now() // WINDOW)
            if window != self._window:
                self._window = window
                self._counts.clear()
            self._counts[key] = self._counts.get(key, 0) + 1
            return limit is not None and self._counts[key] > limit
