"""The stand-in as tests and the page use it."""

from __future__ import annotations

import base64
import json
import queue
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from sandbox.faults import Fault, FaultyApplication, Kind
from sandbox.feed import Event
from sandbox.server import Server
from sandbox.twilio.account import Account, CallbackOrder, new_sid
from sandbox.twilio.api import rest_api
from sandbox.twilio.errors import Refused
from sandbox.twilio.message import Media, Message
from sandbox.twilio.webhooks import TIMEOUT
from sandbox.web import wsgi

STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"})
START_WORDS = frozenset({"START", "YES", "UNSTOP"})


class TwilioStandIn(Account):
    """One Twilio account with one number, and the phones of its customers.

    Speaks the REST API below `{url}/2010-04-01/Accounts/{account_sid}`. Events of its feed:
    `message`, `status` and `alert` (a webhook that did not work).
    """

    def __init__(
        self,
        *,
        port: int = 0,
        state_file: Path | None = None,
        number: str = "+15550100001",
        sms_url: str = "",
        pace: float = 0.02,
        callback_order: CallbackOrder = CallbackOrder.KEPT,
        webhook_timeout: float = TIMEOUT,
    ) -> None:
        """`number` is the account's own; its incoming messages are announced to `sms_url`.
        `pace`: seconds between two statuses of a message.
        """
        super().__init__(
            state_file=state_file,
            number=number,
            pace=pace,
            callback_order=callback_order,
            webhook_timeout=webhook_timeout,
        )
        self.sms_url = sms_url
        self._server = Server(FaultyApplication(wsgi(rest_api(self)), self.faults), port)

    @property
    def url(self) -> str:
        """In place of https://api.twilio.com."""
        return self._server.url

    def start(self) -> None:
        self.faults.start()
        self._webhooks = self._new_webhooks()
        self._server.start()

    def stop(self) -> None:
        self.faults.stop()
        self._server.stop()
        self._webhooks.close()
        self._save()

    def __enter__(self) -> TwilioStandIn:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def customer_texts(
        self, from_: str, to: str, body: str, *, files: Sequence[tuple[str, bytes]] = ()
    ) -> str:
        """A phone sends a text to one of the account's numbers, with `files` (content type and
        bytes) as an MMS. Returns its sid.

        STOP and START are understood as Twilio does by default, and announced like any other text.
        https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out
        """
        word = body.strip().upper()
        if word in STOP_WORDS:
            self.opt_out(from_)
        elif word in START_WORDS:
            self.opt_in(from_)
        now = time.time()
        message = Message(
            new_sid("MM" if files else "SM"),
            self.account_sid,
            "inbound",
            from_,
            to,
            body,
            "received",
            now,
            now,
            now,
            media=tuple(
                Media(new_sid("ME"), kind, base64.b64encode(data).decode()) for kind, data in files
            ),
        )
        self._keep(message)
        if self.sms_url and to == self.number:
            self._webhooks.announce(self.sms_url, message, self.url)
        return message.sid

    def refuse(self, status: int, code: int, message: str, *, times: int | None = 1) -> None:
        """Answer the next messages with an error in Twilio's words: 429, 20429 for instance."""
        self.faults.add(
            Fault(
                Kind.STATUS,
                method="POST",
                path="/2010-04-01/*",
                times=times,
                status=status,
                body=json.dumps(Refused(status, code, message).answer()),
                content_type="application/json",
            )
        )

    def subscribe(self) -> queue.Queue[Event]:
        """A queue of everything that changes from now on."""
        return self.feed.subscribe()
