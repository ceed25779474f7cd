"""How far a channel's inbox has been looked at: what lies below is never sent for being unknown."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from gateway.lanes import KeyValues, keys


@dataclass(frozen=True, slots=True)
class Watermark:
    """How far a channel has been reconciled. Times in Unix seconds."""

    message: int
    """No message up to this id is looked at again."""
    since: float
    """Nor any that was written before the gateway met this inbox."""
    looked: float

    def is_below(self, message: int, written_at: float) -> bool:
        """Whether a message that we do not know may be one that we missed."""
        return message > self.message and written_at >= self.since


def watermark_of(values: KeyValues, channel: str) -> Watermark | None:
    """None: the inbox has never been looked at."""
    text = values.get(keys.watermark(channel))
    return Watermark(**json.loads(text)) if text else None


def set_watermark(values: KeyValues, channel: str, mark: Watermark) -> None:
    values.set(keys.watermark(channel), json.dumps(asdict(mark)))
