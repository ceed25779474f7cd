"""What must be known of an inbox to choose a conversation, asked now and then."""

from __future__ import annotations

import threading
import time

from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.values import Inbox

FRESH = 300.0
"""Seconds: an administrator who locks the inbox to single conversations sees it within that."""


class KnownInbox:
    """One channel's inbox, as Chatwoot described it at most five minutes ago."""

    def __init__(self, chatwoot: Chatwoot, inbox_id: int) -> None:
        self._chatwoot = chatwoot
        self._id = inbox_id
        self._lock = threading.Lock()
        self._known: tuple[float, Inbox] | None = None

    def now(self) -> Inbox:
        """Raises a `DeliveryError` if Chatwoot cannot be asked."""
        with self._lock:
            if self._known is None or time.monotonic() - self._known[0] > FRESH:
                self._known = (time.monotonic(), self._chatwoot.inbox(self._id))
            return self._known[1]
