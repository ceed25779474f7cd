"""Named locks, for what only one process may do at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

import redis

from gateway.lanes.scripts import Scripts


@dataclass(frozen=True, slots=True)
class Locks:
    """Locks, each under its own key of `keys`; a lock that is not renewed ends by itself.

    Threads may share it. Every method raises redis.RedisError if Redis cannot be asked.
    """

    client: redis.Redis
    _run: Scripts = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_run", Scripts(self.client))

    def lock(self, key: str, token: str, *, seconds: float) -> bool:
        """Take or keep a named lock, for what only one process may do at a time."""
        return bool(self._run("lock", key, token, round(seconds * 1000)))

    def unlock(self, key: str, token: str) -> None:
        """Give a named lock back."""
        self._run("unlock", key, token)
