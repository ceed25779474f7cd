"""The dead letters: messages that were given up on, kept for a person to look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast
from uuid import uuid4

import redis

from gateway.lanes import keys
from gateway.lanes.scripts import Scripts
from gateway.lanes.values import DeadLetter


class DeadLetters:
    """List, show, replay and drop. All raise redis.RedisError if Redis is away."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._run = Scripts(client)

    def list(self, *, limit: int = 100) -> Iterator[DeadLetter]:
        """The newest first."""
        entries = self._client.xrevrange(keys.DEAD_LETTERS, count=limit)
        for stream_id, fields in cast(list[tuple[str, dict[str, str]]], entries):
            yield _letter(fields["id"], stream_id, fields)

    def show(self, message: str) -> DeadLetter | None:
        """One letter with all that is known of it; None if there is none of this id."""
        fields = cast(dict[str, str], self._client.hgetall(keys.message(message)))
        if fields.get("state") != "dead":
            return None
        return _letter(
            message, fields["dead_letter"], {**fields, "reason": fields.get("error", "")}
        )

    def replay(self, message: str, *, nonce: str = "") -> bool:
        """Let it be delivered as if it were new. False if there is no such dead letter."""
        return bool(self._run("replay", message, nonce or uuid4().hex) == "ok")

    def drop(self, message: str, *, nonce: str = "") -> bool:
        """Forget it for good. False if there is no such dead letter."""
        return bool(self._run("drop", message, nonce or uuid4().hex) == "ok")


def _letter(message: str, stream_id: str, fields: dict[str, Any]) -> DeadLetter:
    return DeadLetter(
        id=message,
        channel=fields["channel"],
        kind=fields["kind"],
        reason=fields["reason"],
        at=int(stream_id.split("-", maxsplit=1)[0]) / 1000,
        body=fields.get("body", ""),
        attempts=int(fields.get("attempts", 0)),
        first_error=fields.get("first_error", ""),
    )
