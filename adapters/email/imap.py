"""Opening a connection to an IMAP server within a deadline, as smtplib's two lines do for SMTP."""

from __future__ import annotations

import imaplib

from imap_tools.mailbox import BaseMailBox

from adapters.email.connections import Security, verified_context, within


class Client(imaplib.IMAP4):
    """imaplib connects and is greeted in the constructor, so the deadline begins there."""

    def __init__(self, host: str, port: int, *, deadline: float) -> None:
        with within(deadline, lambda: getattr(self, "sock", None)):
            super().__init__(host, port, timeout=deadline)


class TLSClient(imaplib.IMAP4_SSL):
    """The same with TLS from the first byte."""

    def __init__(self, host: str, port: int, *, deadline: float) -> None:
        with within(deadline, lambda: getattr(self, "sock", None)):
            super().__init__(host, port, ssl_context=verified_context(), timeout=deadline)


class Mailbox(BaseMailBox):
    """imap-tools over a connection that is open already."""

    def __init__(self, client: imaplib.IMAP4) -> None:
        self._open_client = client
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        return self._open_client


def open_mailbox(host: str, port: int, security: Security, *, deadline: float) -> Mailbox:
    """A connection to `host`, encrypted as `security` says, not logged in yet.

    Raises OSError and imaplib.IMAP4.error. `deadline` in seconds, for each of the steps.
    """
    if security == "ssl":
        return Mailbox(TLSClient(host, port, deadline=deadline))
    client = Client(host, port, deadline=deadline)
    if security == "starttls":
        with within(deadline, lambda: client.sock):
            client.starttls(verified_context())
    return Mailbox(client)
