"""Forgetting what is remembered of people of whom nothing was heard for long enough."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final, cast

import redis

from gateway.lanes import keys
from gateway.lanes.ledger import LEDGER_SECONDS

AT_ONCE: Final = 500
PREFIXES: Final = (
    keys.route(""),
    keys.contact("", 0).removesuffix(":0"),
    keys.address_change("", "").removesuffix(":"),
    keys.former_address("", "").removesuffix(":"),
    keys.avatar("", "").removesuffix(":"),
)
"""Each lives for `LEDGER_SECONDS` from the last time that it was needed: its age is what is gone of
that. All are memories that Chatwoot is asked for anew."""


def forget_people(store: redis.Redis, *, seconds: float) -> int:
    """Forget what was not needed for so long. Returns how many keys that were.

    Raises redis.RedisError.
    """
    if seconds >= LEDGER_SECONDS:  # Redis does it by itself
        return 0
    return sum(_forget(store, prefix, LEDGER_SECONDS - seconds) for prefix in PREFIXES)


def _forget(store: redis.Redis, prefix: str, least: float) -> int:
    names = cast(Iterator[str], store.scan_iter(prefix + "*", count=1000))
    forgotten = 0
    while some := list(islice(names, AT_ONCE)):
        with store.pipeline(transaction=False) as pipe:
            for name in some:
                _ = pipe.ttl(name)
            left = cast(list[int], pipe.execute())
        old = [name for name, rest in zip(some, left, strict=True) if 0 <= rest < least]
        forgotten += int(store.delete(*old)) if old else 0
    return forgotten
