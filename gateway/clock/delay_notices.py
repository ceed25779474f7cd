"""Tells agents about replies that wait because a network is away, refuses them, or is too slow.

The clock does it, because nobody attempts a reply behind a closed gate, and still somebody waits
for it. Agents are told once about each, through the status lane: it keeps the note while Chatwoot
is away.
"""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime

import redis

from gateway.config import Channel, Settings
from gateway.intake.doorbell import Doorbell
from gateway.lanes import Backlog, Delayed, ids, notes
from gateway.observability import logs

EVERY = 5.0
"""Seconds between two looks."""
NO_REASON = "others are being sent first"

log = logging.getLogger(__name__)


class DelayNotices:
    """Leaves a note about each delayed reply of all channels: one, however many clocks look."""

    def __init__(self, settings: Settings, backlog: Backlog, doorbell: Doorbell) -> None:
        self._channels = [c for c in settings.channels.values() if c.config.delay_notice]
        self._backlog = backlog
        self._doorbell = doorbell

    def run(self, stop: threading.Event) -> None:
        """Look every few seconds, until `stop`."""
        while not stop.wait(EVERY):
            try:
                self.leave_notes()
            except redis.RedisError as error:
                logs.event(log, "redis_away", level=logging.WARNING, kind=type(error).__name__)

    def leave_notes(self) -> int:
        """Leave a note about each reply that has waited too long. Returns how many were left.

        Raises redis.RedisError.
        """
        left = sum(self._leave_notes(channel) for channel in self._channels)
        if left:
            self._doorbell.ring_if_idle()
        return left

    def _leave_notes(self, channel: Channel) -> int:
        network = ids.channel_destination(channel.name)
        chatwoot = ids.chatwoot_destination(channel.account.name)
        found = self._backlog.delayed(network, seconds=channel.config.delay_notice)
        left = 0
        for delayed in found:
            waits = notes.delay_note(delayed, destination=chatwoot, text=_words(delayed))
            follows = notes.arrival_note(delayed, destination=chatwoot, text="Delivered now.")
            if self._backlog.tell_of_delay(delayed, waits, follows) == "told":
                left += 1
                logs.event(log, "delayed", message=delayed.message, why=delayed.reason or NO_REASON)
        return left


def _words(delayed: Delayed) -> str:
    reason = delayed.reason.rstrip(".") or NO_REASON
    at = datetime.fromtimestamp(delayed.next_attempt, UTC)
    return f"Not delivered yet: {reason}. The next attempt is due at {at:%H:%M:%S} UTC."
