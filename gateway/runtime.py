"""What lives as long as the process and is shared by its adapters: one asyncio event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, TypeVar

T = TypeVar("T")


class Runtime:
    """One event loop on a thread of its own, started when first needed.

    Async libraries (python-telegram-bot, httpx) tie their connections to the loop that first used
    them: a loop per message breaks them («Event loop is closed»), so a process has exactly one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, work: Coroutine[Any, Any, T], *, seconds: float) -> T:
        """Run `work` on the loop and wait for it. Raises TimeoutError after `seconds`."""
        future = asyncio.run_coroutine_threadsafe(work, self._running_loop())
        try:
            return future.result(seconds)
        except FutureTimeout:
            future.cancel()
            raise

    def close(self) -> None:
        """Stop the loop. Work still running on it is abandoned."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._loop = None

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=self._loop.run_forever, name="event-loop", daemon=True
                ).start()
            return self._loop
