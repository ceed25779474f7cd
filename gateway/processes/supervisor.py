"""Runs the whole gateway under one process: the embedded server, web, workers and the clock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

import redis

from gateway.processes.kept_process import KeptProcess, OrphanGuard, Role, Say
from gateway.storage.connections import connect
from gateway.storage.embedded import EmbeddedValkey

PATIENCE = 8.0
"""Seconds that processes have to end by themselves before they are ended."""
SERVER_PATIENCE = 1.5
"""The same for the embedded server. It has nothing to finish: every write is on the disk."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class CannotStart(Exception):
    """The gateway cannot be started. The text says why, and what to do."""


class Supervisor:
    """Keeps roles running until a signal says stop. Only it gets Ctrl-C: its children live in
    process groups of their own and are asked to end in the right order."""

    def __init__(self, roles: Sequence[Role], say: Say, *, patience: float = PATIENCE) -> None:
        self._roles = roles
        self._say = say
        self._patience = patience
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()

    def run(self, server: EmbeddedValkey | None) -> None:
        """Run the roles, and before them the embedded `server` if there is one, until SIGTERM,
        SIGINT or SIGHUP. Raises `CannotStart`."""
        with self._listening(), contextlib.ExitStack() as stack:
            guard = OrphanGuard()
            stack.callback(guard.close)
            if server is not None:
                base = stack.enter_context(self._serving(server, guard))
                self._await(server, base)
            children = [KeptProcess(role, self._say, guard) for role in self._roles]
            stack.callback(self._stop, children, self._patience)
            if self._signals.empty():
                for child in children:
                    child.start()
            self._signals.get()
            self._say("gateway", "stopping")

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        def enqueue(number: int, frame: FrameType | None) -> None:
            # A SimpleQueue may be filled from a signal handler; an Event might deadlock there.
            self._signals.put(number)

        # A signal that our parent ignores (nohup) stays ignored.
        wanted = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, enqueue) for number in wanted}
        try:
            yield
        finally:
            for number, what in before.items():
                signal.signal(number, what)

    @contextlib.contextmanager
    def _serving(self, server: EmbeddedValkey, guard: OrphanGuard) -> Iterator[KeptProcess]:
        try:
            server.prepare()
        except OSError as error:
            raise CannotStart(f"the data folder cannot be used: {error}") from error
        with locked(server.folder) as lock:
            role = Role("valkey", tuple(server.command()), os.environ, last=True)
            base = KeptProcess(replace(role, keeps_open=(lock,)), self._say, guard)
            base.start()
            try:
                yield base
            finally:
                self._stop([base], SERVER_PATIENCE)

    def _await(self, server: EmbeddedValkey, base: KeptProcess) -> None:
        """Wait until the server has loaded its data, however long that takes."""
        client = connect(server.url, connections=1, timeout=1.0, retries=0)
        while self._signals.empty():
            try:
                client.ping()
                break
            except redis.RedisError:
                if base.deaths:
                    raise CannotStart(
                        "the embedded Valkey does not start; its messages are above, its data in "
                        f"{server.folder}"
                    ) from None
                time.sleep(0.05)
        client.close()

    def _stop(self, children: Sequence[KeptProcess], patience: float) -> None:
        """Ask, wait, and end what has not ended; a second signal ends the waiting."""
        for child in children:
            child.stop()
        deadline = time.monotonic() + patience
        while any(child.running for child in children) and time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                self._signals.get(timeout=0.05)
                break
        for child in children:
            if child.running:
                self._say("gateway", f"{child.role.name} does not end; killing it")
                child.kill()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Lock a data folder. The embedded server inherits the lock, which is therefore held until the
    last process that writes there is gone, whatever becomes of the supervisor.

    Raises `CannotStart` if another process holds it.
    """
    path = folder / "lock"
    with path.open("a+") as file:
        deadline = time.monotonic() + 2.0
        while not _lock(file.fileno()):
            if time.monotonic() > deadline:
                owner = path.read_text().strip() or "?"
                raise CannotStart(
                    f"another gateway (process {owner}) uses the data in {folder.absolute()}. Stop "
                    "it, or set GATEWAY_DATA to another folder"
                )
            time.sleep(0.05)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file.fileno()


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
