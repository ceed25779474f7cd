"""Notices that this process took no webhooks for a while, and has what was missed asked for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Final
from uuid import uuid4

import redis
from flask import Flask, Response, request

from gateway.adapter import Adapter
from gateway.config import Channel
from gateway.lanes.returns import Missed, Returns
from gateway.observability import logs
from gateway.storage.memory_guard import MemoryGuard

EVERY: Final = 1.0
"""Seconds between two looks at itself."""
AGAIN: Final = 0.1
"""Seconds, while it cannot take webhooks."""
GAP: Final = 2.5
"""Seconds between two looks that succeeded, after which it was away: Chatwoot waits for five."""

UNAVAILABLE: Final = 503

log = logging.getLogger(__name__)


class Presence:
    """Whether this process could take webhooks all the time.

    It could not before its start, while it stood still, and while Redis was away or full. At its
    return replies are held, before the first webhook is stored, until Chatwoot was asked for those
    that were refused; and networks are asked for customers' messages.
    """

    def __init__(self, store: redis.Redis, channels: Iterable[Channel]) -> None:
        self._store = store
        self._returns = Returns(store)
        self._memory = MemoryGuard(store)
        self._missed = [
            Missed(
                channel.name,
                look=channel.is_called_by_chatwoot,
                catch_up=channel.adapter.catch_up is not Adapter.catch_up,
            )
            for channel in channels
        ]
        self._lock = threading.Lock()
        self._was_away = True
        self._seen = time.monotonic()
        self._seen_by_redis = 0.0
        self._stop = threading.Event()

    def register(self, app: Flask) -> None:
        """See what is refused, and that nothing is stored before a return is recorded."""
        app.before_request(self._before)
        app.after_request(self._after)

    def start(self) -> None:
        """Record the start, and look again and again on a thread of its own."""
        with suppress(redis.RedisError):
            self.look()
        threading.Thread(target=self._run, name="presence", daemon=True).start()

    def stop(self) -> None:
        """End that thread."""
        self._stop.set()

    def note_refusal(self) -> None:
        """Somebody was told that nothing can be stored."""
        self._was_away = True

    def look(self) -> None:
        """Record a return if this process was away. Raises redis.RedisError if it still is."""
        with self._lock:
            try:
                self._look()
            except redis.RedisError:
                self._was_away = True
                raise

    def _look(self) -> None:
        seconds, microseconds = self._store.time()
        # By Redis's clock: it goes on while the machine sleeps.
        now = seconds + microseconds / 1_000_000
        if self._was_away or now - self._seen_by_redis > GAP:
            self._memory.require()
            self._was_away = False  # before it is recorded: a refusal may come meanwhile
            self._returns.record(uuid4().hex, self._missed)
            logs.event(log, "returned", text="what was told meanwhile is asked for")
        self._seen, self._seen_by_redis = time.monotonic(), now

    def _run(self) -> None:
        while not self._stop.wait(AGAIN if self._was_away else EVERY):
            with suppress(redis.RedisError):
                self.look()

    def _before(self) -> None:
        """A younger reply must not leave before the older ones are asked for. Raises
        redis.RedisError."""
        if request.endpoint == "chatwoot_webhook" and (
            self._was_away or time.monotonic() - self._seen > GAP
        ):
            self.look()

    def _after(self, response: Response) -> Response:
        if response.status_code == UNAVAILABLE:
            self.note_refusal()
        return response
