"""A request on its way: gathered as it comes, so that no thread has to wait for a slow caller.

Only where a request ends is found out here. What it says, and whether it is one, is for gunicorn's
parser, which gets the bytes as they came.
"""

from __future__ import annotations

import re
import socket
import time
from enum import Enum

END_OF_HEAD = b"\r\n\r\n"
LARGEST_HEAD = 64 * 1024
"""Bytes. Gunicorn's own limits are lower; this ends the wait for the end of a head."""
GATHERED_BODY = 64 * 1024
"""Bytes. A longer body stays in the socket until somebody wants it."""
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r\n", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
EXPECTING = re.compile(rb"\r\nexpect:", re.IGNORECASE)


class Progress(Enum):
    """How far a request has come."""

    HEAD = "head"
    """Its head is not complete."""
    BODY = "body"
    WHOLE = "whole"
    """The whole request is here, or enough of it to see that it is not HTTP."""
    LARGE = "large"
    """Its head is here. The body is long, or its sender waits to be asked for it."""


class Arrival:
    """The bytes of one request, as far as they have come."""

    def __init__(self, early: bytes = b"") -> None:
        self.data = bytearray(early)
        self._searched = 0
        self._head = 0
        """Where the body begins; 0 while that is unknown."""
        self._end: int | None = None
        """Where the body ends; None if it comes in chunks."""
        self._chunk = 0
        """Where the next chunk begins."""
        self._expects = False
        """Its sender waits until somebody asks for the body."""

    def add(self, piece: bytes) -> None:
        self.data += piece

    def progress(self) -> Progress:
        if not self._head and not self._find_head():
            return Progress.WHOLE if len(self.data) > LARGEST_HEAD else Progress.HEAD
        if self._is_large():
            return Progress.LARGE
        return Progress.WHOLE if self._has_end() else Progress.BODY

    def _find_head(self) -> bool:
        found = self.data.find(END_OF_HEAD, max(0, self._searched - len(END_OF_HEAD)))
        self._searched = len(self.data)
        if found < 0:
            return False
        self._head = self._chunk = found + len(END_OF_HEAD)
        head = bytes(self.data[: self._head])
        length = LENGTH.search(head)
        self._expects = bool(EXPECTING.search(head))
        self._end = None if CHUNKED.search(head) else self._head + int(length[1] if length else 0)
        return True

    def _is_large(self) -> bool:
        end = len(self.data) if self._end is None else self._end
        return self._expects or end - self._head > GATHERED_BODY

    def _has_end(self) -> bool:
        if self._end is not None:
            return len(self.data) >= self._end
        return self._walk_chunks()

    def _walk_chunks(self) -> bool:
        """Whether the last chunk is here, or something that is not a chunk."""
        while (line := self.data.find(b"\r\n", self._chunk)) >= 0:
            try:
                size = int(self.data[self._chunk : line].partition(b";")[0], 16)
            except ValueError:
                return True
            if size == 0:
                return self.data.find(END_OF_HEAD, line) >= 0
            if size < 0 or (following := line + 2 + size + 2) > len(self.data):
                return size < 0
            self._chunk = following
        return False


class Source:
    """What gunicorn's parser reads from, once it has read what was gathered."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._until: float | None = None

    @property
    def is_open(self) -> bool:
        return self._until is not None

    def end(self) -> None:
        """All of the request has been gathered: nothing more is waited for."""
        self._until = None

    def open(self, seconds: float) -> None:
        """The rest is still in the socket, and must come within `seconds`."""
        self._until = time.monotonic() + seconds

    def recv(self, size: int) -> bytes:
        """The next bytes; none if the request ends here, or did not come in time."""
        if self._until is None or (left := self._until - time.monotonic()) <= 0:
            return b""
        self._sock.settimeout(left)
        try:
            return self._sock.recv(size)
        except TimeoutError:
            return b""
        finally:
            self._sock.setblocking(True)
