"""The dead letters: messages that were given up on, kept for a person to look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast
from uuid import uuid4

import redis

from gateway.lanes import keys
from gateway.lanes.keys import DeadLetterField, MessageField
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
            yield _read_letter(fields[DeadLetterField.ID], stream_id, fields)

    def show(self, message: str) -> DeadLetter | None:
        """One letter with all that is known of it; None if no letter has this id."""
        fields = cast(dict[str, str], self._client.hgetall(keys.message(message)))
        if fields.get(MessageField.STATE) != "dead":
            return None
        reason = fields.get(MessageField.ERROR, "")
        known = {**fields, DeadLetterField.REASON: reason}
        return _read_letter(message, fields[MessageField.DEAD_LETTER], known)

    def replay(self, message: str, *, nonce: str = "") -> bool:
        """Let it be delivered as if it were new. False if no dead letter has this id."""
        return bool(self._run("replay", message, nonce or uuid4().hex) == "ok")

    def drop(self, message: str, *, nonce: str = "") -> bool:
        """Forget it for good. False if no dead letter has this id."""
        return bool(self._run("drop", message, nonce or uuid4().hex) == "ok")

    def drop_older(self, seconds: float) -> Iterator[str]:
        """Forget those that were given up on longer ago; their ids as it is done."""
        now, _ = self._client.time()
        last = f"{round((now - seconds) * 1000)}"
        entries = cast(list[Any], self._client.xrange(keys.DEAD_LETTERS, max=last))
        for _, fields in entries:
            if self.drop(fields[DeadLetterField.ID]):
                yield fields[DeadLetterField.ID]
        if entries:
            self._run("rewrite_dead_letters")


def _read_letter(message: str, stream_id: str, fields: dict[str, Any]) -> DeadLetter:
    return DeadLetter(
        id=message,
        channel=fields[DeadLetterField.CHANNEL],
        kind=fields[DeadLetterField.KIND],
        reason=fields[DeadLetterField.REASON],
        at=int(stream_id.split("-", maxsplit=1)[0]) / 1000,
        body=fields.get(MessageField.BODY, ""),
        attempts=int(fields.get(MessageField.ATTEMPTS, 0)),
        first_error=fields.get(MessageField.FIRST_ERROR, ""),
    )
