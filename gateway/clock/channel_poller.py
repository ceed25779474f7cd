"""Looking after a channel: it is connected and, where the network must be asked, polled.

A network that calls us may be asked as well, now and then, for what its webhooks did not bring.
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
from gateway.intake.intake import Intake
from gateway.lanes import CursorMove, Lanes, LeaseVoid
from gateway.observability import logs
from gateway.relay.retry_policy import backoff

POLLER_LEASE = 15.0
"""Seconds that another clock waits after this one was killed. Renewed with every tick."""

CATCH_UP_EVERY = 300.0
"""Seconds between two looks for what webhooks did not bring."""
OVERLAP = 120.0
"""A message may show in a network's list some time after it was written."""
LONGEST_CATCH_UP = 6 * 86400.0
"""A customer's message is recognised as a repetition for seven days."""

log = logging.getLogger(__name__)


class Attendant:
    """Looks after one channel: connects it and, where the network must be asked, polls it."""

    def __init__(
        self,
        channel: Channel,
        adapter: Adapter,
        lanes: Lanes,
        intake: Intake,
        stop: threading.Event,
    ) -> None:
        self._channel = channel
        self._adapter = adapter
        self._lanes = lanes
        self._intake = intake
        self._stop = stop
        self._token = uuid4().hex
        self._mine = False

    def run(self) -> None:
        """Connect, then poll or catch up for ever if that can be done. Returns when the clock
        stops."""
        self._repeat(self._connect, until=lambda done: done)
        if self._adapter.polls:
            self._repeat(self._poll, until=lambda _: False)
        elif self._adapter.catches_up:
            self._repeat(self._catch_up, until=lambda _: False)

    def keep(self) -> None:
        """Renew the poller's lease. A poll that has no end is ended by its own time-outs."""
        if self._mine:
            self._mine = self._hold()

    def let_go(self) -> None:
        """Let the next clock poll at once: it need not wait for the lease to run out."""
        with contextlib.suppress(redis.RedisError):
            for what in ("poller", "catching_up"):
                self._lanes.let_go(f"{what}:{self._channel.name}", self._token)

    def caught_up(self) -> int:
        """Store what the network's webhooks did not bring since the last time. Returns how many
        messages that were.

        Raises a `DeliveryError` or redis.RedisError; then the next look goes back as far.
        """
        name, now = f"caught_up:{self._channel.name}", time.time()
        known = self._lanes.memo(name)
        if known is None:
            # What was written before the channel was set up is left alone. (In whole seconds, as
            # networks tell them.)
            self._lanes.remember(name, repr(math.floor(now) + OVERLAP))
            return 0
        since = max(float(known) - OVERLAP, now - LONGEST_CATCH_UP)
        stored = self._intake.take(self._channel, self._adapter.catch_up(since))
        if stored.ids:
            ids = " ".join(stored.ids)
            logs.event(log, "caught_up", channel=self._channel.name, new=len(stored.ids), ids=ids)
        self._lanes.remember(name, repr(now))
        return len(stored.ids)

    def _hold(self) -> bool:
        return self._lanes.hold(f"poller:{self._channel.name}", self._token, seconds=POLLER_LEASE)

    def _repeat(self, step: Callable[[], bool], *, until: Callable[[bool], bool]) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                if until(step()):
                    return
                failures = 0
            except Exception as error:
                failures += 1
                self._complain(step, error)
                # Another clock, on another machine, may get through.
                self._mine = False
                self.let_go()
                self._stop.wait(backoff(failures))

    def _connect(self) -> bool:
        found = self._adapter.connect()
        logs.event(log, "connected", channel=self._channel.name, found=found)
        return True

    def _poll(self) -> bool:
        name = self._channel.name
        self._mine = self._hold()
        if not self._mine:
            self._stop.wait(POLLER_LEASE / 10)  # another clock does it
            return False
        cursor = self._lanes.cursor(name)
        batch = self._adapter.poll(cursor)
        if batch.items or batch.cursor != cursor:
            move = CursorMove(name, self._token, batch.cursor)
            stored = self._intake.take(self._channel, batch.items, move=move)
            logs.event(log, "polled", channel=name, new=len(stored.ids), ids=" ".join(stored.ids))
        return True

    def _catch_up(self) -> bool:
        lease = f"catching_up:{self._channel.name}"
        if self._lanes.hold(lease, self._token, seconds=CATCH_UP_EVERY * 1.5):
            self.caught_up()
        self._stop.wait(CATCH_UP_EVERY)
        return False

    def _complain(self, step: Callable[[], bool], error: Exception) -> None:
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
