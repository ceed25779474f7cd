"""`make bench`: each row a ratio, the median of interleaved pairs, or a count."""

from __future__ import annotations

import argparse

from bench.accepting import accepting
from bench.draining import at_0_ms, at_100_ms, with_more_workers
from bench.lateness import lateness
from bench.weights import weights

PARTS = {
    "drain-0": at_0_ms,
    "drain-100": at_100_ms,
    "workers": with_more_workers,
    "accept": accepting,
    "late": lateness,
    "weights": weights,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}")
    chosen = parser.parse_args()
    unknown = set(chosen.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}: {', '.join(PARTS)}")
    print(f"{'':58} {'ours / theirs':>30}  {'ratio':>6}", flush=True)
    for name, part in PARTS.items():
        if name in chosen.parts or not chosen.parts:
            for row in part(chosen.pairs):
                print(row, flush=True)


if __name__ == "__main__":
    main()
