"""WSGI apps on the stand-ins' server."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sandbox.server import Application, Head, Reply, Server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment


class WebServer(Server):
    """Serves a WSGI app on 127.0.0.1. Port 0 means any free one."""

    def __init__(self, app: WSGIApplication, *, port: int = 0) -> None:
        super().__init__(wsgi(app), port)


def wsgi(app: WSGIApplication) -> Application:
    """What answers requests by asking `app`, which may raise HangUp."""

    def answer(head: Head, read: Callable[[], bytes]) -> Reply:
        said: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
            said.append((status, headers))
            return None

        pieces = _pieces(app(_environ(head, read()), start_response))
        first = next(pieces, b"")  # an app may say its status no earlier
        status, headers = said[-1]
        named = {name: value for name, value in headers if name.lower() != "content-length"}
        kind = next((named.pop(name) for name in list(named) if name.lower() == "content-type"), "")
        if kind.startswith("text/event-stream"):
            return Reply(int(status.split()[0]), b"", kind, named, stream=_rejoin(first, pieces))
        return Reply(int(status.split()[0]), first + b"".join(pieces), kind, named)

    return answer


def _pieces(chunks: Iterable[bytes]) -> Generator[bytes, None, None]:
    """What an app answers; it is told when nobody reads on, as WSGI wants."""
    try:
        yield from chunks
    finally:
        if callable(close := getattr(chunks, "close", None)):
            close()


def _rejoin(first: bytes, rest: Generator[bytes, None, None]) -> Generator[bytes, None, None]:
    with contextlib.closing(rest):
        yield first
        yield from rest


def _environ(head: Head, body: bytes) -> WSGIEnvironment:
    headers = {
        f"HTTP_{name.upper().replace('-', '_')}": head.headers[name] for name in head.headers
    }
    return {
        **headers,
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(head.path, "latin-1"),
        "QUERY_STRING": head.query_string,
        "REMOTE_ADDR": head.client[0],
        "REMOTE_PORT": head.client[1],
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": head.headers.get("host", "").rpartition(":")[2] or "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": head.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
