"""What has been kept for long enough is forgotten: dead letters, what is remembered of people, and
what the embedded server's file still has of all that was deleted."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import redis

from gateway.config import Settings
from gateway.erasure.age import forget_people
from gateway.lanes import DeadLetters, Locks, keys
from gateway.observability import logs
from gateway.storage.embedded import data_folder, embedded_in
from gateway.storage.rewriting import NotRewritten, rewrite

EVERY: Final = 60.0
"""Seconds between two looks whether something is due."""
HOUR: Final = 3600.0
DAY: Final = 86400.0
REWRITE_SECONDS: Final = 600.0
"""The longest that a rewrite may take."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """One clock does each task when it is due, however many there are."""

    settings: Settings
    store: redis.Redis

    def run(self, stop: threading.Event) -> None:
        """Look every minute, until `stop`."""
        while not stop.is_set():
            try:
                self.do_what_is_due()
            except redis.RedisError as error:
                logs.event(log, "redis_away", level=logging.WARNING, kind=type(error).__name__)
            stop.wait(EVERY)

    def do_what_is_due(self) -> None:
        """Raises redis.RedisError."""
        limits = self.settings.gateway
        if limits.keep_dead_letters and self._is_due("dead_letters", HOUR):
            self._drop_letters(limits.keep_dead_letters * DAY)
        if self._is_due("people", DAY):
            forget_people(self.store, seconds=limits.keep_people * DAY)
        every = limits.rewrite_every
        if every and self._is_ours() and self._is_due("rewrite", every):
            self._rewrite()

    def _is_due(self, task: str, seconds: float) -> bool:
        """True once in that time: nobody gives the lock back."""
        return Locks(self.store).lock(keys.lock_housekeeping(task), uuid4().hex, seconds=seconds)

    def _drop_letters(self, seconds: float) -> None:
        for message in DeadLetters(self.store).drop_older(seconds):
            logs.event(log, "dead_expired", level=logging.WARNING, message=message)

    def _rewrite(self) -> None:
        try:
            rewrite(self.store, patience=REWRITE_SECONDS)
        except NotRewritten as error:
            logs.event(log, "not_rewritten", level=logging.WARNING, why=str(error))

    def _is_ours(self) -> bool:
        return self.settings.gateway.redis_url == embedded_in(data_folder()).url
