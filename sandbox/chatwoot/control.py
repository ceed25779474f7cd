"""The control interface: faults on and off, and counts, on an address of its own.

POST   /_faults  {"kind": "status", "method": "POST", "path": "*/messages", "times": 3}
GET    /_faults  the faults that are on
DELETE /_faults  all off
GET    /_counts  {"POST /api/v1/accounts/{account}/contacts": 2, …}
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict

from pydantic import TypeAdapter, ValidationError

from sandbox.chatwoot.faults import Fault, Faults
from sandbox.chatwoot.server import Head, Reply


class Control:
    """Answers the control interface."""

    def __init__(self, faults: Faults, requests: Counter[tuple[str, str]]) -> None:
        self._faults = faults
        self._requests = requests

    def __call__(self, head: Head, read: Callable[[], bytes]) -> Reply:
        body = read()
        match (head.method, head.path):
            case ("GET", "/_counts"):
                counts = sorted(self._requests.copy().items())
                return _reply(200, {f"{method} {route}": n for (method, route), n in counts})
            case ("POST", "/_faults"):
                return self._add(body)
            case ("DELETE", "/_faults"):
                self._faults.clear()
            case (_, path) if path != "/_faults":
                return _reply(404, {"error": f"there is no {path} here"})
        return self._list(200)

    def _add(self, body: bytes) -> Reply:
        try:
            self._faults.add(TypeAdapter(Fault).validate_json(body))
        except ValidationError as error:
            return _reply(400, {"error": str(error)})
        return self._list(201)

    def _list(self, status: int) -> Reply:
        return _reply(status, [asdict(fault) for fault in self._faults.active()])


def _reply(status: int, answer: object) -> Reply:
    return Reply(status, json.dumps(answer).encode())
