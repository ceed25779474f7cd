"""From a `Part` to a mail: plain text, files, our own Message-ID, and the headers that hold the
thread."""

from __future__ import annotations

import re
from email.charset import QP, Charset
from email.encoders import encode_base64
from email.header import Header
from email.message import Message
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.utils import formataddr, formatdate

from adapters.email.threads import OwnIds, message_ids, shortened
from gateway.errors import Permanent
from gateway.model import File, FileLimits, Part

LIMITS = FileLimits(largest=18_000_000, per_part=15)
"""Most providers take mails of 25 MB, and a file grows by a third in a mail."""
CONTENT_TYPE = re.compile(r"(?!message/|multipart/)([\w.+-]+)/([\w.+-]+)", re.ASCII)
"""What a file may be called in a mail: the other two would have to be taken apart."""

ANSWERED = re.compile(r"^\s*(re|aw|sv|antw|rép|ref|回复|回覆)\s*(\[\d+\])?\s*[:：]", re.IGNORECASE)
"""«Re:» as mail programs of several countries write it."""
ADDRESS = re.compile(r"[^@\s<>,;:\"()\x00-\x1f]+@[^@\s<>,;:\"()\x00-\x1f]+")


def write(part: Part, *, address: str, name: str, subject: str) -> Message:
    """The mail for `part`. Raises `Permanent` if the peer is not a valid e-mail address, or the
    files are too much for one mail."""
    if not ADDRESS.fullmatch(part.peer) or not part.peer.isascii():
        raise Permanent(f"{part.peer!r} is not a valid e-mail address")
    mail = _with_files(part) if part.files else _body(part.text)
    mail["From"] = formataddr((_one_line(part.sender or name), address), charset="utf-8")
    mail["To"] = part.peer
    mail["Subject"] = _encoded(_subject(part, subject), "Subject")
    mail["Date"] = formatdate()
    mail["Message-ID"] = OwnIds.of(address).make(part.thread, part.id)
    _thread(mail, part)
    return mail


def _body(text: str) -> Message:
    charset = Charset("utf-8")
    charset.body_encoding = QP
    mail = MIMENonMultipart("text", "plain", charset="utf-8")
    mail.set_payload(text, charset)
    return mail


def _with_files(part: Part) -> Message:
    if (total := sum(file.size for file in part.files)) > LIMITS.largest:
        raise Permanent(
            f"The files have {total / 1e6:.0f} MB together, and an e-mail carries at most "
            f"{LIMITS.largest / 1e6:.0f} MB: send them one by one"
        )
    mail = MIMEMultipart("mixed")
    if part.text:
        mail.attach(_body(part.text))
    for file in part.files:
        mail.attach(_file(file))
    return mail


def _file(file: File) -> MIMEBase:
    kind = CONTENT_TYPE.fullmatch(file.content_type.partition(";")[0].strip().lower())
    attached = MIMEBase(*kind.groups()) if kind else MIMEBase("application", "octet-stream")
    attached.set_payload(file.path.read_bytes())
    encode_base64(attached)
    name = _one_line(file.name)
    # Outside ASCII as RFC 2231 says.
    told = name if name.isascii() else ("utf-8", "", name)
    attached.add_header("Content-Disposition", "attachment", filename=told)
    return attached


def _thread(mail: Message, part: Part) -> None:
    answered = message_ids(part.context.get("message_id", ""))[:1]
    references = shortened([*message_ids(part.context.get("references", "")), *answered])
    if answered:
        mail["In-Reply-To"] = answered[0]
    if references:
        mail["References"] = "\n ".join(references)


def _subject(part: Part, otherwise: str) -> str:
    if not part.context.get("message_id"):
        return _one_line(otherwise)
    subject = _one_line(part.context.get("subject", ""))
    return subject if ANSWERED.match(subject) else f"Re: {subject}".strip()


def _encoded(text: str, name: str) -> str:
    return Header(text, None if text.isascii() else "utf-8", header_name=name).encode()


def _one_line(text: str) -> str:
    """A line break in a header would begin a header of the writer's choice."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
