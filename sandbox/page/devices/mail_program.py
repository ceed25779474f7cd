"""A customer's mail program."""

from __future__ import annotations

from collections.abc import Sequence
from email.message import EmailMessage, Message
from email.utils import parsedate_to_datetime

from sandbox.faults import Fault, Kind
from sandbox.mail import MailStandIn
from sandbox.page.devices.device import JSON
from sandbox.page.files import PageFile, link
from sandbox.people import Customer

MAILBOX_UNAVAILABLE = 550


class MailProgram:
    """Refusing means that the mailbox is full."""

    def __init__(self, mail: MailStandIn) -> None:
        self.address = mail.address
        self._mail = mail
        self._full: set[str] = set()

    def welcome(self, customer: Customer) -> None:
        """The mailbox comes into being with its first mail."""

    def messages(self, customer: Customer) -> list[JSON]:
        support, own = self._mail.address, customer.id
        written = [_shown(mail, support, mine=True) for mail in self._mails_from(customer)]
        got = [_shown(mail, own, mine=False) for mail in self._mail.inbox_of(own)]
        return sorted(written + got, key=lambda shown: (shown["at"], not shown["mine"]))

    def write(
        self,
        customer: Customer,
        text: str,
        subject: str,
        files: Sequence[PageFile] = (),
        quoted: str = "",
    ) -> None:
        """Without a subject: an answer to the newest mail, if there is one."""
        got = self._mail.inbox_of(customer.id)
        answered = got[-1] if got and not subject else None
        if answered is not None:
            subject = _reply_subject(str(answered["Subject"] or ""))
        self._mail.customer_writes(
            customer.id,
            customer.name,
            subject or "A question",
            text,
            in_reply_to=str(answered["Message-ID"]) if answered is not None else None,
            files=[(file.name, file.content_type, file.data) for file in files],
        )

    def file(self, file_id: str) -> PageFile:
        """The id is the mailbox, the mail's Message-ID, and the file's number in the mail."""
        owner, _, rest = file_id.partition("/")
        message_id, _, number = rest.rpartition("/")
        for mail in self._mail.inbox_of(owner):
            if mail["Message-ID"] == message_id:
                return _file(list(mail.iter_attachments())[int(number)])
        raise LookupError(file_id)

    def unreachable(self, customer: Customer) -> bool:
        return customer.id in self._full

    def refuse(self, customer: Customer) -> None:
        self._full.add(customer.id)
        self._set_faults()

    def accept(self, customer: Customer) -> None:
        self._full.discard(customer.id)
        self._set_faults()

    def _set_faults(self) -> None:
        self._mail.faults.clear()
        for address in sorted(self._full):
            self._mail.faults.add(
                Fault(
                    Kind.STATUS,
                    "RCPT",
                    address,
                    times=None,
                    status=MAILBOX_UNAVAILABLE,
                    body="5.2.2 Mailbox full",
                )
            )

    def _mails_from(self, customer: Customer) -> list[EmailMessage]:
        mails = self._mail.inbox_of(self._mail.address)
        return [mail for mail in mails if customer.id in str(mail["From"] or "")]


def _file(part: Message) -> PageFile:
    data = part.get_payload(decode=True)
    content = data if isinstance(data, bytes) else b""
    return PageFile(part.get_filename("file"), part.get_content_type(), content)


def _shown(mail: EmailMessage, owner: str, *, mine: bool) -> JSON:
    body = mail.get_body(("plain",))
    text = body.get_content() if body is not None else ""
    return {
        "id": str(mail["Message-ID"]),
        "mine": mine,
        "text": text.strip(),
        "files": [
            link("email", f"{owner}/{mail['Message-ID']}/{number}", file.name, file.content_type)
            for number, file in enumerate(map(_file, mail.iter_attachments()))
        ],
        "subject": str(mail["Subject"] or ""),
        "from": str(mail["From"] or ""),
        "at": parsedate_to_datetime(mail["Date"]).timestamp() if mail["Date"] else 0.0,
    }


def _reply_subject(subject: str) -> str:
    return subject if subject.lower().startswith("re:") else f"Re: {subject}"
