"""Showing customers small signs, on networks that have them: that an agent is typing, that a button
was heard."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import Executor, Future
from functools import partial

from gateway.adapter import Adapter
from gateway.errors import DeliveryError
from gateway.intake.indicators import Indicator, IndicatorQueue, Typing
from gateway.observability import logs

AT_ONCE = 4
"""Indicators shown at once: a network that hangs must not take the threads that deliver."""
FULL_WAIT = 0.05
"""Seconds until it is looked again whether one of them has come back."""

log = logging.getLogger(__name__)


class Indicators:
    """What a drain does while it has nothing to deliver: wait, and show indicators.
    Nothing is tried twice: the next one comes with the next words, or with another press."""

    def __init__(
        self, queue: IndicatorQueue, adapters: Mapping[str, Adapter], pool: Executor
    ) -> None:
        self._queue = queue
        self._adapters = adapters
        self._pool = pool
        self._showing: set[Future[None]] = set()

    def show_while_waiting(self, seconds: float) -> None:
        """Sleep until something becomes due or an indicator comes, at most `seconds`.

        Raises redis.RedisError.
        """
        if len(self._showing) >= AT_ONCE:
            self._queue.pause(min(seconds, FULL_WAIT))
            return
        indicator = self._queue.wait(seconds)
        if indicator is None or indicator.channel not in self._adapters:
            return
        showing = self._pool.submit(_show, self._adapters[indicator.channel], indicator)
        self._showing.add(showing)
        showing.add_done_callback(partial(self._finish, indicator.channel))

    def _finish(self, channel: str, showing: Future[None]) -> None:
        self._showing.discard(showing)
        if (error := showing.exception()) is not None:
            # A foreign error may say anything, even a secret.
            why = error.reason if isinstance(error, DeliveryError) else type(error).__name__
            logs.event(log, "indicator_not_shown", level=logging.DEBUG, channel=channel, why=why)


def _show(adapter: Adapter, indicator: Indicator) -> None:
    if isinstance(indicator, Typing):
        adapter.show_typing(indicator.place)
    else:
        adapter.acknowledge_press(indicator.message)
