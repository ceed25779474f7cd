"""Whether each channel reaches its network: noted by the clock, read by everybody."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Final, cast

import redis

from gateway.lanes import keys

NOTED_EVERY: Final = 5.0
"""Seconds between two notes of the same: some networks are asked many times a second."""


@dataclass(frozen=True, slots=True)
class ChannelState:
    """What is known of a channel. Times in seconds until now."""

    why: str
    """What went wrong last; empty while all is well."""
    since: float
    """How long it has been so."""
    last_poll: float | None
    """Since the network was last asked with success; None if it never was, or need not be."""

    @property
    def is_in_trouble(self) -> bool:
        return bool(self.why)


@dataclass(frozen=True, slots=True)
class _Noted:
    """Times in Unix seconds of Redis's clock."""

    why: str = ""
    since: float = 0.0
    last_poll: float | None = None


@dataclass(slots=True)
class ChannelNotes:
    """What a clock notes about one channel. A Redis that is away stops no poll: then nothing is
    noted."""

    store: redis.Redis
    channel: str
    redact: Callable[[str], str] = str
    """Takes secrets out of a reason, which may quote what the other side said."""
    _noted: _Noted = field(default_factory=_Noted)
    _due: float = 0.0

    def connected(self) -> None:
        """The network knows us."""
        self._note("", polled=False)

    def polled(self) -> None:
        """The network was asked, and what it had is stored."""
        if self._noted.why or time.monotonic() >= self._due:
            self._due = time.monotonic() + NOTED_EVERY
            self._note("", polled=True)

    def failed(self, why: str) -> None:
        """Connecting or asking failed."""
        self._note(self.redact(why) or "no reason is known", polled=False)

    def _note(self, why: str, *, polled: bool) -> None:
        with contextlib.suppress(redis.RedisError):
            now = _server_time(self.store)
            text = cast(str | None, self.store.hget(keys.CHANNEL_STATES, self.channel))
            noted = _Noted(**json.loads(text)) if text else _Noted(since=now)
            if bool(noted.why) != bool(why):
                noted = replace(noted, since=now)
            noted = replace(noted, why=why, last_poll=now if polled else noted.last_poll)
            self.store.hset(keys.CHANNEL_STATES, self.channel, json.dumps(asdict(noted)))
            self._noted = noted


def read_channel_states(store: redis.Redis) -> dict[str, ChannelState]:
    """Channel → its state, for each that a clock has ever connected. Raises redis.RedisError."""
    texts = cast(dict[str, str], store.hgetall(keys.CHANNEL_STATES))
    noted = {name: _Noted(**json.loads(text)) for name, text in texts.items()}
    now = _server_time(store) if noted else 0.0
    return {
        name: ChannelState(
            each.why,
            max(0.0, now - each.since),
            None if each.last_poll is None else max(0.0, now - each.last_poll),
        )
        for name, each in noted.items()
    }


def _server_time(store: redis.Redis) -> float:
    """Redis's own clock: the clocks of hosts need not agree."""
    seconds, microseconds = store.time()
    return float(seconds) + float(microseconds) / 1_000_000
