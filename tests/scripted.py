"""A real HTTP server on loopback that answers by a script, and misbehaves on request."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Behaviour = Callable[["Exchange"], None]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request as it came over the wire. Header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Exchange(BaseHTTPRequestHandler):
    """One connection. `script` is the server that it came to."""

    protocol_version = "HTTP/1.1"
    script: ScriptedServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: a test reads what was recorded."""

    def setup(self) -> None:
        super().setup()
        # The header and the body are two writes: with Nagle's algorithm every call takes 40 ms.
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = self.script.connected()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # every method is served alike
            return self.exchange
        raise AttributeError(name)

    def exchange(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.script.record(Recorded(self.command, self.path, headers, body, self.number))
        self.script.behaviour_for(urlsplit(self.path).path)(self)

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self, at_once: bytes, data: bytes) -> None:
        """`data` byte by byte, until the other side has had enough or the server stops."""
        self.close_connection = True
        try:
            self.wfile.write(at_once)
            for byte in data:
                self.wfile.write(bytes([byte]))
                if self.script.stopped.wait(0.02):
                    return
        except OSError:
            return


def answer(
    status: int = 200, content: Any = b"", headers: Mapping[str, str] | None = None
) -> Behaviour:
    """Answer with `content`: bytes as they are, anything else as JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return lambda exchange: exchange.answer(status, headers or {}, body)


def silence(exchange: Exchange) -> None:
    """Take the request and say nothing."""
    exchange.close_connection = True
    exchange.script.stopped.wait(30)


def hang_up(exchange: Exchange) -> None:
    """Take the request and close the connection."""
    exchange.close_connection = True


def drip_headers(exchange: Exchange) -> None:
    exchange.drip(b"HTTP/1.1 200 OK\r\n", b"X-Drip: drop\r\n" * 90)


def drip_body(exchange: Exchange) -> None:
    exchange.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"." * 9999)


class ScriptedServer:
    """Answers request after request from `script`, and then always as `otherwise` says.
    `always` holds answers for paths with a given end."""

    def __init__(self) -> None:
        self.script: list[Behaviour] = []
        self.always: dict[str, Behaviour] = {}
        self.otherwise: Behaviour = answer(200, {})
        self.requests: list[Recorded] = []
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._connections = 0

    def __enter__(self) -> ScriptedServer:
        kind = type("Exchange", (Exchange,), {"script": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def connected(self) -> int:
        with self._lock:
            self._connections += 1
            return self._connections

    def record(self, request: Recorded) -> None:
        with self._lock:
            self.requests.append(request)

    def behaviour_for(self, path: str) -> Behaviour:
        with self._lock:
            for end, behaviour in self.always.items():
                if path.endswith(end):
                    return behaviour
            return self.script.pop(0) if self.script else self.otherwise


def refused_port() -> int:
    """A port where nobody listens, nor will: it is held for as long as this process runs."""
    return int(_bound_and_deaf().getsockname()[1])


def refused_url() -> str:
    return f"http://127.0.0.1:{refused_port()}"


@cache
def _bound_and_deaf() -> socket.socket:
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    return bound
