"""E-mail channels for tests, and the mails that they read."""

from __future__ import annotations

from typing import Any

from adapters.email import Email
from adapters.email.incoming import read_mail
from gateway.adapter import Site
from gateway.model import Inbound
from gateway.runtime import Runtime

PASSWORD = "mailboxsecret"
ADDRESS = "support@shop.example"


def channel(*, deadline: float = 10.0, idle: float = 0.2, **settings: Any) -> Email:
    """A channel whose waiting is short enough for a test."""
    kind: type[Email] = type("Timed", (Email,), {"deadline": deadline, "idle": idle})
    given = {
        "adapter": "email",
        "inbox": 1,
        "address": ADDRESS,
        "password": PASSWORD,
        "imap_host": "127.0.0.1",
        "imap_security": "plain",
        "smtp_host": "127.0.0.1",
        "smtp_security": "plain",
        **settings,
    }
    site = Site("mail", "https://gw.example/channels/mail/webhook", "s", Runtime())
    return kind(kind.Config(**given), site)


def read(mail: bytes) -> Inbound:
    """What the channel makes of a mail. Fails if it drops it."""
    inbound = read_mail(ADDRESS, mail, is_whole=True)
    assert inbound is not None
    return inbound


def mail(text: bytes | str = "Hello", **headers: str) -> bytes:
    """A mail as it comes over the wire. Header names with «_» for «-»."""
    given = {
        "From": "Anna Smith <Anna@Customer.example>",
        "Subject": "Parcel",
        "Date": "Tue, 20 Jan 2026 10:00:00 +0100",
        "Message_ID": "<m1@customer.example>",
        **headers,
    }
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in given.items() if value]
    body = text if isinstance(text, bytes) else text.encode()
    return "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + body
