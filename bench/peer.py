"""A Chatwoot as fast as Python allows: it answers what the gateway asks, and keeps nothing but how
often it was called and how late messages came.

Run as `python -m bench.peer SECONDS`: it prints its address, and answers each post of a message
after that many seconds. `GET /seen` tells, and forgets, what came since.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

NUMBERS = itertools.count(1)


@dataclass
class Seen:
    """What came."""

    calls: int = 0
    ages: list[float] = field(default_factory=list)
    """Of messages whose text is the time (Unix seconds) at which they were accepted."""

    def note(self, text: str) -> None:
        self.calls += 1
        if text.startswith("at "):
            self.ages.append(time.time() - float(text[3:]))


class Peer(asyncio.Protocol):
    """One kept-alive connection."""

    def __init__(self, seconds: float, seen: Seen) -> None:
        self._seconds = seconds
        self._seen = seen
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (request := self._next_request()) is not None:
            head, body = request
            delay = self._seconds if head.startswith(b"POST") and b"/messages" in head else 0.0
            answer = _answer(head, body, self._seen)
            if delay:
                asyncio.get_running_loop().call_later(delay, self._write, answer)
            else:
                self._write(answer)

    def _next_request(self) -> tuple[bytes, bytes] | None:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return None
        length = 0
        for line in head.split(b"\r\n")[1:]:
            if line[:15].lower() == b"content-length:":
                length = int(line[15:])
        if len(rest) < length:
            return None
        self._buffer = rest[length:]
        return head, rest[:length]

    def _write(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)


def _answer(head: bytes, body: bytes, seen: Seen) -> bytes:
    method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
    if target == "/seen":
        content: object = {"calls": seen.calls, "ages": seen.ages}
        seen.calls, seen.ages = 0, []
    else:
        told = json.loads(body) if body else {}
        seen.note(str(told.get("content", "")))
        content = _content(method, target, told)
    text = json.dumps(content).encode()
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % len(text)
    ) + text


def _content(method: str, target: str, told: dict[str, str]) -> object:
    path = urlsplit(target).path
    if method == "POST" and path.endswith("/messages"):
        conversation = int(path.split("/")[-2])
        return {"id": next(NUMBERS), "conversation_id": conversation, "message_type": 0}
    if path.endswith("/contact_inboxes/filter"):
        return {"id": _number(told["source_id"]), "contact_inboxes": []}
    if path.endswith("/conversations"):
        source = parse_qs(urlsplit(target).query).get("source_id", ["peer-0"])[0]
        sender = {"id": _number(source)}
        open_one = {"id": _number(source), "inbox_id": 1, "status": "open"}
        return {"data": {"meta": {}, "payload": [{**open_one, "meta": {"sender": sender}}]}}
    return {"id": 1, "name": "Bench", "channel_type": "Channel::Api"}


def _number(source: str) -> int:
    return int(source.removeprefix("peer-")) + 1


async def _serve(seconds: float) -> None:
    loop, seen = asyncio.get_running_loop(), Seen()
    server = await loop.create_server(lambda: Peer(seconds, seen), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1])))
