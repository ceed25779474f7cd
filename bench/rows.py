"""A row of the table: what was measured, against what, and what was asked for."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Bound = Literal["at least", "at most", ""]


@dataclass(frozen=True, slots=True)
class Row:
    """Our figures and the other's, measured in turn; what counts is their ratio."""

    name: str
    ours: list[float]
    theirs: list[float]
    unit: str
    bound: Bound = ""
    wanted: float = 0.0

    def __str__(self) -> str:
        ratios = [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]
        figures = f"{_short(self.ours)} {self.unit} / {_short(self.theirs)} {self.unit}"
        wanted = f", {self.bound} {self.wanted:g}" if self.bound else ""
        spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
        return f"{self.name:58} {figures:>30}  {statistics.median(ratios):6.2f} {spread}{wanted}"


@dataclass(frozen=True, slots=True)
class Count:
    """One figure that needs no other to be compared with."""

    name: str
    value: float
    unit: str
    bound: Bound = ""
    wanted: float = 0.0

    def __str__(self) -> str:
        wanted = f", {self.bound} {self.wanted:g}" if self.bound else ""
        return f"{self.name:58} {self.value:30.1f} {self.unit}{wanted}"


def measure_pairs(
    count: int, ours: Callable[[int], float], theirs: Callable[[int], float]
) -> tuple[list[float], list[float]]:
    """Measure in turn, so that both meet the same machine."""
    measured = [(ours(n), theirs(n)) for n in range(count)]
    return [pair[0] for pair in measured], [pair[1] for pair in measured]


def _short(figures: list[float]) -> str:
    middle = statistics.median(figures)
    return f"{middle:.0f}" if middle >= 100 else f"{middle:.1f}"
