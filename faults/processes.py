"""The gateway's processes, as on two machines: started, kept running, killed and stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gateway.processes import orphan_guard
from gateway.processes.kept_process import OrphanGuard, Role

ROOT = Path(__file__).resolve().parents[1]
LOOK = 0.02
"""Seconds between two looks whether a process still runs."""
PAUSE = 0.1
"""Seconds before a process that ended is started again."""


class Process:
    """One role's process, in a group of its own; what it says goes to a file."""

    def __init__(self, role: Role, folder: Path, guard: OrphanGuard) -> None:
        self.role = role
        self.kills = 0
        self.ends = 0
        """How often it ended without being killed by us."""
        self._log = folder / f"{role.name}.log"
        self._guard = guard
        self._lock = threading.Lock()
        self._running: subprocess.Popen[bytes] | None = None
        self._again_at = 0.0

    @property
    def name(self) -> str:
        return self.role.name

    def start_if_ended(self) -> None:
        """Start it if it does not run."""
        with self._lock:
            if self._running is not None and self._running.poll() is not None:
                self.ends += 1
                self._bury(self._running)
            if self._running is None and time.monotonic() >= self._again_at:
                self._running = self._start()

    def kill(self, away: float = PAUSE) -> bool:
        """End the whole process group at once, as a crash of the machine would.

        `away`: seconds until it is started again.
        """
        with self._lock:
            if self._running is None:
                return False
            orphan_guard.send(self._running.pid, signal.SIGKILL)
            self._running.wait()
            self._bury(self._running)
            self._again_at = time.monotonic() + away
            self.kills += 1
            return True

    def kill_child(self) -> bool:
        """End a process that it has started (gunicorn's worker), but not itself."""
        with self._lock:
            children = _children(self._running.pid) if self._running is not None else []
            try:
                for child in children[:1]:
                    os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                return False  # it has just ended
            self.kills += bool(children)
            return bool(children)

    def freeze(self) -> int:
        """Stop it where it stands. Returns what `thaw` wants to know; 0 if it does not run."""
        with self._lock:
            if self._running is None or not orphan_guard.send(self._running.pid, signal.SIGSTOP):
                return 0
            return self._running.pid

    def thaw(self, frozen: int) -> None:
        """Let it go on, if it is still the same that was stopped."""
        with self._lock:
            if self._running is not None and self._running.pid == frozen:
                orphan_guard.send(frozen, signal.SIGCONT)

    def end(self) -> None:
        """For good."""
        with self._lock:
            self._again_at = float("inf")
            if self._running is not None:
                orphan_guard.send(self._running.pid, signal.SIGKILL)
                self._running.wait()
                self._guard.forget(self._running.pid)

    def _bury(self, process: subprocess.Popen[bytes]) -> None:
        orphan_guard.send(process.pid, signal.SIGKILL)  # what it left behind holds its port
        self._guard.forget(process.pid)
        self._running, self._again_at = None, time.monotonic() + PAUSE

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                self.role.command,
                cwd=ROOT,
                env=self.role.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        self._guard.watch(process.pid, last=self.role.last)
        return process


class KeptProcesses:
    """All processes of the gateway, and the thread that keeps them running."""

    def __init__(self, roles: Sequence[Role], folder: Path) -> None:
        self._guard = OrphanGuard()
        self.by_name = {role.name: Process(role, folder, self._guard) for role in roles}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="processes", daemon=True)

    @property
    def kills(self) -> int:
        return sum(process.kills for process in self.by_name.values())

    @property
    def ends(self) -> Mapping[str, int]:
        """How often each ended by itself."""
        return {name: each.ends for name, each in self.by_name.items() if each.ends}

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Everything runs, and is started again whenever it ends."""
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()
            for process in self.by_name.values():
                process.end()
            self._guard.close()

    def _keep(self) -> None:
        while not self._stop.wait(LOOK):
            for process in self.by_name.values():
                process.start_if_ended()


def roles_of(store: Mapping[str, str], config: Path, ports: Sequence[int]) -> tuple[Role, ...]:
    """Two machines: each with a web process, a worker and a clock. `store`: where Redis is."""
    shared = {
        **{name: value for name, value in os.environ.items() if not name.startswith("REDIS_")},
        **store,
        "GATEWAY_CONFIG": str(config),
        "PYTHONUNBUFFERED": "1",
        "WEB_CONCURRENCY": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    roles: list[Role] = []
    for machine, port in enumerate(ports, start=1):
        environ = {**shared, "GATEWAY_BIND": f"127.0.0.1:{port}"}
        roles += [
            Role(f"{name}-{machine}", (sys.executable, "-m", "gateway", name), environ)
            for name in ("web", "worker", "clock")
        ]
    return tuple(roles)


def _children(pid: int) -> list[int]:
    command = ["ps", "-e", "-o", "ppid=,pid="]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = (line.split() for line in done.stdout.splitlines())
    return [int(child) for parent, child in rows if int(parent) == pid]
