"""Chatwoot's signature on its webhooks, checked where the settings hold the inbox's secret.

The secret is a setting and is not fetched from Chatwoot: web then makes no calls of its own, knows
the secret from the first webhook on, and keeps working while Chatwoot is slow.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress

import redis

from gateway.chatwoot import signature
from gateway.config import Channel
from gateway.lanes import keys

REMEMBERED_SECONDS = round(2 * signature.LONGEST_AGE)
"""Seconds: as long as a time stamp may count as fresh."""


class SignedWebhooks:
    """Lets each signed webhook pass once. Where no secret is set, lets everything pass."""

    def __init__(self, store: redis.Redis) -> None:
        self._store = store

    def verify(self, channel: Channel, headers: Mapping[str, str], body: bytes) -> None:
        """Raise `Forbidden` unless it is signed with one of the channel's secrets.

        `headers`: names in lower case.
        """
        if secrets := channel.config.signing_secret:
            signature.verify(headers, body, secrets, time.time())

    def is_repeated(self, channel: Channel, headers: Mapping[str, str]) -> bool:
        """Whether this webhook was taken before. Raises redis.RedisError."""
        keys = _keys(channel, headers)
        return bool(keys and self._store.exists(*keys))

    def remember(self, channel: Channel, headers: Mapping[str, str]) -> None:
        """Record a webhook that is stored, so that a repetition of it can be dropped."""
        # If this fails, a repetition is still recognised by its message id.
        with suppress(redis.RedisError):
            for key in _keys(channel, headers):
                self._store.set(key, 1, ex=REMEMBERED_SECONDS)


def _keys(channel: Channel, headers: Mapping[str, str]) -> tuple[str, ...]:
    """The delivery id stays the same when Chatwoot repeats a delivery, but the signature does not
    cover it: whoever replays a webhook can change the id but not the signature."""
    if not channel.config.signing_secret:
        return ()
    names = (headers.get("x-chatwoot-delivery", "")[:100], headers["x-chatwoot-signature"])
    return tuple(keys.webhook(channel.name, name) for name in names if name)
