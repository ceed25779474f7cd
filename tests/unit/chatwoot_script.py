"""A Chatwoot that says what a test tells it to, over a real connection, and remembers the calls."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from sandbox.server import HangUp
from sandbox.web import WebServer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

TOKEN = "tok-5up3r-s3cr3t"


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    query: dict[str, str]
    body: Any
    token: str


@dataclass(frozen=True)
class Says:
    """One answer; `body` is JSON unless it is bytes. Status 0: hang up without one."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def bytes(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Script:
    """Answers in the order in which they were told; an unexpected call is answered with 599."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.url = ""
        self._answers: deque[Says] = deque()

    def says(self, status: int, body: Any = None, **headers: str) -> Script:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._answers.append(Says(status, body, named))
        return self

    @property
    def routes(self) -> list[str]:
        """The calls so far, without the part that all addresses have in common."""
        return [
            f"{call.method} {call.path.removeprefix('/api/v1/accounts/1')}" for call in self.calls
        ]

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        raw = environ["wsgi.input"].read()
        self.calls.append(
            Call(
                method=environ["REQUEST_METHOD"],
                path=environ["PATH_INFO"],
                query=dict(parse_qsl(environ["QUERY_STRING"])),
                body=json.loads(raw) if raw else None,
                token=environ.get("HTTP_API_ACCESS_TOKEN", ""),
            )
        )
        answer = self._answers.popleft() if self._answers else Says(599, {"error": "unexpected"})
        if answer.status == 0:
            raise HangUp
        start(f"{answer.status} Scripted", list(answer.headers.items()))
        return [answer.bytes()]


@contextmanager
def scripted() -> Iterator[Script]:
    script = Script()
    server = WebServer(script)
    server.start()
    script.url = server.url
    try:
        yield script
    finally:
        server.stop()


def contact(number: int = 42, **fields: Any) -> dict[str, Any]:
    sources = fields.pop("sources", ())
    links = [{"source_id": source, "inbox": {"id": 7, "name": "x"}} for source in sources]
    plain = {"id": number, "name": "Ada", "email": None, "phone_number": None, "identifier": None}
    return plain | {"contact_inboxes": links, "thumbnail": ""} | fields


def conversation(number: int = 12, status: str = "open", **fields: Any) -> dict[str, Any]:
    return {
        "id": number,
        "inbox_id": 7,
        "status": status,
        "meta": {"sender": contact(), "channel": "Channel::Api"},
        "messages": [],
        "additional_attributes": {},
        "updated_at": 1768900100.5,
    } | fields


def conversations(*found: dict[str, Any]) -> dict[str, Any]:
    return {"data": {"meta": {"all_count": len(found)}, "payload": list(found)}}


def message(number: int = 1001, **fields: Any) -> dict[str, Any]:
    return {
        "id": number,
        "content": "hello",
        "conversation_id": 12,
        "message_type": 0,
        "content_type": "text",
        "status": "sent",
        "content_attributes": {},
        "created_at": 1768900100,
        "private": False,
        "source_id": "gw:1",
    } | fields
