"""An agent's files at hand while a part of the reply is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.adapter import Adapter
from gateway.chatwoot.downloads import Downloads, NotThere
from gateway.chatwoot.files import LinkedFile
from gateway.errors import Permanent
from gateway.files.scratch import Scratch
from gateway.lanes import Taken
from gateway.model import File, Part
from gateway.relay.to_network.parts import with_links
from gateway.text import Rich

LATE_SECONDS, LATE_ATTEMPTS = 120.0, 5
"""How long Chatwoot may take to store a file after it told of the message, and how often it is
asked at least: then the reply is failed, for it holds up the conversation."""


@dataclass(frozen=True, slots=True)
class AgentFiles:
    """Fetches the files of one channel's replies, part by part."""

    downloads: Downloads
    scratch: Scratch
    adapter: Adapter
    limit: int
    """The most bytes of one file that are fetched for any network."""

    @property
    def largest(self) -> int:
        """The most bytes of one file that the channel can send."""
        limits = self.adapter.capabilities.files
        return min(self.limit, limits.largest) if limits else 0

    @contextmanager
    def fetch_all(self, part: Part, files: Sequence[LinkedFile], taken: Taken) -> Iterator[Part]:
        """`part` with its files, which are gone afterwards.

        What turns out to be too large, or lies where the gateway does not go, becomes a link.
        Raises a plain `Retry`, or `Permanent` if Chatwoot has not handed a file out for too long.
        """
        if not files:
            yield part
            return
        with self.scratch.room() as room:
            yield self._load_all(part, files, taken, room)

    def _load_all(self, part: Part, files: Sequence[LinkedFile], taken: Taken, room: Path) -> Part:
        fetched: list[File] = []
        links: list[LinkedFile] = []
        for number, file in enumerate(files):
            try:
                fetched.append(self.downloads.fetch(file, room / str(number), self.largest))
            except NotThere as late:
                if taken.age < LATE_SECONDS or taken.attempts <= LATE_ATTEMPTS:
                    raise
                raise Permanent(late.reason, detail=late.detail) from late
            except Permanent:
                links.append(file)
        rich = with_links(Rich(part.text, part.spans), links)
        return replace(part, text=rich.text, spans=rich.spans, files=tuple(fetched))
