"""Taking out all that Redis holds of a person, while workers go on delivering."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import redis

from gateway.erasure.person import Name, Trace, traces_of
from gateway.erasure.search import read_claims, read_traces
from gateway.lanes.scripts import Scripts

REASON: Final = "Not sent: the customer's data was erased."
"""What agents read below a reply that had not left."""
LOOK_AGAIN: Final = 0.1
"""Seconds until a lane that a worker has is tried again."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is stored of a person."""

    traces: tuple[Trace, ...]
    names: frozenset[Name]

    @property
    def messages(self) -> tuple[str, ...]:
        return tuple(each.message for each in self.traces if each.message)

    @property
    def lanes(self) -> tuple[str, ...]:
        return tuple(sorted({each.lane for each in self.traces if each.lane}))

    @property
    def others(self) -> tuple[str, ...]:
        """Keys that are the person's alone."""
        return tuple(each.key for each in self.traces if not each.message and not each.lane)


@dataclass(frozen=True, slots=True)
class Erased:
    """What was done."""

    messages: int
    lanes: int
    others: int
    busy: tuple[str, ...]
    """Messages and lanes that a worker still had when the time was over."""


def find(store: redis.Redis, person: frozenset[Name]) -> Found:
    """All that is stored of a person. Raises redis.RedisError."""
    traces, names = traces_of(person, read_traces(store))
    return Found(tuple(traces), frozenset(names))


@dataclass(frozen=True, slots=True)
class Erasure:
    """Takes out what was found. Raises redis.RedisError."""

    store: redis.Redis
    patience: float
    """Seconds that it waits for messages which are being delivered."""
    _run: Scripts = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_run", Scripts(self.store))

    def erase(self, found: Found) -> Erased:
        """Messages first: what is delivered meanwhile is remembered of its lane."""
        ends = time.monotonic() + self.patience
        messages, busy = self._insist(self._erase_message, found.messages, ends)
        claims = read_claims(self.store)
        lanes, busy_lanes = self._insist(
            lambda lane: str(self._run("erase_lane", lane, *claims)), found.lanes, ends
        )
        others = self.store.delete(*found.others) if found.others else 0
        self._run("rewrite_dead_letters")
        return Erased(messages, lanes, int(others), (*busy, *busy_lanes))

    def _insist(
        self, erase: Callable[[str], str], names: Iterable[str], ends: float
    ) -> tuple[int, tuple[str, ...]]:
        """Each of them, the busy ones until the time is over. Returns how many were erased, and
        which are busy still."""
        waiting, erased = tuple(names), 0
        while True:
            answers = {name: erase(name) for name in waiting}
            erased += list(answers.values()).count("erased")
            waiting = tuple(name for name, answer in answers.items() if answer == "busy")
            if not waiting or time.monotonic() > ends:
                return erased, waiting
            time.sleep(LOOK_AGAIN)

    def _erase_message(self, message: str) -> str:
        return str(self._run("erase_message", message, REASON))
