"""The last call of Chatwoot's that did not reach the gateway, if none has reached it since."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

from gateway.lanes import keys
from gateway.lanes.key_values import KeyValues

KEPT: Final = 7 * 86400
"""Seconds."""


@dataclass(frozen=True, slots=True)
class NotedCall:
    message: int
    """The Chatwoot message that it was about."""
    why: str
    """Chatwoot's own words."""
    written_at: float
    """When the message was written, in Unix seconds."""


def noted_call(values: KeyValues, channel: str) -> NotedCall | None:
    """Raises redis.RedisError, as the others do."""
    text = values.get(keys.failed_call(channel))
    return NotedCall(**json.loads(text)) if text else None


def note_call(values: KeyValues, channel: str, call: NotedCall) -> None:
    values.set(keys.failed_call(channel), json.dumps(asdict(call)), seconds=KEPT)


def forget_call(values: KeyValues, channel: str) -> None:
    values.set(keys.failed_call(channel), "", seconds=1)
