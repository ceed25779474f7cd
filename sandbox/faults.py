"""Makes an HTTP stand-in misbehave on request: slow, broken, mute, or forgetful of its answers.

The same by method (`faults.add(Fault(...))`) and by HTTP: `POST /_faults` with the fields of a
`Fault` as JSON, `GET /_faults` for those still to come, `DELETE /_faults` to clear them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError
from werkzeug.wrappers import Request, Response

from sandbox.web import HangUp

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CONTROL_PATH = "/_faults"


class Kind(StrEnum):
    """What goes wrong."""

    LATENCY = "latency"
    """The answer comes `seconds` late."""
    STATUS = "status"
    """`status` and `body` are answered; nothing happens otherwise."""
    DROP = "drop"
    """The connection is closed; nothing has happened."""
    LOSE = "lose"
    """Everything happens, then the connection is closed instead of an answer."""
    SILENCE = "silence"
    """Nothing happens and nothing is answered for `seconds`; then the connection is closed."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, for the requests that it matches."""

    kind: Kind
    method: str = "*"
    path: str = "*"
    """A pattern as for file names: «/bot*/sendMessage»."""
    times: int | None = 1
    """How many requests it strikes; None: until it is cleared."""
    seconds: float = 0.0
    status: int = 500
    body: str = ""
    content_type: str = "text/plain; charset=utf-8"
    retry_after: int | None = None
    """Sent as the Retry-After header of a STATUS."""

    def matches(self, method: str, path: str) -> bool:
        return fnmatchcase(method, self.method.upper()) and fnmatchcase(path, self.path)


class Faults:
    """The faults still to come, oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[Fault] = []
        self._stopped = threading.Event()

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
        """The faults that strike this request: all latencies, and the first of the others."""
        struck: list[Fault] = []
        with self._lock:
            for fault in list(self._pending):
                broken = any(other.kind is not Kind.LATENCY for other in struck)
                if fault.matches(method, path) and not (broken and fault.kind is not Kind.LATENCY):
                    struck.append(fault)
                    self._use_up(fault)
        return struck

    def wait(self, seconds: float) -> None:
        """Sleep, but wake at once when the stand-in stops."""
        self._stopped.wait(seconds)

    def reset(self) -> None:
        """The stand-in starts."""
        self._stopped.clear()

    def stop(self) -> None:
        """The stand-in stops: nobody is kept waiting any longer."""
        self._stopped.set()

    def _use_up(self, fault: Fault) -> None:
        if fault.times is None:
            return
        place = next(i for i, other in enumerate(self._pending) if other is fault)
        if fault.times <= 1:
            del self._pending[place]
        else:
            self._pending[place] = replace(fault, times=fault.times - 1)


class FaultyApp:
    """A WSGI app around another one, which it lets fail as `faults` says."""

    def __init__(self, app: WSGIApplication, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == CONTROL_PATH:
            return control(self._faults, Request(environ))(environ, start_response)
        struck = self._faults.take(environ["REQUEST_METHOD"], path)
        for fault in struck:
            if fault.kind in {Kind.LATENCY, Kind.SILENCE}:
                self._faults.wait(fault.seconds)
        broken = next((fault for fault in struck if fault.kind is not Kind.LATENCY), None)
        if broken is None:
            return self._app(environ, start_response)
        if broken.kind is Kind.STATUS:
            return _refusal(broken)(environ, start_response)
        if broken.kind is Kind.LOSE:
            b"".join(self._app(environ, start_response))
        raise HangUp


def control(faults: Faults, request: Request) -> Response:
    """Answer a request to `CONTROL_PATH`."""
    if request.method == "POST":
        try:
            faults.add(TypeAdapter(Fault).validate_json(request.get_data()))
        except ValidationError as error:
            return Response(str(error), 400)
    elif request.method == "DELETE":
        faults.clear()
    pending = [asdict(fault) for fault in faults.pending()]
    return Response(json.dumps(pending), content_type="application/json")


def _refusal(fault: Fault) -> Response:
    answer = Response(fault.body, fault.status, content_type=fault.content_type)
    if fault.retry_after is not None:
        answer.headers["Retry-After"] = str(fault.retry_after)
    return answer
