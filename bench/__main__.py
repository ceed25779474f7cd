"""`make bench`: each row a ratio, the median of interleaved pairs, or a count."""

from __future__ import annotations

import argparse

from bench.accepting import measure_accepting, measure_updates
from bench.draining import measure_at_0_ms, measure_at_100_ms, measure_more_workers
from bench.lateness import measure_lateness
from bench.weights import measure_weights

PARTS = {
    "drain-0": measure_at_0_ms,
    "drain-100": measure_at_100_ms,
    "workers": measure_more_workers,
    "accept": measure_accepting,
    "updates": measure_updates,
    "late": measure_lateness,
    "weights": measure_weights,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}")
    chosen = parser.parse_args()
    unknown = set(chosen.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}")
    print(f"{'':58} {'ours / theirs':>30}  {'ratio':>6}", flush=True)
    for name, part in PARTS.items():
        if name in chosen.parts or not chosen.parts:
            for row in part(chosen.pairs):
                print(row, flush=True)


if __name__ == "__main__":
    main()
