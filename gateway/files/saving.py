"""Writing a file that comes in pieces, as long as it is not too large."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gateway.errors import Permanent, Retry


class TooLarge(Permanent):
    """There is more of the file than there may be."""


def save(pieces: Iterable[bytes], path: Path, largest: int) -> int:
    """Write `pieces` to `path`, and return how many bytes they were.

    Raises `TooLarge` as soon as there are more than `largest`, and `Retry` if the disk refuses.
    """
    size = 0
    try:
        out = path.open("xb")
    except OSError as error:
        raise _disk_error(error) from error
    with out:
        for piece in pieces:
            size += len(piece)
            if size > largest:
                raise TooLarge(f"It is larger than {largest} bytes")
            try:
                out.write(piece)
            except OSError as error:
                raise _disk_error(error) from error
    return size


def _disk_error(error: OSError) -> Retry:
    return Retry("The gateway cannot save the file", detail=str(error.strerror))
