"""Showing Redis that this worker lives, so that no message is blamed for a death that was none.

A message whose attempt was never heard of again may have killed its worker. But when Redis itself
restarts or fails over, every attempt under way ends like that, and all the workers live.
"""

from __future__ import annotations

import logging
import threading
from uuid import uuid4

import redis

from gateway import logs
from gateway.lanes import Lanes

log = logging.getLogger(__name__)


class Alive:
    """One process's name, and its sign of life, which ends well before its leases do."""

    def __init__(self, lanes: Lanes, lease: float) -> None:
        self.name = uuid4().hex[:12]
        """Each claim's token begins with it."""
        self._lanes = lanes
        self._lease = lease

    def show(self) -> None:
        """For half a lease: whoever takes its lanes over then must not find it alive.

        Raises redis.RedisError.
        """
        self._lanes.hold(f"alive:{self.name}", self.name, seconds=self._lease / 2)

    def run(self, stop: threading.Event) -> None:
        """Again and again, until `stop`."""
        while not stop.is_set():
            try:
                self.show()
            except redis.RedisError as error:
                logs.event(log, "redis_away", level=logging.WARNING, kind=type(error).__name__)
            stop.wait(self._lease / 6)
