"""`make faults`: does a message get lost, doubled or out of order when everything breaks?"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from faults.run import Outcome, Plan, run


def main() -> int:
    """Returns 0 if the promise was kept."""
    asked = _arguments()
    seed = asked.seed or str(random.randrange(10**6))
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    print(f"faults: seed={seed}, everything is written to {folder}", flush=True)
    plan = Plan(
        asked.messages, asked.kills, asked.minutes, seed, folder, asked.sentinels, asked.events
    )
    outcome = run(plan)
    for remark in (*outcome.remarks, *outcome.troubled):
        print(remark)
    print(outcome.line)
    return _status(outcome, folder)


def _status(outcome: Outcome, folder: Path) -> int:
    if not outcome.good:
        what = "The run did not finish" if outcome.troubled else "The promise was broken"
        print(f"{what}. Read the notes and logs in {folder}.", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--messages", type=int, default=2000, help="how many are fed (2000)")
    parser.add_argument("--kills", type=int, default=40, help="how many processes are killed (40)")
    parser.add_argument("--minutes", type=float, default=60, help="nothing is fed after that (60)")
    parser.add_argument("--seed", default="", help="what goes wrong follows from it (random)")
    parser.add_argument(
        "--sentinels", action="store_true", help="a primary, a replica and three sentinels"
    )
    parser.add_argument(
        "--events",
        choices=("webhook", "websocket"),
        default="webhook",
        help="how the gateway learns of replies (webhook)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
