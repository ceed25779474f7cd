"""`make bench`: each row a ratio, the median of interleaved pairs."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from bench import baselines
from bench.house import house, peer, valkey

LANES, EACH = 400, 5


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured: our figures, the other's, and what was asked for."""

    name: str
    ours: list[float]
    theirs: list[float]
    at_least: float

    def __str__(self) -> str:
        ratios = [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]
        return (
            f"{self.name:52} {statistics.median(self.ours):8.1f}/s "
            f"{statistics.median(self.theirs):8.1f}/s   {statistics.median(ratios):6.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}), at least {self.at_least:g}"
        )


def pairs(
    count: int, ours: Callable[[int], float], theirs: Callable[[int], float]
) -> list[list[float]]:
    """Measure in turn, so that both meet the same machine."""
    return [
        list(column) for column in zip(*((ours(n), theirs(n)) for n in range(count)), strict=True)
    ]


def at_0_ms(count: int) -> Row:
    with valkey() as redis_url, peer(0) as url, house(url, redis_url, lanes=LANES) as built:
        ours, theirs = pairs(
            count,
            lambda n: built.drain(LANES, EACH, f"run-{n}"),
            lambda _: baselines.bare_loop(url, 2000),
        )
    return Row("drain at 0 ms / bare loop of requests posts", ours, theirs, 0.5)


def at_100_ms(count: int) -> tuple[Row, float]:
    with (
        valkey() as redis_url,
        valkey() as other_redis,
        peer(0.1) as url,
        house(url, redis_url, lanes=LANES) as built,
    ):
        ours, theirs = pairs(
            count,
            lambda n: built.drain(LANES, EACH, f"run-{n}"),
            lambda _: baselines.forked_jobs(url, other_redis, 15),
        )
        return Row("drain at 100 ms / a forked RQ job per message", ours, theirs, 45), (
            built.peak_megabytes()
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    count = parser.parse_args().pairs
    print(f"{'':52} {'ours':>10} {'theirs':>10}   ratio", flush=True)
    print(at_0_ms(count), flush=True)
    row, megabytes = at_100_ms(count)
    print(row)
    print(f"{'peak memory of the worker':52} {megabytes:8.1f} MB, at most 130")


if __name__ == "__main__":
    main()
