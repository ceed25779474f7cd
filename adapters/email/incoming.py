"""From a mail, however broken, to an `Inbound`. No mail is refused: what cannot be read is told to
the agent as such."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime

from adapters.email.capping import CAPPED
from adapters.email.files import MOST_FILES, attachments
from adapters.email.html import as_text
from adapters.email.threads import OwnIds, message_ids, shortened, token_of
from gateway.model import Inbound, Person
from gateway.storable import storable

UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MessageError,
    OSError,
    TypeError,
    ValueError,
)
"""What the standard library and the HTML reader have been seen to raise at broken mails."""

CHARSETS = {
    "ks_c_5601-1987": "cp949",
    "x-gbk": "gb18030",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso-8859-1": "cp1252",
    "us-ascii": "utf-8",
    "unicode-1-1-utf-7": "utf-7",
    "cp-850": "cp850",
    "x-sjis": "cp932",
    "iso-8859-8-i": "iso-8859-8",
}
"""Names that mails declare and Python does not know, or for which it takes the narrower meaning."""

NO_REPLY = re.compile(r"^(no|not|do-?not)[-_.]?reply", re.IGNORECASE)
NOBODY = "unknown@invalid"
"""The peer of a mail that names no sender (.invalid is reserved, RFC 2606)."""


LARGEST_BODY = 400_000
"""Bytes of one text in a mail that are read."""
LONGEST_TEXT = 90_000
"""Characters of a mail that are shown."""
CUT = "(… cut here. The whole e-mail is in the mailbox.)"


def read_mail(address: str, content: bytes, *, is_whole: bool) -> Inbound | None:
    """A mail in the mailbox `address`; None for one of our own that came back.

    Raises RecursionError if it is nested too deeply.
    """
    mail = message_from_bytes(content, policy=CAPPED)
    return Reader(address, knows_sizes=is_whole).read(mail)


def placed(inbound: Inbound, where: str) -> Inbound:
    """Its files, with all that `open` must know to find them again."""
    files = (replace(file, id=f"{where}:{file.id}") for file in inbound.attachments)
    return replace(inbound, attachments=tuple(files))


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the mails of the mailbox `address`."""

    address: str
    knows_sizes: bool = True
    """Whether the files of a mail are there whole."""

    def read(self, mail: Message) -> Inbound | None:
        """None for one of our own mails that came back."""
        try:
            return self._inbound(mail, _text(mail))
        except UNREADABLE:
            return self._placeholder(mail)

    def _inbound(self, mail: Message, text: str) -> Inbound | None:
        own = OwnIds.of(self.address)
        message_id = _message_id(mail, text)
        if own.thread_in(message_id):
            return None
        references = message_ids(_header(mail, "References"))
        in_reply_to = message_ids(_header(mail, "In-Reply-To"))
        name, address = _sender(mail)
        files = attachments(mail, _decoded)
        if not self.knows_sizes:
            files = [replace(file, size=None) for file in files]
        return Inbound(
            id=message_id,
            peer=address or NOBODY,
            text=_shown(text.strip(), len(files)),
            attachments=tuple(files[:MOST_FILES]),
            person=Person(name=name, email=address),
            thread=own.thread_of(message_id, references, in_reply_to),
            subject=_header(mail, "Subject"),
            reply_to=in_reply_to[-1] if in_reply_to else "",
            sent_at=_date(mail),
            context={
                "subject": _header(mail, "Subject"),
                "message_id": message_id,
                "references": " ".join(shortened(references or in_reply_to)),
            },
        )

    def _placeholder(self, mail: Message) -> Inbound:
        message_id = f"<{token_of(repr(list(mail.raw_items())))}@unreadable.invalid>"
        return Inbound(
            id=message_id,
            peer=NOBODY,
            text="(An e-mail could not be read. It is still in the mailbox.)",
            thread=token_of(message_id),
        )


def _shown(text: str, files: int) -> str:
    if files > MOST_FILES:
        left = f"({files - MOST_FILES} more files are in the mailbox.)"
        return f"{text}\n\n{left}".strip()
    return text if text or files else "(This e-mail has no text.)"


def _message_id(mail: Message, text: str) -> str:
    """Its own, or one made of what does not change when the mail is read again."""
    if found := message_ids(_header(mail, "Message-ID")):
        return found[0]
    made_of = (_header(mail, "Date"), _header(mail, "From"), _header(mail, "Subject"), text)
    return f"<{token_of(chr(0).join(made_of))}@no-message-id.invalid>"


def _sender(mail: Message) -> tuple[str, str]:
    """Name and address. Who answers a form's «no-reply» wants to reach its Reply-To."""
    writer = _first_address(mail, "From") or _first_address(mail, "Sender") or ("", "")
    if NO_REPLY.match(writer[1]) and (other := _first_address(mail, "Reply-To")):
        return other[0] or writer[0], other[1]
    return writer


def _first_address(mail: Message, header: str) -> tuple[str, str] | None:
    # Addresses are found before encoded words are decoded: a decoded name may hold a comma.
    for name, address in getaddresses(_raw(mail, header)):
        if "@" in address:
            return _decoded(name), address.lower()
    return None


def _header(mail: Message, name: str) -> str:
    """A header on one line, its encoded words (RFC 2047) decoded."""
    return _decoded(next(iter(_raw(mail, name)), ""))


def _raw(mail: Message, name: str) -> list[str]:
    """All headers of this name, each on one line; bytes outside ASCII are read as UTF-8."""
    values = (str(value) for key, value in mail.raw_items() if key.lower() == name.lower())
    read = (value.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for value in values)
    return [" ".join(value.split()) for value in read]


def _decoded(value: str) -> str:
    try:
        pieces = decode_header(value)
    except (MessageError, ValueError):  # broken base64 inside
        pieces = [(value, None)]
    text = "".join(
        piece if isinstance(piece, str) else decode(piece, charset or "utf-8")
        for piece, charset in pieces
    )
    return " ".join((text or value).split())


def _date(mail: Message) -> float | None:
    try:
        return parsedate_to_datetime(str(mail.get("Date", ""))).timestamp()
    except UNREADABLE:
        return None


def _text(mail: Message) -> str:
    """What was written, up to a limit. Attachments are left out."""
    text = _written(mail)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}\n\n{CUT}"


def _written(mail: Message) -> str:
    """The text/plain parts; without any, the HTML parts as text."""
    bodies = list(_bodies(mail))
    plain = [_content(part) for part in bodies if part.get_content_type() == "text/plain"]
    if any(text.strip() for text in plain):
        return "\n\n".join(text.strip() for text in plain)
    html = [_content(part) for part in bodies if part.get_content_type() == "text/html"]
    return "\n\n".join(as_text(text).strip() for text in html if text.strip())


def _bodies(mail: Message) -> Iterator[Message]:
    """The parts that were written to be read here: not the text of a mail that is attached."""
    if mail.get_content_maintype() == "multipart" and mail.is_multipart():
        for part in mail.get_payload():
            if isinstance(part, Message):
                yield from _bodies(part)
    elif mail.get_content_maintype() == "text" and mail.get_content_disposition() != "attachment":
        yield mail


def _content(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    # The HTML reader stops at what cannot be stored.
    text = storable(decode(payload[:LARGEST_BODY], part.get_content_charset("utf-8")))
    text = text.replace("\r\n", "\n")
    return text if len(payload) <= LARGEST_BODY else f"{text}\n\n{CUT}"


def decode(data: bytes, declared: str) -> str:
    """`data` by its declared charset, or as UTF-8, or with signs for what cannot be read."""
    name = declared.strip().strip("\"'").lower()
    for charset in (CHARSETS.get(name, name), "utf-8"):
        try:
            return data.decode(charset)
        except (LookupError, ValueError):
            continue
    return data.decode("cp1252" if name == "iso-8859-1" else "utf-8", errors="replace")
