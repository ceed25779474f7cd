"""Chatwoot's signature on its webhooks, checked where the settings have the inbox's secret.

The secret is a setting, rather than asked of Chatwoot: so web makes no calls of its own, knows it
from the first webhook on, and goes on while Chatwoot is slow.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress

import redis

from gateway.chatwoot import signature
from gateway.config import Channel

REMEMBERED = round(2 * signature.LONGEST_AGE)
"""Seconds: as long as a time stamp may pass for a fresh one."""


class SignedWebhooks:
    """Lets each signed webhook pass once; where no secret is set, lets everything pass."""

    def __init__(self, store: redis.Redis) -> None:
        self._store = store

    def verify(self, channel: Channel, headers: Mapping[str, str], body: bytes) -> None:
        """Raise `Forbidden` unless it is signed as the channel's settings want it.

        `headers`: names in lower case.
        """
        if secrets := channel.config.signing_secret:
            signature.verify(headers, body, secrets, time.time())

    def is_repeated(self, channel: Channel, headers: Mapping[str, str]) -> bool:
        """Whether this webhook was taken before. Raises redis.RedisError."""
        keys = _keys(channel, headers)
        return bool(keys and self._store.exists(*keys))

    def taken(self, channel: Channel, headers: Mapping[str, str]) -> None:
        """Remember a webhook that is stored: only now may a repetition of it be let go."""
        # It is stored: if this cannot be remembered too, a repetition is refused by its message id.
        with suppress(redis.RedisError):
            for key in _keys(channel, headers):
                self._store.set(key, 1, ex=REMEMBERED)


def _keys(channel: Channel, headers: Mapping[str, str]) -> tuple[str, ...]:
    """The id stays the same when Chatwoot repeats a delivery, but the signature does not cover it:
    whoever replays a webhook can change the id, and cannot change the signature."""
    if not channel.config.signing_secret:
        return ()
    names = (headers.get("x-chatwoot-delivery", "")[:100], headers["x-chatwoot-signature"])
    return tuple(f"gw:taken:{channel.name}:{name}" for name in names if name)
