"""Connects a channel to its network and, where the network must be asked, polls it.

A network that calls us is also asked, if it can be, for what its webhooks did not bring: whenever a
web process has returned, and every few minutes.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable
from uuid import uuid4

import redis

from gateway.adapter import Adapter
from gateway.config import Channel
from gateway.errors import DeliveryError
from gateway.intake.intake import Intake, Stored
from gateway.intake.reading import Item, Reading
from gateway.lanes import CursorMove, KeyValues, LeaseVoid, Locks, keys
from gateway.lanes.returns import Returns
from gateway.model import Batch
from gateway.observability import logs
from gateway.observability.channel_states import ChannelNotes
from gateway.relay.retry_policy import backoff

LEASE = 6.0
"""Seconds that another clock waits if this one is killed. Renewed with every tick."""
GLANCE = 0.5
"""Seconds between two questions whether a web process has returned."""

CATCH_UP_EVERY = 300.0
"""Seconds between two looks for what webhooks did not bring."""
OVERLAP = 120.0
"""Seconds: a message may appear in a network's list some time after it was written."""
LONGEST_CATCH_UP = 6 * 86400.0
"""Seconds. A customer's message is recognised as a repetition for seven days."""

PAUSE = 1.0
"""Seconds, at least, from one poll to the next if the first brought nothing."""

log = logging.getLogger(__name__)


class ChannelPoller:
    """Connects one channel, then polls its network or catches up with it, if it can do either."""

    def __init__(
        self,
        channel: Channel,
        adapter: Adapter,
        store: redis.Redis,
        intake: Intake,
        stop: threading.Event,
        *,
        redact: Callable[[str], str] = str,
    ) -> None:
        """`redact` takes secrets out of what is noted: it may quote what the other side said."""
        self._channel = channel
        self._adapter = adapter
        self._locks = Locks(store)
        self._returns = Returns(store)
        self._values = KeyValues(store)
        self._notes = ChannelNotes(store, channel.name, redact)
        self._intake = intake
        self._reading = Reading(store)
        self._stop = stop
        self._token = uuid4().hex
        self._lease = ""
        """The lock that is ours, if one is."""
        self._next_catch_up = 0.0
        """Monotonic seconds."""

    @property
    def name(self) -> str:
        """Of the thread that it runs on."""
        return f"channel {self._channel.name}"

    def run(self) -> None:
        """Connect, then poll or catch up, where the adapter can, until the clock stops."""
        self._repeat(self._connect, until=lambda done: done)
        if self._adapter.polls:
            self._repeat(self._poll, until=lambda _: False)
        elif self._adapter.catches_up:
            self._repeat(self._catch_up_if_due, until=lambda _: False)

    def renew_lease(self) -> None:
        """Keep the lease, if it is ours. A poll that hangs is ended by its own time-outs.

        Raises redis.RedisError.
        """
        if lock := self._lease:
            self._take_lease(lock)

    def release_leases(self) -> None:
        """Let another clock poll at once, without waiting for the leases to run out."""
        with contextlib.suppress(redis.RedisError):
            for lock in (keys.lock_poller, keys.lock_catch_up):
                self._locks.unlock(lock(self._channel.name), self._token)

    def catch_up(self) -> int:
        """Store what the network's webhooks did not bring since the last time. Returns the number
        of new messages.

        Raises a `DeliveryError` or redis.RedisError; the next look then goes back as far.
        """
        name, now = keys.caught_up(self._channel.name), time.time()
        known = self._values.get(name)
        if known is None:
            # What was written before the channel was set up is left alone. Networks tell times in
            # whole seconds.
            self._values.set(name, repr(math.floor(now) + OVERLAP))
            return 0
        since = max(float(known) - OVERLAP, now - LONGEST_CATCH_UP)
        found = self._adapter.catch_up(since)
        items = self._reading.read_counted(self._channel, self._adapter, found)
        stored = self._intake.take(self._channel, items)
        if stored.ids:
            ids = " ".join(stored.ids)
            logs.event(log, "caught_up", channel=self._channel.name, new=len(stored.ids), ids=ids)
        self._values.set(name, repr(now))
        return len(stored.ids)

    def _take_lease(self, lock: str) -> bool:
        taken = self._locks.lock(lock, self._token, seconds=LEASE)
        self._lease = lock if taken else ""
        return taken

    def _repeat(self, step: Callable[[], bool], *, until: Callable[[bool], bool]) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                if until(step()):
                    return
                failures = 0
            except Exception as error:
                failures += 1
                self._log_trouble(step, error)
                self._notes.failed(str(error) or type(error).__name__)
                # Another clock, on another machine, may reach the network.
                self._lease = ""
                self.release_leases()
                self._stop.wait(backoff(failures))

    def _connect(self) -> bool:
        found = self._adapter.connect()
        self._notes.connected()
        logs.event(log, "connected", channel=self._channel.name, found=found)
        return True

    def _poll(self) -> bool:
        name = self._channel.name
        if not self._take_lease(keys.lock_poller(name)):
            self._stop.wait(LEASE / 10)  # another clock does it
            return False
        began, cursor = time.monotonic(), self._values.get(keys.cursor(name))
        batch = self._adapter.poll(cursor)
        if batch.items or batch.cursor != cursor:
            stored = self._take(batch)
            logs.event(log, "polled", channel=name, new=len(stored.ids), ids=" ".join(stored.ids))
        self._notes.polled()
        if not batch.items or batch.cursor == cursor:
            self._stop.wait(began + PAUSE - time.monotonic())
        return True

    def _take(self, batch: Batch) -> Stored:
        """Store what the poll brought, and its cursor. If the network fails in the middle, what
        came before that is stored, and the next poll brings the rest."""
        items: list[Item] = []
        try:
            for item in self._reading.read_counted(self._channel, self._adapter, batch.items):
                items.append(item)  # noqa: PERF402 - what came before an error is kept
        except DeliveryError:
            self._intake.take(self._channel, items)
            raise
        move = CursorMove(self._channel.name, self._token, batch.cursor)
        return self._intake.take(self._channel, items, move=move)

    def _catch_up_if_due(self) -> bool:
        name = self._channel.name
        if not self._take_lease(keys.lock_catch_up(name)):
            self._stop.wait(LEASE / 10)  # another clock does it
            return False
        wanted = self._returns.wanted_catch_up(name)
        if wanted or time.monotonic() >= self._next_catch_up:
            self.catch_up()
            self._notes.polled()
            self._next_catch_up = time.monotonic() + CATCH_UP_EVERY
            self._returns.end_catch_up(name, wanted)
        self._stop.wait(GLANCE)
        return True

    def _log_trouble(self, step: Callable[[], bool], error: Exception) -> None:
        expected = isinstance(error, (DeliveryError, redis.RedisError, LeaseVoid))
        logs.event(
            log,
            "channel_trouble",
            level=logging.WARNING if expected else logging.ERROR,
            error=None if expected else error,
            channel=self._channel.name,
            step=step.__name__.strip("_"),
            kind=type(error).__name__,
            why=str(error),
        )
