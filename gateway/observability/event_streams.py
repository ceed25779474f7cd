"""Whether Chatwoot's event streams are connected: noted by the clock, read by everybody."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final, cast

import redis

from gateway.lanes import keys

FRESH: Final = 30.0
"""Seconds for which a connection counts without a sign of it: the clock may have been killed."""
FORGOTTEN_AFTER: Final = 3600.0
"""Seconds after which what was noted counts no more: webhooks may tell of the account by now."""
NOTED_EVERY: Final = 1.0
"""Seconds between two notes about frames."""


@dataclass(frozen=True, slots=True)
class StreamState:
    """One account's stream. Times in seconds until now."""

    connected: bool
    since: float
    """How long it has been so."""
    last_frame: float | None
    """Since something came, at least a ping; None if nothing ever has."""
    why: str = ""
    """What ended the last connection, or kept one from being made."""


@dataclass(slots=True)
class StreamNotes:
    """What the clock notes about one account's stream. A Redis that is away does not stop
    listening: then nothing is noted."""

    store: redis.Redis
    account: str
    redact: Callable[[str], str] = str
    """Takes secrets out of a reason, which may quote what the other side said."""
    _noted: _Noted | None = None
    _due: float = 0.0

    def connected(self) -> None:
        """The subscription is confirmed."""
        now = self._now()
        self._write(_Noted(True, now, now, at=now))

    def frame(self) -> None:
        """Something came. Noted once a second at most."""
        if self._noted is not None and time.monotonic() >= self._due:
            now = self._now()
            self._write(_Noted(True, self._noted.since, now, at=now))

    def broken(self, why: str) -> None:
        """The connection is lost."""
        before, now = self._noted, self._now()
        since = before.since if before and not before.connected else now
        self._write(
            _Noted(False, since, before.last_frame if before else None, now, self.redact(why))
        )

    def _write(self, noted: _Noted) -> None:
        self._noted, self._due = noted, time.monotonic() + NOTED_EVERY
        with contextlib.suppress(redis.RedisError):
            self.store.hset(keys.EVENT_STREAMS, self.account, json.dumps(asdict(noted)))

    def _now(self) -> float:
        try:
            return _server_time(self.store)
        except redis.RedisError:
            return time.time()


@dataclass(frozen=True, slots=True)
class _Noted:
    """Times in Unix seconds of Redis's clock."""

    connected: bool
    since: float
    last_frame: float | None
    at: float
    """When it was noted."""
    why: str = ""


def read_streams(store: redis.Redis) -> dict[str, StreamState]:
    """Account → state of its stream, for each that a clock has tried within the last hour.

    Raises redis.RedisError.
    """
    texts = cast(dict[str, str], store.hgetall(keys.EVENT_STREAMS))
    noted = {name: _Noted(**json.loads(text)) for name, text in texts.items()}
    now = _server_time(store) if noted else 0.0
    return {
        name: _state(each, now) for name, each in noted.items() if now - each.at <= FORGOTTEN_AFTER
    }


def _state(noted: _Noted, now: float) -> StreamState:
    last = None if noted.last_frame is None else max(0.0, now - noted.last_frame)
    if noted.connected and last is not None and last > FRESH:
        return StreamState(False, last, last, "the clock that listened has gone silent")
    return StreamState(noted.connected, max(0.0, now - noted.since), last, noted.why)


def _server_time(store: redis.Redis) -> float:
    """Redis's own clock: the clocks of hosts need not agree."""
    seconds, microseconds = store.time()
    return float(seconds) + float(microseconds) / 1_000_000
