"""A large mail without the bulk of its files: what is read here is text, and files come later."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SECTION = 1 << 20
"""Bytes that are kept of what stands between two boundaries."""
ROOMY = 1 << 20
"""Bytes: once so much of a mail is kept, HEAD of each section must do."""
HEAD = 32 << 10
"""Bytes that are kept of a later section: a short text, or the headers that tell of its file."""
WHOLE = 4 << 20
"""Bytes that are kept of a mail."""
BOUNDARY = b"\n--"


@dataclass(frozen=True, slots=True)
class Slim:
    """A mail, or what is kept of it."""

    content: bytes
    is_whole: bool


def slimmed(pieces: Iterable[bytes]) -> Slim:
    """What is kept of a mail that comes in pieces: of what stands between two lines that may be
    boundaries, the beginning."""
    kept, total, room, rest = bytearray(), 0, SECTION, b""
    for piece in pieces:
        total += len(piece)
        if len(kept) >= WHOLE:
            continue
        text, start = rest + piece, 0
        whole_lines = max(text.rfind(b"\n"), len(text) - SECTION)  # a boundary may be cut off
        while start < whole_lines:
            if text.startswith(BOUNDARY, start):
                room = _room(len(kept))
            at = text.find(BOUNDARY, start + 1, whole_lines)
            end = whole_lines if at < 0 else at
            kept += text[start : min(end, start + room)]
            room = max(0, room - (end - start))
            start = end
        rest = text[start:]
    kept += rest[: _room(len(kept)) if rest.startswith(BOUNDARY) else room]
    return Slim(bytes(kept[: WHOLE + SECTION]), len(kept) == total)


def _room(kept: int) -> int:
    """Bytes that are kept of the next section, if so many of the mail are already."""
    return SECTION if kept < ROOMY else HEAD
