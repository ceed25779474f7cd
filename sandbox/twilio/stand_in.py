"""The stand-in as tests and the page use it."""

from __future__ import annotations

import base64
import json
import queue
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any

import phonenumbers

from sandbox.faults import Fault, Faults, FaultyApplication, Kind
from sandbox.feed import Event, Feed
from sandbox.server import Server
from sandbox.state import StateFile
from sandbox.twilio.api import rest_api
from sandbox.twilio.errors import Refused, bad_request
from sandbox.twilio.message import Media, Message
from sandbox.twilio.webhooks import TIMEOUT, Webhooks, status_form
from sandbox.web import wsgi

LONGEST_BODY = 1600
STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"})
START_WORDS = frozenset({"START", "YES", "UNSTOP"})
REASONS = {
    30003: "Unreachable destination handset",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Message filtered",
    30008: "Unknown error",
}


class CallbackOrder(StrEnum):
    """In which order a message's status callbacks arrive: Twilio promises none."""

    KEPT = "kept"
    REVERSED = "reversed"


class TwilioStandIn:
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
        self.account_sid = _sid("AC")
        self.auth_token = secrets.token_hex(16)
        self.api_key = _sid("SK")
        self.api_secret = secrets.token_urlsafe(24)
        self.messaging_service_sid = _sid("MG")
        self.number = number
        self.account_status = "active"
        self.sms_url = sms_url
        self.callback_order = callback_order
        self.faults = Faults()
        self.feed = Feed()
        self._pace = pace
        self._webhook_timeout = webhook_timeout
        self._lock = threading.RLock()
        self._messages: dict[str, Message] = {}
        self._opted_out: set[str] = set()
        self._outcomes: dict[str, tuple[str, int | None]] = {}
        self._state = StateFile(state_file)
        self._restore()
        self._webhooks = self._new_webhooks()
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
            _sid("MM" if files else "SM"),
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
                Media(_sid("ME"), kind, base64.b64encode(data).decode()) for kind, data in files
            ),
        )
        self._keep(message)
        if self.sms_url and to == self.number:
            self._webhooks.incoming(self.sms_url, message, self.url)
        return message.sid

    def send(
        self,
        *,
        to: str,
        from_: str,
        body: str,
        messaging_service_sid: str = "",
        status_callback: str = "",
    ) -> Message:
        """What `POST Messages.json` does. Raises `Refused`."""
        self._check(to, from_, body, messaging_service_sid, status_callback)
        now = time.time()
        message = Message(
            sid=_sid("SM"),
            account_sid=self.account_sid,
            direction="outbound-api",
            from_=from_,
            to=to,
            body=body,
            status="queued" if from_ else "accepted",
            created=now,
            updated=now,
            messaging_service_sid=messaging_service_sid or None,
            status_callback=status_callback,
        )
        self._keep(message)
        self._webhooks.later(lambda: self._deliver(message))
        return message

    def messages(self) -> list[Message]:
        """All messages, both ways, oldest first."""
        with self._lock:
            return list(self._messages.values())

    def message(self, sid: str) -> Message:
        """Raises KeyError if there is none."""
        with self._lock:
            return self._messages[sid]

    def opt_out(self, number: str) -> None:
        """The phone wants no more texts: sending to it fails with 21610."""
        with self._lock:
            self._opted_out.add(number)
        self._save()

    def opt_in(self, number: str) -> None:
        with self._lock:
            self._opted_out.discard(number)
        self._save()

    def let_fail(
        self, number: str, *, status: str = "undelivered", error_code: int = 30003
    ) -> None:
        """Texts to this phone end with `status` («undelivered», «failed») and that error."""
        with self._lock:
            self._outcomes[number] = (status, error_code)

    def let_arrive(self, number: str) -> None:
        """Texts to this phone are delivered again."""
        with self._lock:
            self._outcomes.pop(number, None)

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

    def _check(self, to: str, from_: str, body: str, service: str, callback: str) -> None:
        if not to:
            raise bad_request(21604, "A 'To' phone number is required.")
        if not from_ and not service:
            raise bad_request(21603, "A 'From' phone number is required.")
        if not body:
            raise bad_request(21602, "Message body is required.")
        if len(body) > LONGEST_BODY:
            raise bad_request(
                21617, "The concatenated message body exceeds the 1600 character limit"
            )
        if callback and not callback.startswith(("http://", "https://")):
            raise bad_request(21609, f"The StatusCallback URL {callback} is not a valid URL.")
        self._check_numbers(to, from_, service)

    def _check_numbers(self, to: str, from_: str, service: str) -> None:
        if not _is_phone(to):
            raise bad_request(21211, f"Invalid 'To' Phone Number: {to}")
        if from_ and from_ != self.number:
            raise bad_request(
                21606,
                f"The 'From' phone number {from_} is not a valid, message-capable "
                "Twilio phone number for this account.",
            )
        if service and service != self.messaging_service_sid:
            raise bad_request(21705, "The Messaging Service Sid is invalid.")
        if to == from_:
            raise bad_request(21266, "'To' and 'From' number cannot be the same")
        if to in self._opted_out:
            raise bad_request(21610, "Attempt to send to unsubscribed recipient")

    def _deliver(self, message: Message) -> None:
        """Take a message through its statuses, and report each."""
        with self._lock:
            last, error_code = self._outcomes.get(message.to, ("delivered", None))
        statuses = ["queued", "sent", last] if last != "failed" else ["queued", "failed"]
        for status in statuses:
            self.faults.wait(self._pace)
            self._move(message.sid, status, error_code if status == last else None)
            if message.status_callback and self.callback_order is CallbackOrder.KEPT:
                self._report(message.sid, status)
        if message.status_callback and self.callback_order is CallbackOrder.REVERSED:
            for status in reversed(statuses):
                self._report(message.sid, status)

    def _move(self, sid: str, status: str, error_code: int | None) -> None:
        now = time.time()
        with self._lock:
            message = self._messages[sid]
            moved = replace(
                message,
                from_=message.from_ or self.number,
                status=status,
                updated=now,
                sent=now if status == "sent" else message.sent,
                error_code=error_code,
                error_message=None if error_code is None else REASONS.get(error_code, ""),
            )
            self._messages[sid] = moved
        self._save()
        self.feed.publish({"type": "status", "message": moved.shown()})

    def _report(self, sid: str, status: str) -> None:
        message = self.message(sid)
        self._webhooks.post(message.status_callback, status_form(message, status))

    def _keep(self, message: Message) -> None:
        with self._lock:
            self._messages[message.sid] = message
        self._save()
        self.feed.publish({"type": "message", "message": message.shown()})

    def _new_webhooks(self) -> Webhooks:
        return Webhooks(self.auth_token, timeout=self._webhook_timeout, alert=self._alert)

    def _alert(self, url: str, what: str) -> None:
        """As in Twilio's debugger: 11200 is «HTTP retrieval failure»."""
        self.feed.publish({"type": "alert", "code": 11200, "url": url, "what": what})

    def _save(self) -> None:
        if not self._state.keeps:
            return
        with self._lock:
            self._state.save(
                {
                    "account_sid": self.account_sid,
                    "auth_token": self.auth_token,
                    "api_key": self.api_key,
                    "api_secret": self.api_secret,
                    "messaging_service_sid": self.messaging_service_sid,
                    "opted_out": sorted(self._opted_out),
                    "messages": [asdict(message) for message in self._messages.values()],
                }
            )

    def _restore(self) -> None:
        if not (saved := self._state.load()):
            return
        self.account_sid = saved["account_sid"]
        self.auth_token = saved["auth_token"]
        self.api_key = saved["api_key"]
        self.api_secret = saved["api_secret"]
        self.messaging_service_sid = saved["messaging_service_sid"]
        self._opted_out = set(saved["opted_out"])
        self._messages = {one["sid"]: _message(one) for one in saved["messages"]}


def _message(saved: dict[str, Any]) -> Message:
    media = tuple(Media(**one) for one in saved.pop("media", ()))
    return Message(**saved, media=media)


def _sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


def _is_phone(number: str) -> bool:
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False
