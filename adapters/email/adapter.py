"""The adapter: settings, and one inbox and one outbox for each channel."""

from __future__ import annotations

from collections.abc import Iterator
from email.policy import compat32

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from adapters.email.checks import check_login
from adapters.email.connections import Security, on_loopback
from adapters.email.files import Place
from adapters.email.inbox import Inbox
from adapters.email.incoming import placed, read_mail
from adapters.email.outbox import Outbox
from adapters.email.outgoing import LIMITS, write
from gateway.adapter import Adapter, ChannelConfig, Finding, Site, email_of
from gateway.bounded import Bounded, Overrun
from gateway.errors import Permanent
from gateway.model import Addressee, Attachment, Batch, Capabilities, Inbound, Part, Sent, Unread

IMAP_PORTS = {"ssl": 993, "starttls": 143, "plain": 143}
SMTP_PORTS = {"ssl": 465, "starttls": 587, "plain": 25}
ON_THE_WIRE = compat32.clone(linesep="\r\n")
MEMORY = 48
"""Megabytes that reading one mail may take. A mail with 4 MB of text needs two thirds of that."""


class Email(Adapter):
    class Config(ChannelConfig):
        address: str = Field(
            pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$", description="the mailbox's own address"
        )
        name: str = Field(default="", description="shown as sender when the agent's name is not")
        username: str = Field(default="", description="to log in with; by default the address")
        password: SecretStr = Field(
            description="for IMAP, and for SMTP unless smtp_password is set"
        )
        imap_host: str = Field(description="where mail is read")
        imap_port: int | None = Field(default=None, description="by default 993, or 143")
        imap_security: Security = Field(default="ssl", description="ssl, starttls or plain")
        folder: str = Field(default="INBOX", description="which folder is read")
        smtp_host: str = Field(description="where mail is sent")
        smtp_port: int | None = Field(default=None, description="by default 465, 587 or 25")
        smtp_security: Security = Field(default="starttls", description="ssl, starttls or plain")
        smtp_username: str = Field(default="", description="by default that for IMAP")
        smtp_password: SecretStr = Field(default=SecretStr(""), description="likewise")
        subject: str = Field(
            default="Your message", description="of mails that begin a conversation"
        )

        @field_validator("imap_security", "smtp_security")
        @classmethod
        def _no_password_in_the_clear(cls, security: Security, info: ValidationInfo) -> Security:
            host = info.data.get(f"{str(info.field_name)[:4]}_host", "")
            if security == "plain" and not on_loopback(host):
                raise ValueError(
                    "«plain» would send the password unencrypted over the network; it is allowed "
                    "only for a server on this machine. Use «ssl» or «starttls»"
                )
            return security

    config: Config
    account_settings = ("address", "folder")
    capabilities = Capabilities(threads=True, files=LIMITS, idempotent=True, age_limit=86400.0)
    deadline = 20.0
    """Seconds for each step of sending and of reading."""
    idle = 25.0
    """Seconds to wait for new mail in one poll."""

    def __init__(self, config: ChannelConfig, site: Site) -> None:
        super().__init__(config, site)
        own = self.config
        login = own.username or own.address
        self._inbox = self._new_inbox()
        self._bounded = Bounded(megabytes=MEMORY)
        self._outbox = Outbox(
            host=own.smtp_host,
            port=own.smtp_port or SMTP_PORTS[own.smtp_security],
            security=own.smtp_security,
            username=own.smtp_username or login,
            password=own.smtp_password if own.smtp_password.get_secret_value() else own.password,
            deadline=self.deadline,
        )

    def _new_inbox(self) -> Inbox:
        own = self.config
        return Inbox(
            host=own.imap_host,
            port=own.imap_port or IMAP_PORTS[own.imap_security],
            security=own.imap_security,
            username=own.username or own.address,
            password=own.password,
            folder=own.folder,
            deadline=self.deadline,
            idle=self.idle,
        )

    def poll(self, cursor: str | None) -> Batch:
        return self._inbox.poll(cursor)

    def read(self, unread: Unread) -> Iterator[Inbound]:
        """In a child process with limits: a few kilobytes of a mail can cost minutes and gigabytes.

        Raises `Permanent` for a mail that is too large, or costs too much.
        """
        mail = self._inbox.fetch(unread.content)
        if mail is None:  # moved or deleted meanwhile
            return
        try:
            inbound = self._bounded.call(
                read_mail, self.config.address, mail.content, is_whole=mail.is_whole
            )
        except Overrun as error:
            raise Permanent(f"{error}: it is in the mailbox, as {unread.content}") from error
        except RecursionError:
            reason = f"It is nested too deeply: it is in the mailbox, as {unread.content}"
            raise Permanent(reason) from None
        if inbound is not None:
            yield placed(inbound, unread.content)

    def open(self, attachment: Attachment) -> Iterator[bytes]:
        """Over a connection of its own: the one that is kept belongs to whoever polls."""
        inbox = self._new_inbox()
        try:
            yield from inbox.open(Place.read(attachment.id))
        finally:
            inbox.close()

    def address(self, to: Addressee) -> str:
        return email_of(to)

    def send(self, part: Part) -> Sent:
        own = self.config
        mail = write(part, address=own.address, name=own.name, subject=own.subject)
        self._outbox.send(own.address, part.peer, mail.as_bytes(policy=ON_THE_WIRE))
        return Sent(str(mail["Message-ID"]))

    def connect(self) -> str:
        """Log in to both servers, so that a wrong password shows at the start."""
        self._outbox.check()
        return f"{self.config.address}: {self._inbox.check()}"

    def check(self) -> Iterator[Finding]:
        yield check_login("reading", self._inbox.check)
        yield check_login("sending", self._outbox.check)

    def close(self) -> None:
        self._inbox.close()
        self._bounded.close()
        super().close()
