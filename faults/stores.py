"""Where the gateway keeps its messages: one Valkey, or a primary, a replica and three sentinels."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from os import environ
from pathlib import Path
from typing import Protocol

from faults.houses import Process
from faults.replicated import ReplicatedRedis
from gateway.embedded import EmbeddedValkey
from gateway.processes import Role

AWAY = 4.0
"""Seconds that a killed primary stays away: longer than a fail-over takes."""


class Store(Protocol):
    """The servers, as roles that are kept running like all others."""

    url: str
    environ: Mapping[str, str]
    """What tells the gateway of it."""
    roles: Sequence[Role]
    closest: float
    """Seconds between two kills, at least."""
    unstoppable: frozenset[str]
    """Whom nobody stops for a while."""
    failed_over: Sequence[float]
    """When a primary was killed for good, on the monotonic clock."""

    def ready(self) -> bool: ...

    def kill(self, process: Process) -> bool:
        """Kill a server or a sentinel, unless all would be lost by it."""

    def remarks(self) -> Sequence[str]: ...


class Alone:
    """One server. It is back at once, with all that it has answered for."""

    closest = 0.15
    unstoppable: frozenset[str] = frozenset()
    failed_over: Sequence[float] = ()

    def __init__(self, folder: Path) -> None:
        """Raises OSError if the folder cannot be made."""
        server = EmbeddedValkey(folder)
        server.prepare()
        self.url = server.url
        self.environ: Mapping[str, str] = {"REDIS_URL": server.url}
        self.roles: Sequence[Role] = (Role("valkey", tuple(server.command()), environ, last=True),)

    def ready(self) -> bool:
        return True

    def kill(self, process: Process) -> bool:
        return process.kill()

    def remarks(self) -> Sequence[str]:
        return ()


class Replicated:
    """A killed primary is replaced by its replica, and comes back as the replica of that.

    Neither server is stopped for a while: a primary that goes on after it was replaced accepts
    messages until its clients have left it (docs/OPERATING.md), and those are lost.
    """

    closest = 1.5
    """Until the other server has become a replica it takes a dozen seconds."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError if the folder cannot be made."""
        folder.mkdir()
        self._redis = ReplicatedRedis(folder)
        self.url = self._redis.url
        self.environ: Mapping[str, str] = self._redis.environ
        self._servers = {f"valkey-{n}": each for n, each in enumerate(self._redis.servers, start=1)}
        sentinels = {f"sentinel-{n}": each for n, each in enumerate(self._redis.sentinels, start=1)}
        self.roles: Sequence[Role] = tuple(
            Role(name, tuple(each.command), environ, last=True)
            for name, each in (self._servers | sentinels).items()
        )
        self.unstoppable = frozenset(self._servers)
        self.failed_over: Sequence[float] = ()

    def ready(self) -> bool:
        return self._redis.watched and self._redis.in_step

    def kill(self, process: Process) -> bool:
        """A primary only while a replica follows it: the next would have old data, or be none."""
        if process.name not in self._servers:
            return process.kill()
        if self._servers[process.name] is not self._redis.primary:
            return process.kill()
        if not self._redis.in_step or not process.kill(away=AWAY):
            return False
        self.failed_over = (*self.failed_over, time.monotonic())
        return True

    def remarks(self) -> Sequence[str]:
        killed = len(self.failed_over)
        return (f"primaries killed: {killed}; fail-overs: {self._redis.fail_overs}",)
