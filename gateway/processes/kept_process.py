"""Keeps processes running: starts them, passes on their output, and restarts them when they die."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from gateway.processes import orphan_guard

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Seconds before a process that died is restarted; doubled while it keeps dying early."""
STABLE_AFTER = 10.0
"""Seconds of running after which a death no longer counts as early."""
LONGEST_LINE = 64 * 1024
COLOURS = (36, 32, 33, 35, 34, 31)

Say = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Role:
    """A process: its name, and how it is started."""

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str]
    keeps_open: tuple[int, ...] = ()
    """File descriptors that the process inherits."""
    last: bool = False
    """The others depend on it: it is stopped after them."""


class Printer:
    """Writes the lines of all processes to one stream, each after its role; in colour on a
    terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream
        self._coloured = stream.isatty()
        self._colours: dict[str, int] = {}
        self._lock = threading.Lock()

    def __call__(self, role: str, line: str) -> None:
        prefix = f"{role:<8} | "
        with self._lock:
            if self._coloured:
                colour = self._colours.setdefault(role, COLOURS[len(self._colours) % len(COLOURS)])
                prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
            if self._stream is not None:
                try:
                    self._stream.write(f"{prefix}{line}\n")
                    self._stream.flush()
                except OSError:
                    # Nobody reads the output any more; messages must be delivered all the same.
                    self._stream = None


class OrphanGuard:
    """The supervisor's side of the orphan guard, which is restarted if it has died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: dict[int, bool] = {}
        self._process = self._start()

    def watch(self, group: int, *, last: bool) -> None:
        with self._lock:
            self._groups[group] = last
            self._tell(_watch_line(group, last))

    def forget(self, group: int) -> None:
        with self._lock:
            self._groups.pop(group, None)
            self._tell(f"- {group}\n")

    def close(self) -> None:
        with self._lock, contextlib.suppress(BrokenPipeError):
            self._process.communicate()

    def _tell(self, line: str) -> None:
        try:
            self._write(line)
        except BrokenPipeError:
            self._process.wait()
            self._process = self._start()
            self._write("".join(_watch_line(group, last) for group, last in self._groups.items()))

    def _write(self, text: str) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(text)
            self._process.stdin.flush()

    def _start(self) -> subprocess.Popen[str]:
        program = str(Path(orphan_guard.__file__).resolve())
        return subprocess.Popen(
            [sys.executable, "-I", "-S", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            process_group=0,
        )


def _watch_line(group: int, last: bool) -> str:
    return f"+ {group} last\n" if last else f"+ {group}\n"


class KeptProcess:
    """One role's process, in a process group of its own, started again whenever it dies."""

    def __init__(self, role: Role, say: Say, guard: OrphanGuard) -> None:
        self.role = role
        self.deaths = 0
        self._say = say
        self._guard = guard
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name=role.name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Restart it no more, and ask it to end."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Restart it no more, and end it."""
        self._end(signal.SIGKILL)
        self._thread.join(1.0)

    @property
    def running(self) -> bool:
        """Whether it runs or will be restarted."""
        return self._thread.is_alive()

    def _end(self, number: int) -> None:
        with self._lock:
            self._stopping.set()
            if self._process is not None:
                orphan_guard.send(self._process.pid, number)

    def _keep(self) -> None:
        pause = FIRST_PAUSE
        while (process := self._spawn()) is not None:
            born = time.monotonic()
            how = self._follow(process)
            if self._stopping.is_set():
                return
            if time.monotonic() - born >= STABLE_AFTER:
                pause = FIRST_PAUSE
            self._say("gateway", f"{self.role.name} {how}; starting it again in {pause:g} s")
            self._stopping.wait(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            self._process = subprocess.Popen(
                self.role.command,
                env=self.role.environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
                pass_fds=self.role.keeps_open,
            )
            self._guard.watch(self._process.pid, last=self.role.last)
            return self._process

    def _follow(self, process: subprocess.Popen[bytes]) -> str:
        """Pass on what the process says until it ends; returns how it ended."""
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        code = process.wait()
        with self._lock:
            self._process = None
            self.deaths += 1
        # Its own children (gunicorn's workers) would hold the port that the next one needs.
        orphan_guard.send(process.pid, signal.SIGKILL)
        self._guard.forget(process.pid)
        reader.join(1.0)
        return f"ended with status {code}" if code >= 0 else f"was ended by signal {-code}"

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        stream = process.stdout
        while stream is not None and (line := stream.readline(LONGEST_LINE)):
            self._say(self.role.name, line.decode("utf-8", errors="replace").rstrip("\r\n"))
