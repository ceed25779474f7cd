"""Showing customers that an agent is typing, on networks that have a sign for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import Executor, Future
from functools import partial

from gateway import logs
from gateway.adapter import Adapter
from gateway.errors import DeliveryError
from gateway.hints import Hints

AT_ONCE = 4
"""Threads that show signs. A network that hangs must not take those that deliver."""

log = logging.getLogger(__name__)


class TypingSigns:
    """What a drain does while it has nothing to deliver: wait, and show what agents' typing brings.
    Nothing is tried twice: the next sign comes with the next words."""

    def __init__(self, hints: Hints, adapters: Mapping[str, Adapter], pool: Executor) -> None:
        self._hints = hints
        self._adapters = adapters
        self._pool = pool
        self._room = threading.BoundedSemaphore(AT_ONCE)

    def wait(self, seconds: float) -> None:
        """Sleep until something becomes due, at most `seconds`. Raises redis.RedisError."""
        hint = self._hints.wait(seconds)
        if hint is None or hint.channel not in self._adapters:
            return
        if self._room.acquire(blocking=False):
            shown = self._pool.submit(self._adapters[hint.channel].typing, hint.peer)
            shown.add_done_callback(partial(self._ended, hint.channel))

    def _ended(self, channel: str, shown: Future[None]) -> None:
        self._room.release()
        if (error := shown.exception()) is not None:
            # An error that is none of ours may say anything, also a secret.
            why = error.reason if isinstance(error, DeliveryError) else type(error).__name__
            logs.event(log, "sign_not_shown", level=logging.DEBUG, channel=channel, why=why)
