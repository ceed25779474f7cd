"""Lets an HTTP stand-in misbehave on request: slow, broken, mute, or forgetful of its answers.

The same by method (`faults.add(Fault(...))`) and by HTTP: `POST /_faults` with the fields of a
`Fault` as JSON, `GET /_faults` for those still to come, `DELETE /_faults` to clear them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from sandbox.server import Application, HangUp, Head, Reply, Upgrade

CONTROL_PATH = "/_faults"


class Kind(StrEnum):
    """What goes wrong."""

    LATENCY = "latency"
    """The work begins `seconds` later; a client that gives up earlier finds it done afterwards."""
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
    """One thing that goes wrong, for the requests that it matches."""

    kind: Kind
    method: str = "*"
    path: str = "*"
    """A pattern as for file names, against the path without its query: «/bot*/sendMessage»."""
    times: int | None = 1
    """How many requests it strikes; None: until it is cleared."""
    seconds: float = 0.0
    status: int = 0
    """0 stands for what is usual for the kind: 500, or 200 for nonsense."""
    body: str = '{"status":500,"error":"Internal Server Error"}'
    content_type: str = "application/json; charset=utf-8"
    retry_after: int | None = None
    """Seconds, sent as the Retry-After header of a STATUS."""

    def matches(self, method: str, path: str) -> bool:
        return fnmatchcase(method, self.method.upper()) and fnmatchcase(path, self.path)


class Faults:
    """The faults still to come, oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[Fault] = []
        self._stopping = threading.Event()

    def add(self, fault: Fault) -> None:
        """Let `fault` strike from the next request on."""
        with self._lock:
            self._pending.append(fault)

    def clear(self) -> None:
        """Behave again."""
        with self._lock:
            self._pending.clear()

    def pending(self) -> list[Fault]:
        with self._lock:
            return list(self._pending)

    def take(self, method: str, path: str) -> list[Fault]:
        """The faults that strike this request, each used up by one: all latencies, and the first
        of the others."""
        struck: list[Fault] = []
        with self._lock:
            for fault in list(self._pending):
                broken = any(other.kind is not Kind.LATENCY for other in struck)
                if fault.matches(method, path) and not (broken and fault.kind is not Kind.LATENCY):
                    struck.append(fault)
                    self._use_up(fault)
        return struck

    def start(self) -> None:
        """The stand-in starts."""
        self._stopping.clear()

    def stop(self) -> None:
        """The stand-in stops: waiting ends, and what was to be done late is never done."""
        self._stopping.set()

    def wait(self, seconds: float) -> bool:
        """Sleep. True, and at once, if the stand-in stops."""
        return self._stopping.wait(seconds)

    def _use_up(self, fault: Fault) -> None:
        if fault.times is None:
            return
        place = next(i for i, other in enumerate(self._pending) if other is fault)
        rest = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
        self._pending[place : place + 1] = rest


class FaultyApplication:
    """Stands before an application, which it lets fail as `faults` says."""

    def __init__(self, application: Application, faults: Faults) -> None:
        self._application = application
        self._faults = faults

    def __call__(self, head: Head, read: Callable[[], bytes]) -> Reply | Upgrade:
        if head.path == CONTROL_PATH:
            return control(self._faults, head, read)
        struck = self._faults.take(head.method, head.path)
        delay = sum(fault.seconds for fault in struck if fault.kind is Kind.LATENCY)
        worst = next((fault for fault in struck if fault.kind is not Kind.LATENCY), None)
        if delay:
            read()
            self._wait(delay)
        if worst is None:
            return self._application(head, read)
        return self._spoil(worst, head, read)

    def _spoil(self, fault: Fault, head: Head, read: Callable[[], bytes]) -> Reply:
        if fault.kind is Kind.DROP_UNREAD:
            raise HangUp
        body = read()
        if fault.kind is Kind.SILENCE:
            self._wait(fault.seconds)
        if fault.kind in {Kind.DROP, Kind.SILENCE}:
            raise HangUp
        if fault.kind is Kind.LATE:
            self._work_later(fault.seconds, head, body)
            if not fault.status:
                raise HangUp
        if fault.kind is Kind.STUMBLE:
            self._application(head, read)
        if fault.kind in {Kind.LOSE, Kind.HALF}:
            reply = self._application(head, read)
            if fault.kind is Kind.LOSE or isinstance(reply, Upgrade):
                raise HangUp
            return replace(reply, cut=len(reply.body) // 2)
        return _nonsense(fault)

    def _work_later(self, seconds: float, head: Head, body: bytes) -> None:
        def work() -> None:
            if not self._faults.wait(seconds):
                self._application(head, lambda: body)

        threading.Thread(target=work, name="late-work", daemon=True).start()

    def _wait(self, seconds: float) -> None:
        if self._faults.wait(seconds):
            raise HangUp


def control(faults: Faults, head: Head, read: Callable[[], bytes]) -> Reply:
    """Answer a request to `CONTROL_PATH`."""
    body, status = read(), 200
    origin = head.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != head.headers.get("host"):
        return Reply(403, b'{"error": "a page of another site may not do this"}')
    if head.method == "POST":
        try:
            faults.add(TypeAdapter(Fault).validate_json(body))
        except ValidationError as error:
            return Reply(400, json.dumps({"error": str(error)}).encode())
        status = 201
    elif head.method == "DELETE":
        faults.clear()
    return Reply(status, json.dumps([asdict(fault) for fault in faults.pending()]).encode())


def _nonsense(fault: Fault) -> Reply:
    if fault.kind is Kind.HTML:
        page = b"<html><body><h1>Bad gateway</h1></body></html>"
        return Reply(fault.status or 200, page, "text/html; charset=utf-8")
    if fault.kind is Kind.EMPTY:
        return Reply(fault.status or 200)
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return Reply(fault.status or 500, fault.body.encode(), fault.content_type, headers)
