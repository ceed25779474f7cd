"""Where the gateway keeps its messages: one Valkey, or a primary, a replica and three sentinels."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from os import environ
from pathlib import Path
from typing import Protocol

from faults.processes import Process
from faults.replicated import ReplicatedRedis
from gateway.processes.kept_process import Role
from gateway.storage.embedded import EmbeddedValkey

DOWN_AFTER = 1500
"""Milliseconds of silence after which the sentinels act. Neither a busy machine nor a server that
is back at once is silent for so long."""
AWAY = 5.0
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
    """Processes that the freezer spares."""
    failed_over: Sequence[float]
    """When a primary was killed for good, on the monotonic clock."""

    def ready(self) -> bool: ...

    def kill(self, process: Process, among: Mapping[str, Process]) -> bool:
        """Kill a server or a sentinel: this one, or another of `among` that is fitter for it."""

    def remarks(self) -> Sequence[str]: ...

    def doubts(self) -> Sequence[str]:
        """What happened without our doing, so that the run proves nothing."""


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

    def kill(self, process: Process, among: Mapping[str, Process]) -> bool:
        return process.kill()

    def remarks(self) -> Sequence[str]:
        return ()

    def doubts(self) -> Sequence[str]:
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
        self._redis = ReplicatedRedis(folder, DOWN_AFTER)
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

    def kill(self, process: Process, among: Mapping[str, Process]) -> bool:
        """Of the servers the primary, if a replica follows it. If none does, its data are nowhere
        else, or the next would have old ones: then it is spared, and the other server is killed."""
        if process.name not in self._servers:
            return process.kill()
        following, primary = self._redis.in_step, self._redis.primary
        name = next(n for n, each in self._servers.items() if (each is primary) == following)
        if not following:
            return primary.is_primary and among[name].kill()
        if not among[name].kill(away=AWAY):
            return False
        self.failed_over = (*self.failed_over, time.monotonic())
        return True

    def remarks(self) -> Sequence[str]:
        killed = len(self.failed_over)
        return (f"primaries killed: {killed}; fail-overs: {self._redis.fail_overs}",)

    def doubts(self) -> Sequence[str]:
        more = self._redis.fail_overs > len(self.failed_over)
        return (
            "a primary was replaced that had not been killed: the machine may be too busy",
        ) * more
