"""Waiting until something is so, and saying what was there instead."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds: a process that was killed leaves its leases for a while."""

PAUSE = 0.2
"""Seconds between two looks: a Chatwoot counts the requests of an address."""


class Wrong(Exception):
    """A check found something else than it wanted. The text says what was seen."""


def expect(is_so: bool, seen: object) -> None:
    """Raises `Wrong` with what was seen."""
    if not is_so:
        raise Wrong(f"seen instead: {seen!r}"[:500])


def wait_for(look: Callable[[], T | None], wanted: str, *, seconds: float = PATIENCE) -> T:
    """What `look` returns once it is something.

    Raises `Wrong`, with `wanted`, if it is nothing for so long."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise Wrong(f"not seen within {seconds:g} s: {wanted}")
        time.sleep(PAUSE)
    return found


def stays(look: Callable[[], object], seconds: float = 2.0) -> None:
    """Nothing may appear for so long. Raises `Wrong` with what did."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            raise Wrong(f"seen, and should not be: {found!r}"[:500])
        time.sleep(PAUSE)
