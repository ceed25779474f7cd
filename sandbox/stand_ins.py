"""The stand-ins together: a Chatwoot, a Telegram, a Twilio and a mail provider on loopback."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sandbox.chatwoot import ChatwootStandIn
from sandbox.mail import MailStandIn
from sandbox.ports import Ports
from sandbox.telegram import TelegramStandIn
from sandbox.twilio import TwilioStandIn


class StandIns:
    """All that the gateway talks to. Its state is kept in `folder`.

    Raises ValueError, KeyError or TypeError if a file there is damaged.
    """

    def __init__(self, folder: Path, ports: Ports) -> None:
        self.chatwoot = ChatwootStandIn(port=ports.chatwoot, state_file=folder / "chatwoot.json")
        self.telegram = TelegramStandIn(
            port=ports.telegram,
            state_file=folder / "telegram.json",
            username="corner_shop_bot",
            # The real one waits longer between attempts, which is tedious to watch.
            push_delays=(0.1, 2.0),
        )
        self.twilio = TwilioStandIn(port=ports.twilio, state_file=folder / "twilio.json", pace=0.4)
        self.mail = MailStandIn(
            imap_port=ports.imap, smtp_port=ports.smtp, state_file=folder / "mail.json"
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """All of them listen. Raises OSError if a port is taken."""
        with self.chatwoot, self.telegram, self.twilio, self.mail:
            yield
