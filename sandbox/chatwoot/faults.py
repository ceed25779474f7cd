"""Misbehaviour on request: what a network and a busy server do to those who depend on them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase

from sandbox.chatwoot.server import Application, Hangup, Head, Reply, Upgrade


class Kind(StrEnum):
    """What goes wrong."""

    LATENCY = "latency"
    """The work begins `seconds` later; whoever gives up before finds it done afterwards."""
    STATUS = "status"
    """`status` and `body` are answered, and nothing is done."""
    HTML = "html"
    """A page of a proxy is answered with `status`, and nothing is done."""
    EMPTY = "empty"
    """`status` is answered without a body, and nothing is done."""
    HALF = "half"
    """The work is done; the answer breaks off in the middle."""
    DROP_UNREAD = "drop_unread"
    """The connection ends before the request's body is read; nothing is done."""
    DROP = "drop"
    """The connection ends after the request was read; nothing is done."""
    SILENCE = "silence"
    """Nothing is done and nothing answered for `seconds`; then the connection ends."""
    LOSE = "lose"
    """The work is done; then the connection ends without an answer."""
    STUMBLE = "stumble"
    """The work is done; `status` and `body` are answered all the same, as when what follows from a
    message fails."""
    LATE = "late"
    """The work is done `seconds` later; the connection ends at once, or gets `status` if not 0."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of trouble for the requests that match. `times`: None means until cleared."""

    kind: Kind
    method: str = "*"
    path: str = "*"
    """A pattern in the shell's manner, against the path without its query: `*/messages`."""
    times: int | None = 1
    seconds: float = 0.0
    status: int = 0
    """0 stands for what is usual for the kind: 500, or 200 for nonsense."""
    body: str = '{"status":500,"error":"Internal Server Error"}'
    content_type: str = "application/json; charset=utf-8"
    retry_after: int | None = None
    """Seconds, sent as the Retry-After header of a STATUS, as a proxy before Chatwoot would."""

    def matches(self, head: Head) -> bool:
        return self.method in {"*", head.method} and fnmatchcase(head.path, self.path)


class Faults:
    """Stands before an application and spoils what passes, as long as faults are switched on."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._lock = threading.Lock()
        self._active: list[Fault] = []
        self._stopping = threading.Event()

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._active.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._active.clear()

    def active(self) -> list[Fault]:
        with self._lock:
            return list(self._active)

    def start(self) -> None:
        self._stopping.clear()

    def stop(self) -> None:
        """Work that was still to be done late is never done: the server has died."""
        self._stopping.set()

    def answer(self, head: Head, read: Callable[[], bytes]) -> Reply | Upgrade:
        if not self._active:
            return self._application(head, read)
        matching = self._take(head)
        delay = sum(fault.seconds for fault in matching if fault.kind is Kind.LATENCY)
        worst = next((fault for fault in matching if fault.kind is not Kind.LATENCY), None)
        if delay:
            read()
            self._wait(delay)
        if worst is None:
            return self._application(head, read)
        return self._spoil(worst, head, read)

    def _take(self, head: Head) -> list[Fault]:
        """All latencies and the first other fault that match, each used up by one."""
        taken: list[Fault] = []
        with self._lock:
            for fault in list(self._active):
                spoilt = any(each.kind is not Kind.LATENCY for each in taken)
                if fault.matches(head) and not (spoilt and fault.kind is not Kind.LATENCY):
                    taken.append(fault)
                    self._use(fault)
        return taken

    def _use(self, fault: Fault) -> None:
        if fault.times is not None:
            place = self._active.index(fault)
            rest = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
            self._active[place : place + 1] = rest

    def _spoil(self, fault: Fault, head: Head, read: Callable[[], bytes]) -> Reply:
        if fault.kind is Kind.DROP_UNREAD:
            raise Hangup
        body = read()
        if fault.kind is Kind.SILENCE:
            self._wait(fault.seconds)
        if fault.kind in {Kind.DROP, Kind.SILENCE}:
            raise Hangup
        if fault.kind is Kind.LATE:
            return self._later(fault, head, body)
        if fault.kind is Kind.STUMBLE:
            self._application(head, read)
        if fault.kind in {Kind.LOSE, Kind.HALF}:
            reply = self._application(head, read)
            if fault.kind is Kind.LOSE or isinstance(reply, Upgrade):
                raise Hangup
            return replace(reply, cut=len(reply.body) // 2)
        return _nonsense(fault)

    def _later(self, fault: Fault, head: Head, body: bytes) -> Reply:
        threading.Thread(
            target=self._work_later, args=(fault.seconds, head, body), daemon=True
        ).start()
        if not fault.status:
            raise Hangup
        return _nonsense(fault)

    def _work_later(self, seconds: float, head: Head, body: bytes) -> None:
        if not self._stopping.wait(seconds):
            self._application(head, lambda: body)

    def _wait(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise Hangup


def _nonsense(fault: Fault) -> Reply:
    if fault.kind is Kind.HTML:
        page = b"<html><body><h1>Bad gateway</h1></body></html>"
        return Reply(fault.status or 200, page, "text/html; charset=utf-8")
    if fault.kind is Kind.EMPTY:
        return Reply(fault.status or 200)
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return Reply(fault.status or 500, fault.body.encode(), fault.content_type, headers)
