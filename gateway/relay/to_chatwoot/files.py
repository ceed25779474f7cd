"""A customer's files at hand while the message is posted, and the words for those that are not.

A text that is longer than a message of Chatwoot may be is one of the files.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from gateway.adapter import Adapter
from gateway.chatwoot.files import MOST_FILES
from gateway.chatwoot.limits import CUT_NOTE, LONGEST_CONTENT, fitting
from gateway.errors import DeliveryError, LeaseLost, Permanent, Retry
from gateway.files.names import content_type_of, safe_name
from gateway.files.saving import TooLarge, save
from gateway.files.scratch import Scratch
from gateway.lanes import Taken, ids
from gateway.model import Attachment, File, Inbound
from gateway.observability import logs
from gateway.relay.to_chatwoot.quoting import with_quotation

SECONDS = 120.0
"""The longest that one file may take."""
ATTEMPTS = 3
"""How often the network is asked for a file that it may have later."""
MEGABYTE = 1024 * 1024
TEXT_FILE = "message.txt"
CONTINUED = f"\n\n[continued: the whole text is in the attached file {TEXT_FILE}]"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Share:
    """What one message in Chatwoot holds of a customer's message. Nearly always all of it."""

    number: int
    total: int
    source: str
    """Its source id."""
    text: str
    attachments: tuple[Attachment, ...]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What is at hand of a share: its text, its files, and a line for each that is not."""

    text: str
    files: tuple[File, ...] = ()
    lines: tuple[str, ...] = ()
    whole: File | None = None
    """The text as a file, if a message cannot hold it."""

    @property
    def content(self) -> str:
        """The text of the message, never longer than Chatwoot takes."""
        return fitting(self.text, self._last, note=CONTINUED if self.whole else CUT_NOTE)

    @property
    def attached(self) -> tuple[File, ...]:
        return (self.whole, *self.files) if self.whole else self.files

    @property
    def too_long(self) -> bool:
        return len(self.text) + len(self._last) > LONGEST_CONTENT

    @property
    def _last(self) -> str:
        lines = "\n".join(self.lines)
        return f"\n{lines}" if lines and self.text else lines

    def left_out(self, why: str) -> Fetched:
        """The same with less to attach: without the customer's files, then without its text."""
        if not self.files:
            return replace(self, whole=None)
        named = tuple(_line(file.name, why) for file in self.files)
        return replace(self, files=(), lines=self.lines + named)


@dataclass(frozen=True, slots=True)
class CustomerFiles:
    """Fetches the files of one channel's customers."""

    adapter: Adapter
    scratch: Scratch
    limit: int
    """The most bytes that Chatwoot takes, in one file and in one message."""

    def shares(self, channel: str, message: Inbound, text: str) -> list[Share]:
        """The messages that a customer's message becomes; the same ones at every attempt."""
        longest = len(with_quotation(message.quoted, text))
        whole = len(text.encode()) if longest > LONGEST_CONTENT else 0
        groups = list(_groups(message.attachments, self.limit, whole))
        total, seen, shares = len(groups), 0, []
        for number, group in enumerate(groups, start=1):
            last = seen + len(group)
            which = f"files {seen + 1} to {last}" if len(group) > 1 else f"file {last}"
            words = f"({which} of {len(message.attachments)}, continued)"
            source = ids.source_id(channel, message.id, number)
            shares.append(Share(number, total, source, text if number == 1 else words, group))
            seen = last
        return shares

    @contextmanager
    def fetch_all(self, share: Share, taken: Taken) -> Iterator[Fetched]:
        """The share's files, which are gone afterwards.

        Raises `Retry` while it is worth asking the network again; what cannot be had is a line.
        """
        fetched = Fetched(share.text)
        if not share.attachments and not fetched.too_long:
            yield fetched
            return
        with self.scratch.room() as room:
            fetched = self._fetch_each(share, taken, room)
            yield self._save_whole_text(fetched, room) if fetched.too_long else fetched

    def _fetch_each(self, share: Share, taken: Taken, room: Path) -> Fetched:
        files, lines = [], []
        for number, attachment in enumerate(share.attachments):
            try:
                files.append(self.fetch(attachment, room / str(number)))
            except DeliveryError as error:
                if not isinstance(error, Permanent) and taken.attempts < ATTEMPTS:
                    # Not the error itself: it would be taken for trouble with Chatwoot.
                    raise Retry(error.reason, detail=error.detail) from error
                lines.append(_line(_name(attachment), error.reason))
        return Fetched(share.text, tuple(files), tuple(lines))

    def _save_whole_text(self, fetched: Fetched, room: Path) -> Fetched:
        path = room / "text"
        try:
            size = save([fetched.text.encode()], path, self.limit)
        except TooLarge:
            return fetched
        return replace(fetched, whole=File(TEXT_FILE, "text/plain", size, path))

    def fetch(self, attachment: Attachment, path: Path) -> File:
        """One file, saved at `path`. Raises a `DeliveryError`: `TooLarge` or another `Permanent` if
        it cannot be had."""
        largest = f"larger than {self.limit / MEGABYTE:g} MB"
        if attachment.size is not None and attachment.size > self.limit:
            raise TooLarge(largest)
        try:
            pieces = _until(monotonic() + SECONDS, self.adapter.open(attachment))
            size = save(pieces, path, self.limit)
        except TooLarge as error:
            raise TooLarge(largest) from error
        except NotImplementedError as error:
            raise Permanent("this channel cannot fetch files") from error
        except (DeliveryError, LeaseLost):
            raise
        except Exception as error:
            # A fault in an adapter costs the file, not the message.
            logs.event(log, "delivery_crashed", level=logging.ERROR, error=error, file=path.name)
            raise Permanent("a fault in the gateway stopped it, see the gateway's log") from error
        name = _name(attachment)
        return File(name, content_type_of(name, attachment.content_type), size, path)


def _until(end: float, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if monotonic() > end:
            raise Retry("it came too slowly")
        yield piece


def _groups(
    attachments: Sequence[Attachment], limit: int, text: int
) -> Iterator[tuple[Attachment, ...]]:
    """As many together as one message of Chatwoot takes; at least one group, perhaps empty.

    `text`: the bytes of the text, if it goes with the first group as a file.
    """
    group: list[Attachment] = []
    count, size = (1, text) if text else (0, 0)
    for attachment in attachments:
        more = attachment.size or 0
        if group and (count == MOST_FILES or size + more > limit):
            yield tuple(group)
            group, count, size = [], 0, 0
        group.append(attachment)
        count, size = count + 1, size + more
    yield tuple(group)


def _name(attachment: Attachment) -> str:
    return safe_name(attachment.name, attachment.content_type)


def _line(name: str, why: str) -> str:
    return f"[{name} could not be fetched: {why}]"
