"""Signs of life: each process regularly notes that it is alive, where all others can read it."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import cast
from uuid import uuid4

import redis

from gateway.lanes import Locks, keys
from gateway.lanes.scripts import Scripts
from gateway.observability import logs

FORGOTTEN_AFTER = 3600.0
"""Seconds of silence after which a process is forgotten, if another of its role lives."""
ALIVE_WITHIN = 60.0
"""Seconds. A process that was silent for longer counts as dead: it beats each ten."""
ROLES = ("web", "worker", "clock")

log = logging.getLogger(__name__)


class Heartbeat:
    """One process's sign of life, every `every` seconds once it is started."""

    def __init__(self, store: redis.Redis, role: str, *, every: float = 10.0) -> None:
        self._run_script = Scripts(store)
        self._name = f"{role}:{socket.gethostname().replace(':', '-')}:{os.getpid()}"
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def beat(self) -> None:
        """Note that this process lives, forget those long gone of its role.

        Raises redis.RedisError.
        """
        self._run_script("heartbeat", self._name, round(FORGOTTEN_AFTER * 1000))

    def start(self) -> None:
        """Beat on a thread of its own until `stop` or the end of the process."""
        self._thread.start()

    def stop(self) -> None:
        """Beat no more. Returns when the thread has ended."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.beat()
            except redis.RedisError as error:
                log.debug("no heartbeat: %s", type(error).__name__)
            self._stop.wait(self._every)


class Liveness:
    """A worker's name, and a sign of life that ends well before its leases do.

    A message whose attempt was never heard of again may have killed its worker. But when Redis
    itself restarts or fails over, every attempt under way ends like that, and all workers live: no
    message is to be blamed for a death that was none.
    """

    def __init__(self, locks: Locks, lease: float) -> None:
        self.name = uuid4().hex[:12]
        """Each claim's token begins with it."""
        self._locks = locks
        self._lease = lease

    def show(self) -> None:
        """For half a lease: whoever takes its lanes over then must not find it alive.

        Raises redis.RedisError.
        """
        self._locks.lock(keys.alive(self.name), self.name, seconds=self._lease / 2)

    def run(self, stop: threading.Event) -> None:
        """Again and again, until `stop`."""
        while not stop.is_set():
            try:
                self.show()
            except redis.RedisError as error:
                logs.event(log, "redis_away", level=logging.WARNING, kind=type(error).__name__)
            stop.wait(self._lease / 6)


def last_heartbeats(store: redis.Redis) -> dict[str, float]:
    """Role → seconds since the newest sign of life of any of its processes.

    Raises redis.RedisError.
    """
    newest: dict[str, float] = {}
    for role, age in _ages(store):
        newest[role] = min(age, newest.get(role, age))
    return newest


def living_processes(store: redis.Redis) -> dict[str, int]:
    """Role → how many of its processes live; 0 for one that nobody plays.

    Raises redis.RedisError.
    """
    living = Counter(role for role, age in _ages(store) if age <= ALIVE_WITHIN)
    return {role: living[role] for role in ROLES}


def _ages(store: redis.Redis) -> Iterator[tuple[str, float]]:
    """Role, and seconds since the last sign of life, of each process."""
    now = _now(store)
    for name, at in _beats(store):
        yield name.split(":", 1)[0], max(0.0, now - at)


def _now(store: redis.Redis) -> float:
    """Redis's own clock: the clocks of hosts need not agree."""
    seconds, microseconds = store.time()
    return seconds + microseconds / 1_000_000


def _beats(store: redis.Redis) -> list[tuple[str, float]]:
    beats = cast(dict[str, str], store.hgetall(keys.HEARTBEATS))
    return [(name, float(at)) for name, at in beats.items()]
