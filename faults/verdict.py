"""What became of the messages: each stream's history against the promise.

A stream is one conversation in one direction. It is compared by the numbers of its messages, which
count up in the order in which they were written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import inf


@dataclass(frozen=True, slots=True)
class Fed:
    """When the gateway was told of a message. Times in seconds, on one clock."""

    begun: float
    """No later than it can have known of it: the first attempt to tell it began."""
    told: float = inf
    """When it had said «200» to that; never, if no answer came."""


@dataclass(frozen=True, slots=True)
class History:
    """One stream."""

    name: str
    fed: Mapping[int, Fed]
    arrived: Sequence[int]
    """In the order of arrival, as often as they did."""
    owed: frozenset[int] = frozenset()
    """What must have arrived."""
    waived: frozenset[int] = frozenset()
    """What may be missing, and is told of then: a fail-over can lose what was just answered for."""
    found_again: frozenset[int] = frozenset()
    """What a fail-over lost and the gateway has found again: it may come after younger ones."""
    excused: frozenset[int] = frozenset()
    """What may have arrived more than once: of these the gateway could not know."""
    settle: float = 0.0
    """Seconds by which an older message may come to the gateway's ears after a younger one."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Counts of messages. `told` says of each in words what was wrong with it."""

    lost: int = 0
    doubled: int = 0
    """Without excuse."""
    repeated: int = 0
    """Doubled, and excused."""
    reordered: int = 0
    late: int = 0
    not_replicated: int = 0
    """Lost by a fail-over that may lose them; found again perhaps, and late for that reason."""
    told: tuple[str, ...] = field(default=(), compare=False)

    def __add__(self, other: Verdict) -> Verdict:
        sums = (getattr(self, f.name) + getattr(other, f.name) for f in fields(self))
        return Verdict(*sums)


def judge(history: History) -> Verdict:
    """Compare one stream with what was promised of it."""
    times = Counter(history.arrived)
    lost = sorted(history.owed - times.keys())
    again = {number for number, count in times.items() if count > 1}
    doubled, repeated = sorted(again - history.excused), again & history.excused
    overtaken = dict(_overtaken(history))
    wrongly = {number for number, is_wrong in overtaken.items() if is_wrong}
    reordered = sorted(wrongly - history.found_again)
    not_replicated = sorted(history.waived - times.keys() | wrongly & history.found_again)
    told = (
        *_words(history, "lost", lost),
        *_words(history, "doubled", doubled),
        *_words(history, "reordered", reordered),
        *_words(history, "not replicated", not_replicated),
    )
    return Verdict(
        lost=len(lost),
        doubled=len(doubled),
        repeated=len(repeated),
        reordered=len(reordered),
        late=len(overtaken.keys() - wrongly),
        not_replicated=len(not_replicated),
        told=told,
    )


def judge_all(histories: Iterable[History]) -> Verdict:
    return sum(map(judge, histories), Verdict())


def _overtaken(history: History) -> Iterator[tuple[int, bool]]:
    """Messages that came after a younger one, and whether the gateway is to blame: it had been told
    of the older no later than the settle time after the younger."""
    arrived: dict[int, float] = {}
    for number in dict.fromkeys(history.arrived):  # only the first time counts
        fed = history.fed[number]
        younger = [begun for other, begun in arrived.items() if other > number]
        if younger:
            yield number, any(fed.told <= begun + history.settle for begun in younger)
        arrived[number] = fed.begun


def _words(history: History, what: str, numbers: Iterable[int]) -> Iterator[str]:
    for number in numbers:
        yield f"{what}: {history.name} number {number}; arrived {list(history.arrived)}"
