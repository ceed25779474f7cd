"""The supervisor with real processes: a real Valkey, and small programs in place of the roles."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from gateway.storage.connections import connect
from gateway.storage.embedded import EmbeddedValkey
from tests.waiting import until

ROOT = Path(__file__).parents[2]
POLITE = "import signal, time; print('ready', flush=True); time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + POLITE
PROGRAM = """
import os, signal, sys
from pathlib import Path
from gateway.storage.embedded import EmbeddedValkey
from gateway.processes.kept_process import Printer, Role
from gateway.processes.supervisor import CannotStart, Supervisor
hangup, folder, *programs = sys.argv[1:]
signal.signal(signal.SIGHUP, getattr(signal, hangup))  # or that of whoever runs the tests
roles = [
    Role(f"role{n}", (sys.executable, "-c", text), os.environ) for n, text in enumerate(programs)
]
try:
    Supervisor(roles, Printer(sys.stdout), patience=2.0).run(EmbeddedValkey(Path(folder)))
except CannotStart as error:
    sys.exit(str(error))
"""


@dataclass
class Run:
    """A supervisor under test."""

    process: subprocess.Popen[str]
    server: EmbeddedValkey
    output: Path

    @property
    def text(self) -> str:
        return self.output.read_text()

    def children(self) -> dict[str, int]:
        """The process ids of the supervisor's children, by a word of their command."""
        rows = [line.split(None, 2) for line in _ps("-eww", "-o", "pid=,ppid=,args=")]
        mine = {row[2]: int(row[0]) for row in rows if int(row[1]) == self.process.pid}
        words = {"valkey-server": "valkey", "guard.py": "guard", "sleep": "role0"}
        return {words[w]: pid for args, pid in mine.items() for w in words if w in args}

    def store(self) -> redis.Redis:
        return connect(self.server.url, connections=1, retries=20)


def _gone(pid: int) -> bool:
    """Ended; a zombie that nobody has fetched yet has ended, too."""
    return all(state.startswith("Z") for state in _ps("-o", "stat=", "-p", str(pid)))


def _ps(*options: str) -> list[str]:
    done = subprocess.run(["ps", *options], capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Start a supervisor; what is left of it at the end is killed."""
    runs: list[Run] = []

    def start(*programs: str, hangup: str = "SIG_DFL") -> Run:
        folder, output = tmp_path / "redis", tmp_path / f"output{len(runs)}"
        with output.open("w") as stream:
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, hangup, str(folder), *programs],
                stdout=stream,
                stderr=subprocess.STDOUT,
                text=True,
                cwd=ROOT,
            )
        runs.append(Run(process, EmbeddedValkey(folder), output))
        return runs[-1]

    yield start
    children = [pid for run in runs for pid in run.children().values()]
    for run in runs:
        run.process.kill()
        run.process.wait()
    until(lambda: all(map(_gone, children)))


def test_a_role_that_is_killed_is_started_again(start: Callable[..., Run]) -> None:
    run = start(POLITE)
    until(lambda: "role0    | ready" in run.text)
    first = run.children()["role0"]
    os.kill(first, signal.SIGKILL)
    until(lambda: run.text.count("ready") == 2)
    assert "role0 was ended by signal 9; starting it again in 0.2 s" in run.text
    assert run.children()["role0"] != first


def test_the_pause_grows_while_a_role_dies_young(start: Callable[..., Run]) -> None:
    run = start("raise SystemExit(3)")
    until(lambda: "in 0.8 s" in run.text)
    pauses = [line.split()[-2] for line in run.text.splitlines() if "ended with status 3" in line]
    assert pauses[:3] == ["0.2", "0.4", "0.8"]


def test_who_asked_for_nohup_gets_it(start: Callable[..., Run]) -> None:
    run = start(POLITE, hangup="SIG_IGN")
    until(lambda: "ready" in run.text)
    run.process.send_signal(signal.SIGHUP)
    os.kill(run.children()["role0"], signal.SIGKILL)
    until(lambda: run.text.count("ready") == 2)  # it goes on as before
    assert "stopping" not in run.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_everything(start: Callable[..., Run], number: int) -> None:
    run = start(POLITE)
    until(lambda: "ready" in run.text)
    children = run.children()
    assert set(children) == {"valkey", "guard", "role0"}
    run.process.send_signal(number)
    assert run.process.wait(10) == 0
    assert all(_gone(pid) for pid in children.values())


def test_a_role_that_does_not_end_is_killed(start: Callable[..., Run]) -> None:
    run = start(STUBBORN)
    until(lambda: "ready" in run.text)
    children = run.children()
    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(10) == 0
    assert "role0 does not end; killing it" in run.text
    assert all(_gone(pid) for pid in children.values())


def test_a_second_signal_ends_the_patience(start: Callable[..., Run]) -> None:
    run = start(STUBBORN)
    until(lambda: "ready" in run.text)
    run.process.send_signal(signal.SIGINT)
    until(lambda: "stopping" in run.text)
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(4) == 0


def test_the_server_outlives_the_roles_so_that_they_can_finish(
    start: Callable[..., Run], tmp_path: Path
) -> None:
    url = EmbeddedValkey(tmp_path / "redis").url
    run = start(f"""
import signal, sys, time
from gateway.storage.connections import connect
def finish(number, frame):
    connect({url!r}, connections=1, retries=0).set("finished", "yes")
    sys.exit()
signal.signal(signal.SIGTERM, finish)
print("ready", flush=True)
time.sleep(600)
""")
    until(lambda: "ready" in run.text)
    run.process.terminate()
    run.process.wait(10)
    again = start(POLITE)
    until(lambda: "ready" in again.text)
    assert again.store().get("finished") == "yes"


def test_data_survive_the_kill_of_the_server(start: Callable[..., Run]) -> None:
    run = start(POLITE)
    until(lambda: "ready" in run.text)
    assert run.store().set("kept", "yes")
    first = run.children()["valkey"]
    os.kill(first, signal.SIGKILL)
    until(lambda: run.children().get("valkey", first) != first)
    assert run.store().get("kept") == "yes"
    assert run.text.count("ready") == 1, "the role goes on"


def test_a_later_run_picks_up_where_the_first_stopped(start: Callable[..., Run]) -> None:
    first = start(POLITE)
    until(lambda: "ready" in first.text)
    first.store().set("kept", "yes")
    first.process.terminate()
    first.process.wait(10)
    second = start(POLITE)
    until(lambda: "ready" in second.text)
    assert second.store().get("kept") == "yes"
    assert second.store().config_get("append*")["appendfsync"] == "always"


def test_a_second_run_in_the_same_folder_says_so(start: Callable[..., Run]) -> None:
    first = start(POLITE)
    until(lambda: "ready" in first.text)
    second = start(POLITE)
    assert second.process.wait(10) == 1
    assert f"another gateway (process {first.process.pid})" in second.text
    assert "Traceback" not in second.text
    assert first.store().ping()


def test_nothing_outlives_a_supervisor_that_is_killed(start: Callable[..., Run]) -> None:
    run = start(POLITE)
    until(lambda: "ready" in run.text)
    children = run.children()
    run.process.kill()
    until(lambda: all(_gone(pid) for pid in children.values()))
    again = start(POLITE)
    until(lambda: "ready" in again.text)


def test_a_guard_that_died_is_replaced(start: Callable[..., Run]) -> None:
    run = start(POLITE)
    until(lambda: "ready" in run.text)
    os.kill(run.children()["guard"], signal.SIGKILL)
    os.kill(run.children()["role0"], signal.SIGKILL)
    until(lambda: run.text.count("ready") == 2)
    children = run.children()
    run.process.kill()
    until(lambda: all(_gone(pid) for pid in children.values()))


def test_a_server_that_cannot_start_says_why(start: Callable[..., Run], tmp_path: Path) -> None:
    broken = tmp_path / "redis" / "appendonlydir"
    broken.mkdir(parents=True)
    (broken / "appendonly.aof.manifest").write_text("nonsense\n")
    run = start(POLITE)
    assert run.process.wait(10) == 1
    assert "the embedded Valkey does not start" in run.text
    assert "valkey   | " in run.text, "its own words"
    assert "ready" not in run.text
