"""The stand-in as tests and the page use it."""

from __future__ import annotations

import asyncio
import base64
import queue
import secrets
import threading
from collections.abc import Callable, Coroutine, Sequence
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import formataddr, formatdate, make_msgid
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from sandbox.faults import Fault, Faults, FaultyApplication, Kind
from sandbox.feed import Event, Feed
from sandbox.mail.imap import ImapServer
from sandbox.mail.smtp import Submission
from sandbox.server import Head, Reply, Server
from sandbox.state import StateFile

T = TypeVar("T")
PATIENCE = 10.0
"""Seconds that a call into the servers' thread may take."""


class MailStandIn:
    """One support mailbox over IMAP and SMTP, and the mailboxes of its customers.

    Both servers speak plain text on `host`; `user` and `password` open both. Faults match the
    methods LOGIN (paths «imap», «smtp»), FETCH (the mail's UID), RCPT and DATA (the recipient's
    address). Events of its
    feed: `mail`, with the mailbox it was delivered to.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        *,
        address: str = "support@shop.example",
        imap_port: int = 0,
        smtp_port: int = 0,
        control_port: int = 0,
        state_file: Path | None = None,
    ) -> None:
        self.address = address
        self.user = address
        self.imap_port = imap_port
        self.smtp_port = smtp_port
        self.faults = Faults()
        self.feed = Feed()
        self._state = StateFile(state_file)
        self._saved = self._state.load()
        self.password: str = self._saved.get("password") or secrets.token_urlsafe(12)
        self._lock = threading.Lock()
        self._mailboxes: dict[str, list[bytes]] = {
            owner: [base64.b64decode(mail) for mail in mails]
            for owner, mails in self._saved.get("customers", {}).items()
        }
        self._control = Server(FaultyApplication(_not_found, self.faults), control_port)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._thread: threading.Thread | None = None
        self._trouble: OSError | None = None

    @property
    def url(self) -> str:
        """Where faults are asked for by HTTP."""
        return self._control.url

    def start(self) -> None:
        """Raises OSError if a port is taken."""
        self.faults.start()
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(ready)), name="mail", daemon=True
        )
        self._thread.start()
        ready.wait()
        if self._trouble is not None:
            raise self._trouble
        self._control.start()

    def stop(self) -> None:
        self.faults.stop()
        self._control.stop()
        if self._loop is not None and self._thread is not None:
            self._run(self._save())
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(PATIENCE)
            self._loop = None

    def __enter__(self) -> MailStandIn:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def customer_writes(
        self,
        from_: str,
        name: str = "",
        subject: str = "",
        text: str = "",
        *,
        in_reply_to: str | None = None,
        files: Sequence[tuple[str, str, bytes]] = (),
        raw: bytes | None = None,
    ) -> str:
        """A customer's mail arrives in the support mailbox. Returns its Message-ID.

        `in_reply_to`: the Message-ID of a mail in the customer's own mailbox. `files`: name, type
        and bytes of each. `raw`: this mail, byte for byte, instead of one made from the other
        values.
        """
        if raw is None:
            composed = self._compose(from_, name, subject, text, in_reply_to)
            for file_name, content_type, data in files:
                main, _, sub = (content_type or "application/octet-stream").partition("/")
                composed.add_attachment(data, main, sub, filename=file_name)
        mail = raw if raw is not None else bytes(composed)
        self._run(self._deliver(self.address, mail))
        return str(_headers(mail)["Message-ID"] or "")

    def inbox_of(self, address: str) -> list[EmailMessage]:
        """The mails in a mailbox, the support's or a customer's, oldest first."""
        if address.lower() == self.address.lower():
            return [_parsed(mail) for mail in self._run(self._support_mails())]
        with self._lock:
            mails = list(self._mailboxes.get(address.lower(), ()))
        return [_parsed(mail) for mail in mails]

    def subscribe(self) -> queue.Queue[Event]:
        """A queue of everything that changes from now on."""
        return self.feed.subscribe()

    def refuse_logins(self, *, times: int | None = 1) -> None:
        """IMAP and SMTP say that the password is wrong."""
        self.faults.add(Fault(Kind.STATUS, method="LOGIN", times=times))

    def refuse_fetch_of_next(self) -> None:
        """IMAP hands the next mail that arrives over to nobody."""
        uid = self._run(self._imap.mailboxes.inbox.next_uid())
        self.faults.add(Fault(Kind.STATUS, "FETCH", str(uid), times=None))

    def refuse_recipient(
        self, address: str, status: int, text: str, *, times: int | None = 1
    ) -> None:
        """SMTP answers this recipient so: 451 for later, 550 for never."""
        self.faults.add(
            Fault(Kind.STATUS, "RCPT", address.lower(), times=times, status=status, body=text)
        )

    def drop_after_data(self, *, times: int | None = 1) -> None:
        """The next mail is lost, and the connection with it."""
        self.faults.add(Fault(Kind.DROP, "DATA", times=times))

    def lose_answer_to_data(self, *, times: int | None = 1) -> None:
        """The next mail is delivered, but its sender never hears of it."""
        self.faults.add(Fault(Kind.LOSE, "DATA", times=times))

    def cut_imap(self) -> None:
        """Break every IMAP connection."""
        self._run(self._cut())

    def renumber(self) -> None:
        """Give the mailbox a new UIDVALIDITY and new UIDs, and break every IMAP connection."""
        self._run(self._renumber())

    async def _serve(self, ready: threading.Event) -> None:
        self._stopping = asyncio.Event()
        self._imap = ImapServer(self.user, self.password, self.faults)
        loop = asyncio.get_running_loop()
        submission = Submission(self.user, self.password, self.faults, self._deliver)
        try:
            if self._saved:
                await self._imap.mailboxes.inbox.restore(self._saved["inbox"])
            imap = await self._imap.listen(self.imap_port)
            smtp = await loop.create_server(submission.protocol, self.host, self.smtp_port)
        except OSError as error:
            self._trouble = error
            ready.set()
            return
        self.imap_port = imap.sockets[0].getsockname()[1]
        self.smtp_port = smtp.sockets[0].getsockname()[1]
        self._loop = loop
        ready.set()
        async with imap, smtp:
            await self._stopping.wait()

    async def _deliver(self, address: str, mail: bytes) -> None:
        if address.lower() == self.address.lower():
            await self._imap.mailboxes.inbox.deliver(mail)
        else:
            with self._lock:
                self._mailboxes.setdefault(address.lower(), []).append(mail)
        await self._save()
        parsed = _headers(mail)
        self.feed.publish(
            {
                "type": "mail",
                "to": address.lower(),
                "from": str(parsed["From"] or ""),
                "subject": str(parsed["Subject"] or ""),
                "message_id": str(parsed["Message-ID"] or ""),
            }
        )

    async def _save(self) -> None:
        with self._lock:
            customers = {
                owner: [base64.b64encode(mail).decode() for mail in mails]
                for owner, mails in self._mailboxes.items()
            }
        inbox = await self._imap.mailboxes.inbox.dump()
        # Kept here too: without a file, the mails still survive a stop and a start.
        self._saved = {"password": self.password, "customers": customers, "inbox": inbox}
        self._state.save(self._saved)

    async def _support_mails(self) -> list[bytes]:
        return list(self._imap.mailboxes.inbox.raw.values())

    async def _cut(self) -> None:
        self._imap.cut()

    async def _renumber(self) -> None:
        await self._imap.mailboxes.renumber()
        self._imap.cut()
        await self._save()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the servers' thread. Raises RuntimeError if they are not running."""
        if self._loop is None:
            work.close()
            raise RuntimeError("the mail stand-in is not running: call start() first")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def _compose(
        self, from_: str, name: str, subject: str, text: str, in_reply_to: str | None
    ) -> EmailMessage:
        mail = EmailMessage(policy=policy.SMTP)
        mail["From"] = formataddr((name, from_))
        mail["To"] = self.address
        mail["Subject"] = subject
        mail["Date"] = formatdate(localtime=True)
        mail["Message-ID"] = make_msgid(domain=from_.rpartition("@")[2])
        if in_reply_to is not None:
            mail["In-Reply-To"] = in_reply_to
            mail["References"] = self._thread_so_far(from_, in_reply_to)
        mail.set_content(text)
        return mail

    def _thread_so_far(self, owner: str, message_id: str) -> str:
        """The thread so far, and the mail that is answered: RFC 5322, 3.6.4."""
        for mail in self.inbox_of(owner):
            if mail["Message-ID"] == message_id:
                return f"{mail['References'] or mail['In-Reply-To'] or ''} {message_id}".strip()
        return message_id


def _parsed(mail: bytes) -> EmailMessage:
    return message_from_bytes(mail, EmailMessage, policy=policy.default)


def _headers(mail: bytes) -> EmailMessage:
    """The mail without what is in it, which may be large."""
    head = mail.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    return _parsed(head + b"\n\n")


def _not_found(head: Head, read: Callable[[], bytes]) -> Reply:
    """There is nothing here but the control of faults."""
    return Reply(404)
