"""Tells those who watch a stand-in (the page, a test) what has just changed in it."""

from __future__ import annotations

import queue
import threading
from typing import Any

Event = dict[str, Any]


class Feed:
    """Copies every event to every subscriber. A subscriber that does not read loses the oldest."""

    def __init__(self, depth: int = 10_000) -> None:
        self._depth = depth
        self._lock = threading.Lock()
        self._subscribers: list[queue.Queue[Event]] = []

    def subscribe(self) -> queue.Queue[Event]:
        """A queue that gets every event from now on."""
        subscriber: queue.Queue[Event] = queue.Queue(self._depth)
        with self._lock:
            self._subscribers.append(subscriber)
        return subscriber

    def unsubscribe(self, subscriber: queue.Queue[Event]) -> None:
        """Stop filling a queue. Unknown ones are ignored."""
        with self._lock:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

    def publish(self, event: Event) -> None:
        with self._lock:
            for subscriber in self._subscribers:
                if subscriber.full():
                    subscriber.get_nowait()
                subscriber.put_nowait(event)
