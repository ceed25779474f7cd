"""A form with files (RFC 7578), read from the disk while it is sent and never held in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from secrets import token_hex

from gateway.model import File

BLOCK = 64 * 1024


class Form:
    """The body of a request: it knows its length, and can be sent more than once.

    `files` all stand under `field`. Sending raises OSError if a file is not there any more.
    """

    def __init__(
        self, texts: Sequence[tuple[str, str]], field: str, files: Sequence[File] = ()
    ) -> None:
        self._boundary = token_hex(16)
        head = b"".join(self._head(f'name="{name}"') + _text(value) for name, value in texts)
        self._pieces: list[bytes | File] = [head]
        for file in files:
            place = f'name="{field}"; filename="{_quoted(file.name)}"'
            self._pieces += [self._head(place, file.content_type), file, b"\r\n"]
        self._pieces.append(f"--{self._boundary}--\r\n".encode())

    @property
    def content_type(self) -> str:
        return f"multipart/form-data; boundary={self._boundary}"

    def __len__(self) -> int:
        sizes = (len(piece) if isinstance(piece, bytes) else piece.size for piece in self._pieces)
        return sum(sizes)

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, bytes):
                yield piece
            else:
                yield from _blocks(piece)

    def _head(self, place: str, content_type: str = "") -> bytes:
        kind = f"Content-Type: {_line(content_type)}\r\n" if content_type else ""
        head = f"--{self._boundary}\r\nContent-Disposition: form-data; {place}\r\n{kind}\r\n"
        return head.encode()


def _text(value: str) -> bytes:
    return value.encode() + b"\r\n"


def _blocks(file: File) -> Iterator[bytes]:
    with file.path.open("rb") as opened:
        while block := opened.read(BLOCK):
            yield block


def _quoted(name: str) -> str:
    """As browsers write it (https://html.spec.whatwg.org/#multipart-form-data)."""
    return name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


def _line(text: str) -> str:
    return "".join(text.split())
