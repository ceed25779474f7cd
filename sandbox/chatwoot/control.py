"""The control interface, on an address of its own that stays when Chatwoot goes away.

POST   /_faults  {"kind": "status", "method": "POST", "path": "*/messages", "times": 3}
GET    /_faults  the faults still to come
DELETE /_faults  all off
POST   /_cable   {"do": "cut"}, or hold, release, fall_silent, speak_again
GET    /_counts  {"POST /api/v1/accounts/{account}/contacts": 2, …}
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

from sandbox.chatwoot.cable import Cable
from sandbox.faults import CONTROL_PATH, Faults, control
from sandbox.server import Head, Reply


class Control:
    """Answers the control interface."""

    def __init__(self, faults: Faults, cable: Cable, requests: Counter[tuple[str, str]]) -> None:
        self._faults = faults
        self._requests = requests
        self._deeds = {
            deed.__name__: deed
            for deed in (
                cable.cut,
                cable.hold,
                cable.release,
                cable.fall_silent,
                cable.speak_again,
            )
        }

    def __call__(self, head: Head, read: Callable[[], bytes]) -> Reply:
        match (head.method, head.path):
            case (_, path) if path == CONTROL_PATH:
                return control(self._faults, head, read)
            case ("POST", "/_cable"):
                return self._do(read())
            case ("GET", "/_counts"):
                counts = sorted(self._requests.copy().items())
                return _reply(200, {f"{method} {route}": n for (method, route), n in counts})
        return _reply(404, {"error": f"{head.method} {head.path} is not known here"})

    def _do(self, body: bytes) -> Reply:
        try:
            self._deeds[json.loads(body)["do"]]()
        except (KeyError, TypeError, ValueError):
            return _reply(400, {"error": f"`do` must be one of {', '.join(self._deeds)}"})
        return _reply(200, {})


def _reply(status: int, answer: object) -> Reply:
    return Reply(status, json.dumps(answer).encode())
