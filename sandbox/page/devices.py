"""The customers' devices: what they show, and what a customer does with them.

Every device shows a message as `id`, `mine` (the customer wrote it), `text`, `files`, `at` (Unix
seconds), and what only it has.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from email.message import EmailMessage, Message
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from sandbox.faults import Fault, Kind
from sandbox.mail import MailStandIn
from sandbox.page.files import PICTURES, PageFile, link
from sandbox.people import Customer
from sandbox.stand_ins import StandIns
from sandbox.telegram import TelegramStandIn
from sandbox.telegram.buttons import buttons_of
from sandbox.telegram.files import Upload, file_in
from sandbox.twilio import TwilioStandIn

JSON = dict[str, Any]
MAILBOX_UNAVAILABLE = 550


class Device(Protocol):
    """One kind of device; each customer of its channel has one."""

    address: str
    """What a customer writes to."""

    def welcome(self, customer: Customer) -> None:
        """A customer gets the device."""

    def messages(self, customer: Customer) -> list[JSON]:
        """What the customer sees, oldest first."""

    def write(
        self,
        customer: Customer,
        text: str,
        subject: str,
        files: Sequence[PageFile] = (),
        quoted: str = "",
    ) -> None:
        """The customer writes. `subject` begins a new thread, on devices that have threads;
        `quoted` is the id of the message that is answered, on those that quote."""

    def file(self, file_id: str) -> PageFile:
        """A file that the device shows. Raises LookupError if it does not exist."""

    def unreachable(self, customer: Customer) -> bool:
        """Whether what is sent to the customer is refused."""

    def refuse(self, customer: Customer) -> None:
        """From now on nothing reaches the customer."""

    def accept(self, customer: Customer) -> None:
        """Everything reaches the customer again."""


def devices_in(stand_ins: StandIns) -> Mapping[str, Device]:
    """By channel."""
    return {
        "telegram": TelegramApp(stand_ins.telegram),
        "sms": Phone(stand_ins.twilio),
        "email": MailProgram(stand_ins.mail),
    }


class TelegramApp:
    """Refusing means blocking the bot."""

    def __init__(self, telegram: TelegramStandIn) -> None:
        self.address = f"@{telegram.store.bot['username']}"
        self._telegram = telegram

    def welcome(self, customer: Customer) -> None:
        first, _, last = customer.name.partition(" ")
        self._telegram.greet(
            int(customer.id),
            first_name=first,
            last_name=last,
            username=first.lower(),
            language_code="en",
        )

    def messages(self, customer: Customer) -> list[JSON]:
        return [
            {
                "id": str(message["message_id"]),
                "mine": not message["from"]["is_bot"],
                "text": message.get("text", message.get("caption", "")),
                "entities": message.get("entities", message.get("caption_entities", [])),
                "files": self._files(message),
                "at": message["date"],
                "edited": "edit_date" in message,
                "quoted": message.get("reply_to_message", {}).get("text", ""),
                "buttons": self._buttons(int(customer.id), message),
            }
            for message in self._telegram.messages(int(customer.id))
        ]

    def _buttons(self, chat: int, message: JSON) -> list[JSON]:
        turns = self._telegram.presses.turns
        return [
            {
                "label": button["text"],
                "turns": turns(chat, message["message_id"], button["callback_data"]),
            }
            for button in buttons_of(message)
        ]

    def write(
        self,
        customer: Customer,
        text: str,
        subject: str,
        files: Sequence[PageFile] = (),
        quoted: str = "",
    ) -> None:
        """A file is a message of its own, with the text as its caption."""
        reply_to = int(quoted) if quoted.isdecimal() else None
        if not files:
            self._telegram.customer_says(int(customer.id), text, reply_to=reply_to)
        for file in files:
            kind = "photo" if file.content_type in PICTURES else "document"
            name = "" if kind == "photo" else file.name
            upload = Upload(file.data, name, file.content_type)
            self._telegram.customer_sends_file(
                int(customer.id), upload, kind=kind, caption=text, reply_to=reply_to
            )

    def file(self, file_id: str) -> PageFile:
        kept = self._telegram.files.find(file_id)
        return PageFile(kept.name, kept.content_type, kept.content)

    def _files(self, message: JSON) -> list[JSON]:
        if (found := file_in(message)) is None:
            return []
        kind, file_id = found
        kept = self._telegram.files.find(file_id)
        return [link("telegram", kept.id, kept.name or kind, kept.content_type)]

    def unreachable(self, customer: Customer) -> bool:
        return self._telegram.store.chat(int(customer.id)).blocked

    def refuse(self, customer: Customer) -> None:
        self._telegram.block(int(customer.id))

    def accept(self, customer: Customer) -> None:
        self._telegram.unblock(int(customer.id))


class Phone:
    """Refusing means that the phone is switched off: texts to it end as undelivered."""

    def __init__(self, twilio: TwilioStandIn) -> None:
        self.address = twilio.number
        self._twilio = twilio
        self._off: set[str] = set()

    def welcome(self, customer: Customer) -> None:
        """A phone needs nothing."""

    def messages(self, customer: Customer) -> list[JSON]:
        shown = []
        for message in self._twilio.messages():
            mine = message.from_ == customer.id
            arrived = message.to == customer.id and message.status == "delivered"
            if mine or arrived:
                files = [
                    link("sms", f"{message.sid}/{media.sid}", "media", media.content_type)
                    for media in message.media
                ]
                told = {"id": message.sid, "mine": mine, "text": message.body, "files": files}
                shown.append({**told, "at": message.created})
        return shown

    def write(
        self,
        customer: Customer,
        text: str,
        subject: str,
        files: Sequence[PageFile] = (),
        quoted: str = "",
    ) -> None:
        media = [(file.content_type, file.data) for file in files]
        self._twilio.customer_texts(customer.id, self._twilio.number, text, files=media)

    def file(self, file_id: str) -> PageFile:
        sid, _, wanted = file_id.partition("/")
        for media in self._twilio.message(sid).media:
            if media.sid == wanted:
                return PageFile("media", media.content_type, base64.b64decode(media.data))
        raise LookupError(file_id)

    def unreachable(self, customer: Customer) -> bool:
        return customer.id in self._off

    def refuse(self, customer: Customer) -> None:
        self._off.add(customer.id)
        self._twilio.let_fail(customer.id)

    def accept(self, customer: Customer) -> None:
        self._off.discard(customer.id)
        self._twilio.let_arrive(customer.id)


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
