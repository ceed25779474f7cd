"""Reading what a stranger wrote may cost a second and 64 MB, and not one bit more.

A parser that a stranger can drive into quadratic time or gigabytes runs in a child process with
limits that the kernel enforces: processor time by an interval timer, memory by the size of the
address space. Whoever exceeds them dies alone; the caller gets `Overrun` and goes on.

The child is started when it is first needed, serves one call after another, and is started again
after an overrun. It knows no secrets: its environment has only what Python needs to import.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[1]
MEGABYTE = 1 << 20
PATIENCE = 10.0
"""Seconds by the clock on the wall for a second of processor time: the machine may be busy."""
START = 30.0
"""Seconds a child may take until it is ready."""


class Overrun(Exception):
    """A call cost more than its budget, or ended its process otherwise. The text says so."""


class Bounded:
    """Runs functions in a child process with a budget. Threads share it and wait for each other.

    `seconds` of processor time and `megabytes` of memory are for each call. Arguments and results
    are pickled; a function is a module's own, imported by its name.
    """

    def __init__(self, *, seconds: float = 1.0, megabytes: int = 64) -> None:
        self._budget = (seconds, megabytes)
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `function` returns, or raises what it raises.

        Raises `Overrun` if it cost more than its budget, or ended its process otherwise.
        """
        with self._lock:
            child = self._running_child()
            try:
                done, value, is_worn = child.ask(function, args, kwargs)
            except BaseException:
                self._end()
                raise
            if is_worn:
                self._end()
        if not done:
            raise value
        result: T = value
        return result

    def close(self) -> None:
        """End the child, if there is one."""
        with self._lock:
            self._end()

    def _running_child(self) -> _Child:
        if self._child is not None and not self._child.is_alive:
            self._end()  # somebody else ended it, between two calls: nobody's fault
        if self._child is None:
            self._child = _Child(self._budget)
        return self._child

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


class _Child:
    """Our side of the process."""

    def __init__(self, budget: tuple[float, int]) -> None:
        self._seconds, self._megabytes = budget
        self._pipe, theirs = Pipe()
        command = [sys.executable, "-m", "gateway.bounded", str(theirs.fileno()), *map(str, budget)]
        with theirs:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "LANG": "C.UTF-8"},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self._is_ready = False

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, function: Callable[..., Any], args: Any, kwargs: Any) -> tuple[bool, Any, bool]:
        """Whether it returned, what it returned or raised, and whether the child is worn out.

        Raises `Overrun`."""
        try:
            if not self._is_ready:
                self._receive(START)
                self._is_ready = True
            self._pipe.send((function, args, kwargs))
            answer: tuple[bool, Any, bool] = self._receive(self._seconds * PATIENCE)
        except (EOFError, OSError) as error:
            raise self._overrun() from error
        return answer

    def end(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.wait()

    def _receive(self, seconds: float) -> Any:
        if not self._pipe.poll(seconds):
            raise self._overrun()
        return self._pipe.recv()

    def _overrun(self) -> Overrun:
        limits = f"{self._seconds:g} s of processor time or {self._megabytes} MB of memory"
        return Overrun(f"It takes more than {limits} to read")


def main(number: int, seconds: float, megabytes: int) -> None:
    """Serve calls from the pipe with this file descriptor until it closes."""
    pipe: Connection[Any, Any] = Connection(number)
    _limit_time(0)
    at_start = _address_space()
    pipe.send("ready")
    while True:
        try:
            function, args, kwargs = pipe.recv()
        except EOFError:
            return
        done, value = _call_within(seconds, megabytes, function, args, kwargs)
        is_worn = _address_space() > at_start + megabytes * MEGABYTE
        _send(pipe, done, value, is_worn)


def _call_within(
    seconds: float, megabytes: int, function: Callable[..., Any], args: Any, kwargs: Any
) -> tuple[bool, Any]:
    _limit_memory(_address_space() + megabytes * MEGABYTE)
    _limit_time(seconds)
    try:
        return True, function(*args, **kwargs)
    except MemoryError:
        os._exit(1)
    except Exception as error:  # noqa: BLE001 - it is raised again where it was called from
        return False, error
    finally:
        _limit_time(0)
        _limit_memory(resource.RLIM_INFINITY)


def _send(pipe: Connection[Any, Any], done: bool, value: Any, is_worn: bool) -> None:
    try:
        pipe.send((done, value, is_worn))
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        pipe.send((False, RuntimeError(f"{type(value).__name__}: {error}"), is_worn))


def _limit_time(seconds: float) -> None:
    """End this process when it has used so much processor time; 0: never."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _limit_memory(size: int) -> None:
    """Give this process no more address space than this. Some systems do not know such a limit."""
    with contextlib.suppress(ValueError, OSError):
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (size, hard))


def _address_space() -> int:
    """Bytes of address space in use; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
