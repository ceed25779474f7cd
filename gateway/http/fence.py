"""The last look before a write to the outside: whether the lane is still ours."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

fence: ContextVar[Callable[[], None] | None] = ContextVar("fence", default=None)
"""Called immediately before each write to the outside; raises `LeaseLost` if the right is gone."""


def check_fence() -> None:
    """To be called immediately before a write that does not go through a `Session`."""
    if (check := fence.get()) is not None:
        check()
