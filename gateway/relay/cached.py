"""A value that is asked for now and then; an old one serves where a new one cannot be had."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from gateway.errors import DeliveryError

T = TypeVar("T")


class Cached(Generic[T]):
    """What `ask` returned: at most `seconds` old, unless asking again failed. Threads share it."""

    def __init__(self, ask: Callable[[], T], *, seconds: float = 300.0) -> None:
        self._ask = ask
        self._seconds = seconds
        self._lock = threading.Lock()
        self._known: tuple[T] | None = None
        self._asked = 0.0

    def get(self) -> T:
        """Raises a `DeliveryError` if asking fails and never succeeded before."""
        with self._lock:
            if self._known is None or time.monotonic() - self._asked >= self._seconds:
                self._known = self._ask_again(self._known)
                self._asked = time.monotonic()
            return self._known[0]

    def _ask_again(self, known: tuple[T] | None) -> tuple[T]:
        try:
            return (self._ask(),)
        except DeliveryError:
            if known is None:
                raise
            return known
