"""Hints that an agent is typing: from the web process, which must not call networks, to a worker.

They do not go through lanes: such a hint is worth nothing late and nothing is lost with it. It lies
in Redis for a few seconds; a drain that has nothing better to do picks it up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import redis

WORTH = 5
"""Seconds that a hint is good for, and in which a conversation gets no second one. That is how long
Telegram shows the sign: https://core.telegram.org/bots/api#sendchataction."""
MOST = 64
"""Hints that wait at once; older ones make room."""


@dataclass(frozen=True, slots=True)
class Hint:
    """An agent is writing to this customer."""

    channel: str
    peer: str


@dataclass(frozen=True, slots=True)
class Hints:
    """Leaving hints, and waiting for them. Threads may share it.

    Every method raises redis.RedisError if Redis cannot be asked.
    """

    client: redis.Redis
    namespace: str = "gw"

    def leave(self, channel: str, conversation: int, peer: str) -> bool:
        """False if this conversation had one a moment ago."""
        name = f"{channel}/{conversation}"
        if not self.client.set(self._key(name), peer, nx=True, ex=WORTH):
            return False
        with self.client.pipeline(transaction=False) as pipeline:
            pipeline.rpush(self._list, name)
            pipeline.ltrim(self._list, -MOST, -1)
            pipeline.expire(self._list, WORTH)
            pipeline.execute()
        return True

    def wait(self, seconds: float) -> Hint | None:
        """Sleep until a lane becomes due or a hint comes, at most `seconds`. A hint that has
        outlived its worth is dropped."""
        names = [self._list, f"{self.namespace}:wake"]
        popped = cast(tuple[str, str] | None, self.client.blpop(names, timeout=max(0.01, seconds)))
        if popped is None or popped[0] != self._list:
            return None
        peer = self.client.get(self._key(popped[1]))
        return None if peer is None else Hint(popped[1].rpartition("/")[0], str(peer))

    @property
    def _list(self) -> str:
        return f"{self.namespace}:typing"

    def _key(self, name: str) -> str:
        return f"{self.namespace}:typing:{name}"
