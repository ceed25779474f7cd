"""How a reply becomes calls: which of its files can go along, and which texts go with them.

The same reply always gives the same parts: a part that is done is known by its number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway import text
from gateway.chatwoot.files import LinkedFile
from gateway.model import Capabilities, FileLimits
from gateway.text import Rich


@dataclass(frozen=True, slots=True)
class Piece:
    """What one call is to carry; its files are still to be fetched."""

    number: int
    total: int
    text: Rich
    files: tuple[LinkedFile, ...]


def planned(
    rich: Rich, files: Sequence[LinkedFile], able: Capabilities, largest: int
) -> list[Piece]:
    """The parts of a reply, in order; none if there is nothing in it.

    `largest`: the most bytes of one file that are fetched. A file that is larger, or of a kind that
    the network does not take, becomes a line with its address.
    """
    calls = list(_calls(rich, files, able, largest))
    return [Piece(number, len(calls), *call) for number, call in enumerate(calls, start=1)]


def takes(limits: FileLimits, largest: int, file: LinkedFile) -> bool:
    """Whether a network takes a file, by what is known of it before it is fetched."""
    kind = file.content_type.partition("/")[0]
    fits = file.size is None or file.size <= min(limits.largest, largest)
    return fits and (not limits.types or bool({file.content_type, kind} & limits.types))


def with_links(rich: Rich, files: Sequence[LinkedFile]) -> Rich:
    """The text, and below it a line for each file that does not go along."""
    lines = "\n".join(f"{file.name}: {file.url}" for file in files)
    gap = "\n" if lines and rich.text.strip() else ""
    return Rich.joined([rich if rich.text.strip() else Rich(""), Rich(gap + lines)])


def _calls(
    rich: Rich, files: Sequence[LinkedFile], able: Capabilities, largest: int
) -> Iterator[tuple[Rich, tuple[LinkedFile, ...]]]:
    limits = able.files
    going = [file for file in files if limits and takes(limits, largest, file)]
    whole = with_links(rich, [file for file in files if file not in going])
    if limits is None or not going or not _is_caption(whole, able, limits):
        texts = text.split(whole, able.text_limit, able.text_unit) if whole.text.strip() else []
        yield from ((piece, ()) for piece in texts)
        whole = Rich("")
    size = limits.per_part if limits else 1
    for start in range(0, len(going), size):
        yield (Rich("") if start else whole), tuple(going[start : start + size])


def _is_caption(rich: Rich, able: Capabilities, limits: FileLimits) -> bool:
    length = text.length(rich.text, able.text_unit)
    most = [limit for limit in (limits.caption, able.text_limit) if limit is not None]
    return length <= min(most, default=length)
