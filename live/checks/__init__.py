"""The checks, a room each. A check takes the scene, and raises `Wrong` with what it saw instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from live.scene import Events, Scene


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be so. `name` is a sentence without its full stop."""

    name: str
    look: Callable[[Scene], None]
    ways: tuple[Events, ...] = ("webhook", "websocket")
    """The ways of events in which it can be seen."""


def on_each(
    channels: tuple[str, ...], what: str, look: Callable[[Scene, str], None]
) -> tuple[Check, ...]:
    """The same check on several channels."""

    def bound(channel: str) -> Callable[[Scene], None]:
        return lambda scene: look(scene, channel)

    return tuple(Check(f"{channel}: {what}", bound(channel)) for channel in channels)
