"""What networks brought and nobody could read: counted before it is read, kept when given up on."""

from __future__ import annotations

from typing import cast
from uuid import uuid4

import redis

from gateway.lanes import bodies, ids, keys
from gateway.lanes.scripts import Scripts
from gateway.lanes.values import Kind
from gateway.model import Unread

BEGUN: int = 86400
"""Seconds that a beginning is counted for."""


class SetAside:
    """Threads may share it. Every method raises redis.RedisError."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._run = Scripts(client)

    def begin(self, channel: str, name: str) -> int:
        """Count that `name` is about to be read: how often that has begun and not ended."""
        key = keys.reading(channel)
        with self._client.pipeline() as steps:
            steps.hincrby(key, ids.unread_id(channel, name), 1)
            steps.expire(key, BEGUN)
            return cast(int, steps.execute()[0])

    def end(self, channel: str, name: str) -> None:
        """It has been read, or set aside."""
        self._client.hdel(keys.reading(channel), ids.unread_id(channel, name))

    def keep(
        self, channel: str, account: str, unread: Unread, reason: str, *, kind: Kind = "unread"
    ) -> bool:
        """Put it among the dead letters. False if it is there, or was, already.

        `account`: of Chatwoot, where its messages go if a person has it read again.
        """
        name = ids.unread_id(channel, unread.id)
        outcome = self._run(
            "set_aside",
            name,
            str(ids.inbound_lane(channel, name)),
            ids.chatwoot_destination(account),
            channel,
            kind,
            bodies.write(unread),
            reason,
            uuid4().hex,
        )
        return bool(outcome == "new")
