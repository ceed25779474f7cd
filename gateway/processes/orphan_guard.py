"""Ends the supervisor's children if the supervisor itself is killed and cannot.

A program of its own, started by the supervisor, which reports over a pipe which process groups
exist: `+ 123`, `+ 124 last`, `- 123`. When the pipe closes, the supervisor is gone, and the groups
that are left are ended: those marked «last» (the embedded server) after all others.

Linux could tie a child to its parent, macOS cannot; this works on both. Standard library only, so
that it costs little memory.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

PATIENCE = 8.0
"""Seconds between asking to end and ending."""


def main(lines: Iterable[str]) -> None:
    """Follow the supervisor's lines until it is gone, then end what is left."""
    groups: dict[int, bool] = {}
    for line in lines:
        sign, group, *last = line.split()
        if sign == "+":
            groups[int(group)] = bool(last)
        else:
            groups.pop(int(group), None)
    end([group for group, last in groups.items() if not last])
    end([group for group, last in groups.items() if last])


def end(groups: list[int]) -> None:
    """Ask process groups to end; kill what is left after `PATIENCE`."""
    for group in groups:
        send(group, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and any(_alive(group) for group in groups):
        time.sleep(0.05)
    for group in groups:
        send(group, signal.SIGKILL)


def send(group: int, number: int) -> bool:
    """Signal a process group. False if it does not exist. Signal 0 only tests that."""
    # macOS forbids signals to a group in which only zombies are left: it is gone, too.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


def _alive(group: int) -> bool:
    if not send(group, 0):
        return False
    try:
        stat = Path(f"/proc/{group}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] != "Z"
    except OSError:
        # macOS has no /proc. Elsewhere a container whose first process fetches no orphans
        # would keep us waiting for a process that ended long ago.
        return True


if __name__ == "__main__":
    # Only the end of the pipe counts.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    main(sys.stdin)
