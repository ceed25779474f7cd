"""The clock: rings when something is due, asks the networks that must be asked, connects channels.

Several may run: every poll is done under a lease, and its batch and cursor are stored in one step.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType
from uuid import uuid4

import redis

from gateway import bell, logs
from gateway.adapter import Adapter
from gateway.bell import Bell
from gateway.config import Channel, Settings
from gateway.connections import connect
from gateway.errors import DeliveryError
from gateway.heartbeat import Heartbeat
from gateway.intake import Intake
from gateway.lanes import CursorMove, Lanes, LeaseVoid
from gateway.reconcile import Rounds
from gateway.relay.consequences import backoff
from gateway.runtime import Runtime

CONNECTIONS = 2
TICK = 1.0
POLLER_LEASE = 90.0
"""Seconds; longer than a poll may take, so that two clocks never ask one mailbox at once."""

log = logging.getLogger(__name__)


def main(settings: Settings) -> None:
    """Tick until SIGTERM."""
    stop = threading.Event()

    def end(signum: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    store = connect(settings.gateway.redis_url, connections=CONNECTIONS, retries=3)
    lanes = Lanes(store, bell.queue_key())
    ringer = Bell(store)
    intake, runtime = Intake(lanes, ringer), Runtime()
    attendants = []
    for channel in settings.channels.values():
        adapter = channel.adapter(channel.config, settings.site(channel, runtime))
        attendant = Attendant(channel, adapter, lanes, intake, stop)
        attendants.append(attendant)
        # A daemon thread: a poll that is under way when the clock stops has confirmed nothing.
        threading.Thread(target=attendant.run, name=f"channel {channel.name}", daemon=True).start()
    rounds = Rounds(settings, lanes, intake)
    threading.Thread(target=rounds.run, args=(stop,), name="reconcile", daemon=True).start()
    Heartbeat(store, "clock").start()
    _tick(lanes, ringer, stop)
    for attendant in attendants:
        attendant.let_go()


def _tick(lanes: Lanes, ringer: Bell, stop: threading.Event) -> None:
    while not stop.wait(TICK):
        try:
            if lanes.pending():
                ringer.ring()
        except redis.RedisError as error:
            logs.event(log, "redis_away", level=logging.WARNING, kind=type(error).__name__)


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

    def run(self) -> None:
        """Connect, then poll for ever if that is needed. Returns when the clock stops."""
        self._repeat(self._connect, until=lambda done: done)
        if self._adapter.polls:
            self._repeat(self._poll, until=lambda _: False)

    def let_go(self) -> None:
        """Let the next clock poll at once: it need not wait for the lease to run out."""
        with contextlib.suppress(redis.RedisError):
            self._lanes.let_go(f"poller:{self._channel.name}", self._token)

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
                self._stop.wait(backoff(failures))

    def _connect(self) -> bool:
        found = self._adapter.connect()
        logs.event(log, "connected", channel=self._channel.name, found=found)
        return True

    def _poll(self) -> bool:
        name = self._channel.name
        if not self._lanes.hold(f"poller:{name}", self._token, seconds=POLLER_LEASE):
            self._stop.wait(POLLER_LEASE / 10)  # another clock does it
            return False
        cursor = self._lanes.cursor(name)
        batch = self._adapter.poll(cursor)
        if batch.items or batch.cursor != cursor:
            move = CursorMove(name, self._token, batch.cursor)
            stored = self._intake.take(self._channel, batch.items, move=move)
            logs.event(log, "polled", channel=name, new=len(stored.ids), ids=" ".join(stored.ids))
        return True

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
