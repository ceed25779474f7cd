"""The server's side of a WebSocket, on a connection that an HTTP server has handed over."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import BinaryIO, cast

from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from sandbox.server import Head

LARGEST_READ = 65536


class WebSocket:
    """One connection. Several threads may send; one reads."""

    def __init__(
        self, connection: socket.socket, stream: BinaryIO, head: Head, subprotocol: str
    ) -> None:
        """Answers the client's handshake, with `subprotocol` if the client offers it."""
        self._connection = connection
        self._stream = cast(io.BufferedReader, stream)
        self._lock = threading.Lock()
        self._subprotocol = Subprotocol(subprotocol)
        self._protocol = ServerProtocol(
            subprotocols=[self._subprotocol],
            select_subprotocol=lambda _, offered: self._select(offered),
        )
        self._shake_hands(head)

    def texts(self) -> Iterator[str]:
        """What the client says, until the connection ends."""
        parts: list[bytes] = []
        while data := self._read():
            for frame in self._receive(data):
                if frame.opcode not in {Opcode.TEXT, Opcode.CONT}:
                    continue
                parts.append(bytes(frame.data))
                if frame.fin:
                    yield b"".join(parts).decode()
                    parts = []

    def send(self, text: str) -> None:
        """Raises OSError if the connection has ended."""
        with self._lock:
            if self._protocol.state is not State.OPEN:
                raise ConnectionResetError("the WebSocket is closed")
            self._protocol.send_text(text.encode())
            self._flush()

    def cut(self) -> None:
        """End the connection without a farewell, as a network does."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def _shake_hands(self, head: Head) -> None:
        request = Request(head.path, Headers(list(head.headers.items())))
        with self._lock:
            self._protocol.receive_data(request.serialize())
            self._protocol.events_received()
            self._protocol.send_response(self._protocol.accept(request))
            self._flush()

    def _select(self, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        return self._subprotocol if self._subprotocol in offered else None

    def _read(self) -> bytes:
        try:
            return self._stream.read1(LARGEST_READ)
        except OSError:
            return b""

    def _receive(self, data: bytes) -> list[Frame]:
        """Pings and farewells are answered on the way."""
        with self._lock:
            self._protocol.receive_data(data)
            frames = self._protocol.events_received()
            self._flush()
        return [frame for frame in frames if isinstance(frame, Frame)]

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._connection.sendall(data)
            else:
                self._connection.shutdown(socket.SHUT_WR)
