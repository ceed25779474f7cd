"""The hands of `make faults`: what it kills comes back, what it stops goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.processes import KeptProcesses, Process
from gateway.processes.kept_process import Role
from tests.waiting import until

PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("pids", os.getpid(), child.pid, flush=True)
time.sleep(600)
"""


def pids(folder: Path) -> list[tuple[int, int]]:
    """Of each process so far and of its child."""
    log = folder / "shop.log"
    lines = log.read_text().splitlines() if log.exists() else []
    rows = [line.split() for line in lines if line.startswith("pids ")]
    return [(int(own), int(child)) for _, own, child in rows]


def state(pid: int) -> str:
    """«S» waits, «R» runs, «T» is stopped, «Z» is dead; empty if there is no such process."""
    command = ["ps", "-o", "stat=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout[:1]


def gone(pid: int) -> bool:
    return state(pid) in {"", "Z"}


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    processes = KeptProcesses([Role("shop", (sys.executable, "-c", PARENT), os.environ)], tmp_path)
    with processes.running():
        until(lambda: len(pids(tmp_path)) == 1)
        yield processes.by_name["shop"]
    until(lambda: all(gone(pid) for both in pids(tmp_path) for pid in both))


def test_what_is_killed_is_gone_with_its_children_and_comes_back(
    process: Process, tmp_path: Path
) -> None:
    assert process.kill()
    [before] = pids(tmp_path)
    until(lambda: all(map(gone, before)))
    until(lambda: len(pids(tmp_path)) == 2)
    assert (process.kills, process.ends) == (1, 0)


def test_a_child_can_be_killed_alone(process: Process, tmp_path: Path) -> None:
    [(own, child)] = pids(tmp_path)
    assert process.kill_child()
    until(lambda: gone(child))
    assert state(own) == "S"
    assert process.kills == 1


def test_what_ends_by_itself_comes_back_and_is_no_kill(process: Process, tmp_path: Path) -> None:
    [(own, _)] = pids(tmp_path)
    os.kill(own, signal.SIGTERM)
    until(lambda: len(pids(tmp_path)) == 2)
    assert (process.kills, process.ends) == (0, 1)


def test_what_is_stopped_stands_still_until_it_is_let_go(process: Process, tmp_path: Path) -> None:
    [both] = pids(tmp_path)
    frozen = process.freeze()
    until(lambda: [state(pid) for pid in both] == ["T", "T"])
    process.thaw(frozen)
    until(lambda: [state(pid) for pid in both] == ["S", "S"])


def test_what_was_killed_meanwhile_is_not_let_go(process: Process, tmp_path: Path) -> None:
    frozen = process.freeze()
    assert process.kill()
    until(lambda: len(pids(tmp_path)) == 2)
    [_, (own, _)] = pids(tmp_path)
    process.freeze()
    until(lambda: state(own) == "T")
    process.thaw(frozen)
    assert state(own) == "T"
