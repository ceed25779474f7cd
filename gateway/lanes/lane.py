"""What a lane is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

Direction = Literal["in", "out", "status"]


@dataclass(frozen=True, slots=True)
class Lane:
    """An ordered stream of work."""

    direction: Direction
    channel: str
    key: str
    """in: the peer (and thread); out and status: the Chatwoot conversation."""

    def __str__(self) -> str:
        return f"{self.direction}/{self.channel}/{self.key}"

    @classmethod
    def read(cls, text: str) -> Lane:
        direction, channel, key = text.split("/", 2)
        return cls(cast(Direction, direction), channel, key)
