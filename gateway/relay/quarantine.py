"""The quarantine: a poison message, whose attempts ended in dead workers, is tried alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Quarantine:
    """Deliveries of one process: many at a time, or a single poison message.

    A message that killed two workers is tried once more with nothing beside it, so that no
    innocent one is taken for the cause.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._others = 0
        self._poisonous = 0
        """Poison messages that are delivered alone, or wait for that."""
        self._alone = False

    @contextmanager
    def among_others(self) -> Iterator[None]:
        """Deliver beside others; waits while a poison message is, or waits to be, alone."""
        with self._changed:
            self._changed.wait_for(lambda: self._poisonous == 0)
            self._others += 1
        try:
            yield
        finally:
            with self._changed:
                self._others -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Deliver with nothing beside it."""
        with self._changed:
            self._poisonous += 1
            self._changed.wait_for(lambda: self._others == 0 and not self._alone)
            self._alone = True
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._poisonous -= 1
                self._changed.notify_all()
