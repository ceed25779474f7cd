"""The account: its numbers and secrets, its messages and what becomes of them."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import phonenumbers

from sandbox.faults import Faults
from sandbox.feed import Feed
from sandbox.state import StateFile
from sandbox.twilio.errors import bad_request
from sandbox.twilio.message import Media, Message
from sandbox.twilio.webhooks import Webhooks, status_form

LONGEST_BODY = 1600
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


class Account:
    """One Twilio account with one number."""

    def __init__(
        self,
        *,
        state_file: Path | None,
        number: str,
        pace: float,
        callback_order: CallbackOrder,
        webhook_timeout: float,
    ) -> None:
        self.account_sid = new_sid("AC")
        self.auth_token = secrets.token_hex(16)
        self.api_key = new_sid("SK")
        self.api_secret = secrets.token_urlsafe(24)
        self.messaging_service_sid = new_sid("MG")
        self.number = number
        self.account_status = "active"
        self.sms_url = ""
        """Where incoming messages are announced."""
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
            sid=new_sid("SM"),
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
        self._webhooks.submit(lambda: self._deliver(message))
        return message

    def messages(self) -> list[Message]:
        """All messages, both ways, oldest first."""
        with self._lock:
            return list(self._messages.values())

    def message(self, sid: str) -> Message:
        """Raises KeyError for an unknown sid."""
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
            self._set_status(message.sid, status, error_code if status == last else None)
            if message.status_callback and self.callback_order is CallbackOrder.KEPT:
                self._report(message.sid, status)
        if message.status_callback and self.callback_order is CallbackOrder.REVERSED:
            for status in reversed(statuses):
                self._report(message.sid, status)

    def _set_status(self, sid: str, status: str, error_code: int | None) -> None:
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
        return Webhooks(self.auth_token, timeout=self._webhook_timeout, alert=self._publish_alert)

    def _publish_alert(self, url: str, what: str) -> None:
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


def new_sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


def _is_phone(number: str) -> bool:
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False
