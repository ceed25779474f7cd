"""A large mail without the bulk of its files: what is read here is text, and files come later."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SECTION = 1 << 20
"""Bytes that are kept of what stands between two boundaries."""
WHOLE = 4 << 20
"""Bytes that are kept of a mail."""


@dataclass(frozen=True, slots=True)
class Slim:
    """A mail, or what is kept of it."""

    content: bytes
    is_whole: bool


def slimmed(pieces: Iterable[bytes]) -> Slim:
    """What is kept of a mail that comes in pieces: all lines that may be boundaries, and of those
    between them the first."""
    kept, rest, section, is_whole = bytearray(), b"", 0, True
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            section = 0 if line.startswith(b"--") else section + len(line) + 1
            if section > SECTION or len(kept) > WHOLE:
                is_whole = False
            else:
                kept += line + b"\n"
        if len(rest) > SECTION:  # one endless line
            rest, is_whole = rest[:SECTION], False
    return Slim(bytes(kept + rest), is_whole)
