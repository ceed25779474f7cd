"""Showing customers small signs, on networks that have them: that an agent is typing, that a button
was heard."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import Executor, Future
from functools import partial

from gateway.adapter import Adapter
from gateway.errors import DeliveryError
from gateway.intake.indicators import Hint, Hints, Typing
from gateway.observability import logs

AT_ONCE = 4
"""Indicators shown at once: a network that hangs must not take the threads that deliver."""
FULL_WAIT = 0.05
"""Seconds until it is looked again whether one of them has come back."""

log = logging.getLogger(__name__)


class Indicators:
    """What a drain does while it has nothing to deliver: wait, and show what the hints are about.
    Nothing is tried twice: the next sign comes with the next words, or with another press."""

    def __init__(self, hints: Hints, adapters: Mapping[str, Adapter], pool: Executor) -> None:
        self._hints = hints
        self._adapters = adapters
        self._pool = pool
        self._showing: set[Future[None]] = set()

    def wait(self, seconds: float) -> None:
        """Sleep until something becomes due, at most `seconds`. Raises redis.RedisError."""
        if len(self._showing) >= AT_ONCE:
            self._hints.pause(min(seconds, FULL_WAIT))
            return
        hint = self._hints.wait(seconds)
        if hint is None or hint.channel not in self._adapters:
            return
        shown = self._pool.submit(_show, self._adapters[hint.channel], hint)
        self._showing.add(shown)
        shown.add_done_callback(partial(self._ended, hint.channel))

    def _ended(self, channel: str, shown: Future[None]) -> None:
        self._showing.discard(shown)
        if (error := shown.exception()) is not None:
            # An error that is none of ours may say anything, also a secret.
            why = error.reason if isinstance(error, DeliveryError) else type(error).__name__
            logs.event(log, "sign_not_shown", level=logging.DEBUG, channel=channel, why=why)


def _show(adapter: Adapter, hint: Hint) -> None:
    if isinstance(hint, Typing):
        adapter.typing(hint.peer)
    else:
        adapter.pressed(hint.message)
