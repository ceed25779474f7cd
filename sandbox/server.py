"""The stand-ins' HTTP/1.1 server: on loopback, one thread per connection.

Written here instead of taken ready-made because a stand-in must be able to misbehave: hang up
before it has read a request, or in the middle of an answer. It keeps connections alive as real
providers do, so that a client meets those that went stale, and it hands a connection over to
a handler that speaks another protocol on it (a WebSocket). It is also quick: no pause for Nagle.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import BinaryIO, cast
from urllib.parse import parse_qs

log = logging.getLogger(__name__)

LARGEST_BODY = 64 * 1024 * 1024
LONGEST_LINE = 65536


@dataclass(frozen=True, slots=True)
class Head:
    """What comes before a request's body."""

    method: str
    path: str
    """As sent: not unquoted."""
    query_string: str
    headers: Mapping[str, str]
    """Names are in lower case, with dashes."""
    client: tuple[str, int]
    """The client's address and port."""
    keep_alive: bool = True

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(self.query_string, keep_blank_values=True)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer."""

    status: int
    body: bytes = b""
    content_type: str = "application/json; charset=utf-8"
    """Empty: the header is left out."""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    """Send only so many bytes of the body, and hang up."""
    stream: Generator[bytes, None, None] | None = None
    """Sent piece by piece instead of the body, as long as there are any; the end closes the
    connection."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """An answer after which the connection is no longer HTTP: `talk` owns it until it returns."""

    talk: Callable[[socket.socket, BinaryIO], None]
    """Takes the socket, and the stream to read from, which may hold bytes that came already."""


class HangUp(Exception):
    """Raised by an application that wants the connection closed without an answer."""


class BadRequest(Exception):
    """What came is not HTTP."""


Application = Callable[[Head, Callable[[], bytes]], Reply | Upgrade]
"""Answers a request; the second argument reads the body. It may raise HangUp."""


class Server:
    """Listens on 127.0.0.1 from `start()` to `stop()`.

    Port 0 means any free one: it is chosen at the first start, and kept.
    """

    def __init__(self, application: Application, port: int = 0) -> None:
        self.port = port
        self._application = application
        self._listener: socket.socket | None = None
        self._accepting: threading.Thread | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    @property
    def url(self) -> str:
        """Without a slash at the end. The port is known once the server has started."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen and serve. Raises OSError if the port is taken."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=512)
        self._listener.settimeout(0.1)
        self.port = self._listener.getsockname()[1]
        self._stopping.clear()
        self._accepting = threading.Thread(
            target=self._accept, args=(self._listener,), name=f"web-{self.port}", daemon=True
        )
        self._accepting.start()

    def stop(self) -> None:
        """Stop listening and break every open connection, as a process that ends does."""
        self._stopping.set()
        if self._listener is not None and self._accepting is not None:
            # Closing alone would leave the port taken until the thread that accepts wakes up.
            _shut(self._listener)
            self._accepting.join(1)
            self._listener.close()
        with self._lock:
            for connection in self._open:
                _shut(connection)

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                connection, client = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return  # the listener was closed
            threading.Thread(
                target=self._serve, args=(connection, client), name="web-connection", daemon=True
            ).start()

    def _serve(self, connection: socket.socket, client: tuple[str, int]) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open.add(connection)
        try:
            with connection, _reader(connection) as stream:
                self._converse(connection, stream, client)
        except (OSError, HangUp):
            return  # one of the two has hung up: that is how connections end
        finally:
            with self._lock:
                self._open.discard(connection)

    def _converse(
        self, connection: socket.socket, stream: BinaryIO, client: tuple[str, int]
    ) -> None:
        """Answer requests until one side has enough."""
        try:
            while not self._stopping.is_set():
                head = _read_head(stream, client)
                if head is None or not self._exchange(head, connection, stream):
                    return
        except BadRequest as error:
            log.warning("not HTTP: %s", error)
            connection.sendall(_render(Reply(400, content_type=""), "GET"))

    def _exchange(self, head: Head, connection: socket.socket, stream: BinaryIO) -> bool:
        """Answer one request. False if the connection is to be closed."""
        body = _Body(head, connection, stream)
        reply = self._application(head, body.read)
        body.read()
        if isinstance(reply, Upgrade):
            reply.talk(connection, stream)
            return False
        connection.sendall(_render(reply, head.method))
        if reply.stream is not None:
            with contextlib.closing(reply.stream) as pieces:
                for piece in pieces:
                    connection.sendall(piece)
            return False
        return head.keep_alive and reply.cut is None


class _Body:
    """A request's body, read at most once, so that the next request starts where it should."""

    def __init__(self, head: Head, connection: socket.socket, stream: BinaryIO) -> None:
        self._head = head
        self._connection = connection
        self._stream = stream
        self._data: bytes | None = None

    def read(self) -> bytes:
        if self._data is None:
            if self._head.headers.get("expect", "").lower() == "100-continue":
                self._connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._data = self._read()
        return self._data

    def _read(self) -> bytes:
        headers = self._head.headers
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return _read_chunks(self._stream)
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > LARGEST_BODY:
            raise BadRequest(f"content-length {length[:30]!r}")
        data = self._stream.read(int(length))
        if len(data) < int(length):
            raise HangUp
        return data


def _reader(connection: socket.socket) -> BinaryIO:
    return cast(BinaryIO, connection.makefile("rb", LONGEST_LINE))


def _read_head(stream: BinaryIO, client: tuple[str, int]) -> Head | None:
    """None if the client has closed the connection."""
    line = stream.readline(LONGEST_LINE)
    if not line:
        return None
    words = line.decode("latin-1").split()
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest(repr(line[:80]))
    headers = _read_headers(stream)
    path, _, query = words[1].partition("?")
    keep = headers.get("connection", "").lower() != "close" and words[2] != "HTTP/1.0"
    return Head(words[0].upper(), path, query, headers, client, keep)


def _read_headers(stream: BinaryIO) -> dict[str, str]:
    headers: dict[str, str] = {}
    while (line := stream.readline(LONGEST_LINE)) not in {b"\r\n", b"\n"}:
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise BadRequest(repr(line[:80]))
        # Rack makes one name of `api_access_token` and `Api-Access-Token`.
        headers[name.strip().lower().replace("_", "-")] = value.strip()
    return headers


def _read_chunks(stream: BinaryIO) -> bytes:
    data = bytearray()
    while size := _chunk_size(stream.readline(LONGEST_LINE)):
        data += stream.read(size)
        stream.readline(LONGEST_LINE)
        if len(data) > LARGEST_BODY:
            raise BadRequest("the body is too large")
    while stream.readline(LONGEST_LINE) not in {b"\r\n", b"\n", b""}:
        pass
    return bytes(data)


def _chunk_size(line: bytes) -> int:
    try:
        return int(line.split(b";")[0], 16)
    except ValueError:
        raise BadRequest(f"chunk size {line[:30]!r}") from None


def _render(reply: Reply, method: str) -> bytes:
    try:
        phrase = HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = "Unknown"
    length: dict[str, object] = {"Content-Length": len(reply.body)}
    if reply.stream is not None:
        length = {"Connection": "close"}
    elif reply.status == HTTPStatus.NO_CONTENT:
        length = {}
    date = {"Date": formatdate(usegmt=True)}
    kind = {"Content-Type": reply.content_type} if reply.content_type else {}
    lines = [
        f"HTTP/1.1 {reply.status} {phrase}",
        *(
            f"{name}: {value}"
            for name, value in {**date, **kind, **length, **reply.headers}.items()
        ),
    ]
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    return head if method == "HEAD" else head + reply.body[: reply.cut]


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is closed already
