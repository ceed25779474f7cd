"""What came in and could not be read, as `doctor` tells of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import islice
from typing import Final

import redis

from gateway.adapter import Finding
from gateway.config import Channel
from gateway.lanes import DeadLetter, DeadLetters
from gateway.storage.connections import connect

CHECK: Final = "set aside"
KINDS: Final = frozenset({"unread", "webhook"})
LOOKED_AT: Final = 1000
"""Dead letters, the newest."""
NAMED: Final = 10


def look_at_set_aside(channel: Channel, redis_url: str) -> Iterator[Finding]:
    """Nothing if all could be read."""
    letters = _letters(channel, redis_url)
    if letters:
        named = "; ".join(f"{each.id}: {each.reason}" for each in islice(letters, NAMED))
        yield Finding.bad(
            CHECK,
            f"{len(letters)} could not be read, and wait among the dead letters. {named}",
            "Look at each with «python -m gateway dead show ID»; «dead replay ID» reads it again, "
            "«dead drop ID» forgets it.",
        )


def _letters(channel: Channel, redis_url: str) -> list[DeadLetter]:
    if not redis_url:
        return []
    with contextlib.closing(connect(redis_url, connections=1, retries=0)) as client:
        try:
            newest = DeadLetters(client).list(limit=LOOKED_AT)
            return [each for each in newest if each.channel == channel.name and each.kind in KINDS]
        except (redis.RedisError, OSError):  # a line of its own tells of that
            return []
