"""Who is turned away is counted, and told of in the log, but not at every knock."""

from __future__ import annotations

import logging
import threading
import time

from gateway.observability import logs
from gateway.observability.metrics import Counts

BETWEEN_LINES = 60.0
"""Seconds between two lines that say the same."""
MOST_REMEMBERED = 100

log = logging.getLogger(__name__)


class Refusals:
    """Counts webhooks and log-ins that were refused. Threads may share it."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._lock = threading.Lock()
        self._told: dict[tuple[str, str], float] = {}
        self._untold: dict[tuple[str, str], int] = {}

    def webhook(self, channel: str, status: int, reason: str) -> None:
        """`channel`: empty if it is not one of ours."""
        self._counts.add("refused_webhooks", channel or "unknown")
        if more := self._times_to_tell("webhook", f"{channel} {status} {reason}"):
            logs.event(
                log,
                "refused",
                level=logging.WARNING,
                channel=channel or None,
                status=status,
                reason=reason,
                times=more,
            )

    def login(self, page: str) -> None:
        """A wrong admin token; one that was not given is no attempt."""
        self._counts.add("refused_logins", "admin")
        if more := self._times_to_tell("login", page):
            logs.event(log, "login_refused", level=logging.WARNING, page=page, times=more)

    def _times_to_tell(self, kind: str, what: str) -> int:
        """How often it happened since it was last told of; 0 to say nothing yet."""
        key, now = (kind, what), time.monotonic()
        with self._lock:
            self._untold[key] = self._untold.get(key, 0) + 1
            if now - self._told.get(key, -BETWEEN_LINES) < BETWEEN_LINES:
                return 0
            if len(self._told) >= MOST_REMEMBERED:
                self._told.clear()
                self._untold = {key: self._untold[key]}
            self._told[key] = now
            return self._untold.pop(key)
