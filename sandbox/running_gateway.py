"""The gateway as a child: the same command and environment as anyone would start it with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from gateway.processes.kept_process import KeptProcess, OrphanGuard, Role
from sandbox.wiring import Wiring

PATIENCE = 9.5
"""Seconds that the gateway has to end: its own supervisor takes 9 at most."""
ROLES = ("web", "worker", "clock")
ROOT = Path(__file__).resolve().parents[1]
# Redis: the sandbox must never put its messages into a Redis that serves real customers.
NOT_INHERITED = ("REDIS_URL", "REDIS_SENTINELS", "PORT", "WEB_CONCURRENCY")


class NotStarted(Exception):
    """The gateway did not start. The text has its last lines."""


class RunningGateway:
    """`python -m gateway run` in the folder's configuration; its output goes into a log file."""

    def __init__(self, wiring: Wiring, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "gateway.log"
        self._wiring = wiring
        self._folder = folder
        self._port = port
        self._lines = self.log.open("w", encoding="utf-8", buffering=1)
        self._last: list[str] = []
        self._guard = OrphanGuard()
        self._process = KeptProcess(self._role(), self._note_line, self._guard)

    def start(self) -> None:
        self._process.start()

    def stop(self) -> None:
        """Ask it to end, wait, and end it."""
        self._process.stop()
        deadline = time.monotonic() + PATIENCE
        while self._process.running and time.monotonic() < deadline:
            time.sleep(0.02)
        if self._process.running:
            self._process.kill()
        self._guard.close()
        self._lines.close()

    def wait_until_ready(self, seconds: float = 60.0) -> None:
        """Wait until it takes webhooks and every process of it lives. Raises `NotStarted`."""
        deadline = time.monotonic() + seconds
        while not (self._answers() and set(ROLES) <= set(self.processes())):
            if self._process.deaths:
                raise NotStarted(f"The gateway did not start. Its last lines: {self._last_words()}")
            if time.monotonic() > deadline:
                raise NotStarted(f"The gateway is not ready after {seconds:g} s. Read {self.log}.")
            time.sleep(0.05)

    def backlog(self) -> Mapping[str, Any] | None:
        """What its `/health/backlog` says; None if it does not answer."""
        try:
            bearer = {"Authorization": f"Bearer {self._wiring.settings.admin_token}"}
            answer = requests.get(f"{self.url}/health/backlog", headers=bearer, timeout=2)
            told = answer.json() if answer.ok else None
        except requests.RequestException:
            return None
        return told if isinstance(told, dict) else None

    def processes(self) -> dict[str, int]:
        """Role → process id, of those that run at this moment."""
        command = ["ps", "-eww", "-o", "pid=,ppid=,args="]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        rows = [row for line in done.stdout.splitlines() if len(row := line.split(None, 2)) == 3]
        mine = str(self._supervisor(rows))
        found: dict[str, int] = {}
        for pid, parent, args in rows:
            if parent == mine and (role := _role_in(args)):
                found.setdefault(role, int(pid))
        return found

    def kill(self, role: str) -> bool:
        """Kill a process as a crash would: with SIGKILL. False if it does not run right now."""
        pid = self.processes().get(role)
        if pid is None:
            return False
        os.kill(pid, signal.SIGKILL)
        return True

    def _supervisor(self, rows: list[list[str]]) -> int:
        """The child of ours that supervises the others."""
        mine = str(os.getpid())
        found = [int(pid) for pid, parent, args in rows if parent == mine and "gateway run" in args]
        return found[0] if found else 0

    def _role(self) -> Role:
        environ = {name: text for name, text in os.environ.items() if name not in NOT_INHERITED}
        environ |= self._wiring.environ
        environ |= {
            "GATEWAY_CONFIG": str(self._wiring.config.absolute()),
            "GATEWAY_DATA": str(self._folder.absolute()),
            "GATEWAY_BIND": f"127.0.0.1:{self._port}",
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), environ.get("PYTHONPATH")])),
        }
        return Role("gateway", (sys.executable, "-m", "gateway", "run"), environ)

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=2).ok
        except requests.RequestException:
            return False

    def _note_line(self, role: str, line: str) -> None:
        self._last = [*self._last[-4:], line]
        if not self._lines.closed:
            self._lines.write(f"{line}\n")

    def _last_words(self) -> str:
        return " / ".join(line for line in self._last if "starting it again" not in line)


def _role_in(args: str) -> str:
    if "gateway.web.wsgi" in args:
        return "web"
    return next((role for role in ROLES if args.endswith(f"-m gateway {role}")), "")
