"""What the gateway itself has written down, read from its Redis."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import redis

from gateway.lanes import keys


class Books:
    """The gateway's counters and ledger. Every method raises redis.RedisError."""

    def __init__(self, store: redis.Redis) -> None:
        self._store = store

    def has_met(self, channels: Iterable[str]) -> bool:
        """Whether the gateway has seen every channel's inbox: from then on no reply is missed."""
        return all(self._store.exists(keys.watermark(channel)) for channel in channels)

    def waiting_lanes(self) -> int:
        """How many lanes still hold something."""
        return sum(1 for _ in self._store.scan_iter(keys.lane("*"), count=1000))

    def total(self, what: str) -> int:
        """A counter, over all channels."""
        counts = cast(dict[str, str], self._store.hgetall(keys.COUNTS))
        return sum(int(n) for name, n in counts.items() if name.partition("|")[0] == what)

    def dead_letters(self) -> list[str]:
        """The ids of what it has given up on, with the reasons."""
        entries = self._store.xrange(keys.DEAD_LETTERS)
        return [
            f"{fields['id']}: {fields['reason']}"
            for _, fields in cast(list[tuple[str, dict[str, str]]], entries)
        ]

    def was_uncertain(self, name: str) -> bool:
        """Whether it did not know at some time if this message had arrived."""
        return bool(self._store.hexists(keys.message(name), "was_uncertain"))

    def was_missed(self, name: str, settle: float) -> bool:
        """Whether a reply was stored because a look at Chatwoot found it: it had an age by then,
        while one that a webhook tells of is new, and waits for the settle time (seconds) only."""
        stored = self._store.hmget(keys.message(name), "appended", "ready")
        appended, ready = (float(value or 0) / 1000 for value in cast(list[str | None], stored))
        return ready - appended > settle + 0.001
