"""What was fed and what arrived, written down as it happens, in a file: memory stays flat."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from faults.verdict import Fed


class Message(NamedTuple):
    """Which message: its stream (one conversation, one direction) and its number there."""

    stream: str
    number: int


@dataclass(slots=True)
class Stream:
    """What the notes say of one stream."""

    fed: dict[int, Fed] = field(default_factory=dict)
    arrived: list[tuple[int, str]] = field(default_factory=list)
    """Number and, of a reply, under which id it came to the network."""


class Notes:
    """One line for each thing that happened. Threads may share it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Each line is one write to the end of the file: it is there whatever becomes of us.
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o600)

    def note_fed(self, message: Message, at: float) -> None:
        """Before the gateway can have heard of it."""
        self._write("fed", message, at)

    def note_begun(self, message: Message, at: float) -> None:
        """From now on the gateway may have heard of it: the first attempt to tell it begins."""
        self._write("begun", message, at)

    def note_told(self, message: Message, at: float) -> None:
        """The gateway has said «200»."""
        self._write("told", message, at)

    def note_arrived(self, message: Message, name: str) -> None:
        self._write("arrived", message, name)

    def close(self) -> None:
        os.close(self._file)

    def streams(self) -> Mapping[str, Stream]:
        """All that was written down, by stream."""
        found: dict[str, Stream] = {}
        begun = set[Message]()
        for what, message, value in self._read():
            stream = found.setdefault(message.stream, Stream())
            if what == "arrived":
                stream.arrived.append((message.number, value))
            elif what == "fed":
                stream.fed[message.number] = Fed(float(value))
            elif what == "told":
                known = stream.fed[message.number]
                stream.fed[message.number] = replace(known, told=min(known.told, float(value)))
            elif message not in begun:
                begun.add(message)
                known = stream.fed[message.number]
                stream.fed[message.number] = replace(known, begun=float(value))
        return found

    def _write(self, what: str, message: Message, value: object) -> None:
        line = f"{what}\t{message.stream}\t{message.number}\t{value}\n"
        os.write(self._file, line.encode())

    def _read(self) -> Iterator[tuple[str, Message, str]]:
        with self._path.open(encoding="utf-8") as lines:
            for line in lines:
                what, stream, number, value = line.rstrip("\n").split("\t")
                yield what, Message(stream, int(number)), value
