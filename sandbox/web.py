"""WSGI apps on the stand-ins' server."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
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

        body = b"".join(app(_environ(head, read()), start_response))
        status, headers = said[-1]
        named = {name: value for name, value in headers if name.lower() != "content-length"}
        kind = next((named.pop(name) for name in list(named) if name.lower() == "content-type"), "")
        return Reply(int(status.split()[0]), body, kind, named)

    return answer


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
