"""Serves a WSGI app on loopback, in threads of this process, over kept-alive connections.

Werkzeug's own development server closes the connection after every answer, which no real provider
does: a gateway tested against it would never meet a connection that went stale while it was idle.
"""

from __future__ import annotations

import contextlib
import io
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

LARGEST_BODY = 64 * 1024 * 1024


class HangUp(Exception):
    """Raised by an app that wants the connection closed without an answer."""


class WebServer:
    """A WSGI app on 127.0.0.1. Port 0 means: any free one, chosen at the first start."""

    def __init__(self, app: WSGIApplication, *, port: int = 0) -> None:
        self.app = app
        self.port = port
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        """The address without a trailing slash; its port is known once started."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen and serve. Raises OSError if the port is taken."""
        server = _Server(self.app, self.port)
        self.port = server.server_address[1]
        self._server = server
        threading.Thread(
            target=server.serve_forever, args=(0.05,), name=f"web-{self.port}", daemon=True
        ).start()

    def stop(self) -> None:
        """Stop listening and break every open connection, as a process that ends does."""
        if (server := self._server) is not None:
            self._server = None
            server.shutdown()
            server.server_close()
            server.break_connections()


class _Server(ThreadingMixIn, TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256
    server_address: tuple[str, int]

    def __init__(self, app: WSGIApplication, port: int) -> None:
        self.app = app
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Exchange)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news; anything else is a fault of the stand-in."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def break_connections(self) -> None:
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _Exchange(BaseHTTPRequestHandler):
    """One connection, and the requests that come over it."""

    protocol_version = "HTTP/1.1"
    server_version = "sandbox"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # an answer leaves in one piece, not a packet per header
    server: _Server

    def __getattr__(self, name: str) -> Any:
        # The base class looks for do_GET, do_POST …: the app decides what methods it knows.
        if name.startswith("do_"):
            return self._exchange
        raise AttributeError(name)

    def log_message(self, *args: Any, **kwargs: Any) -> None:
        """Requests are not logged: their addresses carry tokens."""

    def _exchange(self) -> None:
        answer: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
            answer[:] = [status, headers]
            return None

        try:
            chunks = self.server.app(self._environ(self._body()), start_response)
            body = b"".join(chunks)
        except HangUp:
            self.close_connection = True
            return
        self._answer(answer[0], answer[1], body)

    def _answer(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        code, _, phrase = status.partition(" ")
        self.send_response(int(code), phrase)
        for name, value in headers:
            if name.lower() != "content-length":
                self.send_header(name, value)
        if int(code) != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def _body(self) -> bytes:
        """The whole body, always: what is left unread would be taken for the next request."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(iter(self._chunk, b""))
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST_BODY:
            raise HangUp
        return self.rfile.read(length)

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().split(b";")[0], 16)
        chunk = self.rfile.read(size)
        self.rfile.readline()
        return chunk

    def _environ(self, body: bytes) -> WSGIEnvironment:
        parts = urlsplit(self.path)
        environ: WSGIEnvironment = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(parts.path, "latin-1"),
            "QUERY_STRING": parts.query,
            "REMOTE_ADDR": self.client_address[0],
            "REMOTE_PORT": self.client_address[1],
            "SERVER_NAME": self.server.server_address[0],
            "SERVER_PORT": str(self.server.server_address[1]),
            "SERVER_PROTOCOL": self.request_version,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
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
        for name, value in self.headers.items():
            environ.setdefault("HTTP_" + name.upper().replace("-", "_"), value)
        return environ
