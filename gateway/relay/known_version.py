"""Which release of Chatwoot this is, where that changes what is told to it."""

from __future__ import annotations

import re
import threading
import time

from gateway.chatwoot.client import Chatwoot
from gateway.errors import DeliveryError

FRESH = 600.0
"""Seconds: an upgrade is noticed within that."""
DRAWS_DELIVERED = (4, 11)
"""Before it the dashboard draws «delivered» on API inboxes as a clock, as if it were on its way
(`MessageMeta.vue`); «sent» has the ticks."""


class KnownVersion:
    """One installation's release, asked at most every ten minutes."""

    def __init__(self, chatwoot: Chatwoot) -> None:
        self._chatwoot = chatwoot
        self._lock = threading.Lock()
        self._asked = -FRESH
        self._draws_delivered = True

    def draws_delivered(self) -> bool:
        """Whether «delivered» looks like it. Where the release cannot be learned, it does."""
        with self._lock:
            if time.monotonic() - self._asked >= FRESH:
                self._draws_delivered = self._ask()
                self._asked = time.monotonic()
            return self._draws_delivered

    def _ask(self) -> bool:
        try:
            number = re.match(r"(\d+)\.(\d+)", self._chatwoot.installation().version)
        except DeliveryError:
            return True
        return number is None or (int(number[1]), int(number[2])) >= DRAWS_DELIVERED
