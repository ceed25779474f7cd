"""Listens to Chatwoot's event stream, for an account whose `events` are "websocket".

Of several clocks one listens, under a lease. After each new connection Chatwoot is asked for what
was missed before anything that the stream brings is stored: so replies leave in the order in which
they were written.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final
from uuid import uuid4

import redis

from gateway.chatwoot.cable import Cable, Subscription, UnreadableFrame
from gateway.chatwoot.client import Chatwoot
from gateway.clock.stream_events import StreamEvents
from gateway.config import ChatwootAccount
from gateway.errors import BadCredentials, DeliveryError, Malformed
from gateway.lanes import Locks, keys
from gateway.observability import logs
from gateway.observability.event_streams import StreamNotes
from gateway.relay.retry_policy import backoff

STREAM_LEASE: Final = 6.0
"""Seconds that another clock waits if this one is killed. Renewed with every tick; two that listen
for a moment do no harm."""
LOOKS: Final = 3
"""Attempts at the look after a connection. One inbox that cannot be looked at does not keep the
others' replies waiting for ever."""
LONGEST_BACKOFF: Final = 4
"""Failures after which the pauses grow no longer: to sixteen seconds at most."""

log = logging.getLogger(__name__)


class EventListener:
    """Keeps one account's stream connected. `look`: asks for what was missed, see `Reconciler`."""

    def __init__(
        self,
        account: ChatwootAccount,
        chatwoot: Chatwoot,
        events: StreamEvents,
        looks: Sequence[Callable[[], object]],
        *,
        locks: Locks,
        notes: StreamNotes,
        stop: threading.Event,
    ) -> None:
        self._account = account
        self._chatwoot = chatwoot
        self._events = events
        self._looks = looks
        self._locks = locks
        self._notes = notes
        self._stop = stop
        self._token = uuid4().hex
        self._holds_lease = False
        self._failures = 0

    @property
    def name(self) -> str:
        """Of the thread that listens."""
        return f"event stream of {self._account.name}"

    def run(self) -> None:
        """Listen until the clock stops, connecting again whenever the connection breaks."""
        while not self._stop.is_set():
            try:
                self._holds_lease = self._take_lease()
                if self._holds_lease:
                    self._listen()
                else:
                    self._stop.wait(STREAM_LEASE / 10)  # another clock does it
            except Exception as error:
                self._failures += 1
                self._log_trouble(error)
                # Another clock, on another machine, may reach Chatwoot.
                self._holds_lease = False
                self.release_lease()
                self._stop.wait(backoff(min(self._failures, LONGEST_BACKOFF)))

    def renew_lease(self) -> None:
        """Keep the lease, if it is ours; if another clock has it by now, listening ends.

        Raises redis.RedisError.
        """
        if self._holds_lease:
            self._holds_lease = self._take_lease()

    def release_lease(self) -> None:
        """Let another clock listen at once, without waiting for the lease to run out."""
        with contextlib.suppress(redis.RedisError):
            self._locks.unlock(self._lock, self._token)

    def _listen(self) -> None:
        """Until the lease is lost or the clock stops. Raises a `DeliveryError` if the connection
        breaks, redis.RedisError if nothing can be stored: the next look finds what was not."""
        profile = self._chatwoot.profile()
        subscription = Subscription(self._account.account, profile.id, profile.pubsub_token)
        with Cable(self._account.api_url, self._account.url, subscription) as cable:
            logs.event(log, "stream_connected", chatwoot=self._account.name)
            self._notes.connected()
            self._events.forget()
            self._look()
            while self._holds_lease and not self._stop.is_set():
                self._take_next(cable)
                self._failures = 0

    def _look(self) -> None:
        for look in self._looks:
            self._look_at_one(look)

    def _look_at_one(self, look: Callable[[], object]) -> None:
        for attempt in range(1, LOOKS + 1):
            try:
                look()
            except DeliveryError as error:
                logs.event(log, "not_reconciled", level=logging.WARNING, why=str(error))
                self._stop.wait(backoff(attempt))
            else:
                return

    def _take_next(self, cable: Cable) -> None:
        """What one frame tells is stored before the next is read."""
        try:
            frame = cable.receive()
            self._notes.frame()
            if frame is not None:
                self._events.take(frame)
        except (UnreadableFrame, Malformed) as error:
            # What it was about is found by the next look.
            logs.event(
                log,
                "unreadable_frame",
                level=logging.WARNING,
                chatwoot=self._account.name,
                why=str(error),
            )

    @property
    def _lock(self) -> str:
        return keys.lock_event_stream(self._account.name)

    def _take_lease(self) -> bool:
        return self._locks.lock(self._lock, self._token, seconds=STREAM_LEASE)

    def _log_trouble(self, error: Exception) -> None:
        self._notes.broken(str(error))
        expected = isinstance(error, (DeliveryError, redis.RedisError))
        heavy = not expected or isinstance(error, BadCredentials)
        logs.event(
            log,
            "stream_trouble",
            level=logging.ERROR if heavy else logging.WARNING,
            error=None if expected else error,
            chatwoot=self._account.name,
            kind=type(error).__name__,
            why=str(error),
        )
