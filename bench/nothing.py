"""A network for the bench: it brings messages by webhook, and is never spoken to."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.adapter import Adapter, same
from gateway.errors import Forbidden
from gateway.model import Inbound, WebRequest

PASSWORD = "let me in"


class Nothing(Adapter):
    """Takes `{"id", "peer", "text"}`, with a password in a header."""

    def verify(self, request: WebRequest) -> None:
        if not same(PASSWORD, request.headers.get("x-password", "")):
            raise Forbidden("X-Password is missing or wrong")

    def parse(self, request: WebRequest) -> Iterator[Inbound]:
        told = request.json()
        yield Inbound(id=told["id"], peer=told["peer"], text=told["text"])
