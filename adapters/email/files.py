"""The files in a mail: which there are, and what IMAP calls them.

An IMAP server numbers the parts of a mail as RFC 3501, 6.4.5 says: «2.1» is the first part of the
second one. A file is so fetched by itself, when it is needed.
"""

from __future__ import annotations

import binascii
import mimetypes
import quopri
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.errors import MessageError
from email.message import Message

from gateway.model import Attachment

MOST_FILES = 50
SHOWN_AS_TEXT = frozenset({"text/plain", "text/html"})
LONGEST_NAME = 120
ENCODING = re.compile(r"[a-z0-9-]{1,20}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file is: a part of a mail in a folder, and how it is encoded there."""

    validity: int
    uid: int
    section: str
    encoding: str
    """The Content-Transfer-Encoding in lower case; empty for none."""

    def __str__(self) -> str:
        return f"{self.validity}:{self.uid}:{self.section}:{self.encoding}"

    @classmethod
    def read(cls, text: str) -> Place:
        """Raises ValueError if `text` is not a place."""
        validity, uid, section, encoding = text.split(":")
        return cls(int(validity), int(uid), section, encoding)


def attachments(mail: Message, decoded: Callable[[str], str]) -> list[Attachment]:
    """All files of a mail, pictures within the text too, with section and encoding as the id.

    `decoded` reads the encoded words of RFC 2047, in which many programs write names.
    """
    return [
        Attachment(f"{section}:{_encoding(part)}", *_told(part, decoded))
        for section, part in _files(mail)
    ]


def _files(mail: Message, section: str = "") -> Iterator[tuple[str, Message]]:
    """A mail that is attached is one file, not those within it."""
    if mail.get_content_maintype() == "multipart" and mail.is_multipart():
        prefix = f"{section}." if section else ""
        for number, part in enumerate(mail.get_payload(), start=1):
            if isinstance(part, Message):
                yield from _files(part, f"{prefix}{number}")
    elif (
        mail.get_content_type() not in SHOWN_AS_TEXT
        or mail.get_content_disposition() == "attachment"
    ):
        yield section or "1", mail


def _told(part: Message, decoded: Callable[[str], str]) -> tuple[str, str, int | None]:
    """Name, content type and size."""
    kind = part.get_content_type()
    payload = None if part.is_multipart() else part.get_payload(decode=True)
    size = len(payload) if isinstance(payload, bytes) else None
    return _name(part, decoded) or _unnamed(part, kind, decoded), kind, size


def _name(part: Message, decoded: Callable[[str], str]) -> str:
    try:
        given = decoded(str(part.get_filename("")))  # RFC 2231 is read by the library
    except (MessageError, LookupError, TypeError, ValueError):
        return ""
    last = re.split(r"[/\\]", given)[-1]
    return "".join(sign for sign in last if sign.isprintable()).strip(". ")[:LONGEST_NAME]


def _unnamed(part: Message, kind: str, decoded: Callable[[str], str]) -> str:
    inner = part.get_payload(0) if kind == "message/rfc822" and part.is_multipart() else None
    if isinstance(inner, Message):
        subject = re.sub(r"[/\\]", " ", decoded(str(inner.get("Subject", ""))))
        return f"{subject[:LONGEST_NAME].strip('. ') or 'mail'}.eml"
    return f"attachment{mimetypes.guess_extension(kind) or ''}"


def _encoding(part: Message) -> str:
    found = ENCODING.fullmatch(str(part.get("Content-Transfer-Encoding", "")).strip().lower())
    return "" if found is None or part.is_multipart() else found[0]


def decode(content: bytes, encoding: str) -> bytes:
    """The bytes of a file as they were before they were put into a mail (RFC 2045, 6)."""
    if encoding == "base64":
        try:
            return binascii.a2b_base64(content + b"==")  # a lost end must not cost the whole file
        except binascii.Error:
            return content
    return quopri.decodestring(content) if encoding == "quoted-printable" else content
