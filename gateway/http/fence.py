"""The last look before a write to the outside: whether the lane is still ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from gateway.errors import LeaseLost

fence: ContextVar[Callable[[], None] | None] = ContextVar("fence", default=None)
"""Called immediately before each write to the outside; raises `LeaseLost` if the right is gone."""


def check_fence() -> None:
    """To be called immediately before a write that does not go through a `Session`."""
    if (check := fence.get()) is not None:
        check()


def may_write() -> bool:
    """Whether the right to write is still there, as far as this process knows."""
    try:
        check_fence()
    except LeaseLost:
        return False
    return True


@contextmanager
def no_fence() -> Iterator[None]:
    """For a write that does no harm whoever has the right: taking back one's own double."""
    token = fence.set(None)
    try:
        yield
    finally:
        fence.reset(token)
