"""Calls the customer's addresses, signed: one attempt each, as Twilio does for messages."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import requests

from sandbox.twilio.message import API_VERSION, Message
from sandbox.twilio.signature import sign

Form = dict[str, str]
Alert = Callable[[str, str], None]
TIMEOUT = 15.0
"""Seconds. https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides"""


class Webhooks:
    """Posts forms to webhooks; `alert` is told the address and what went wrong.

    Incoming messages leave one after the other, in order; status callbacks beside them.
    """

    def __init__(self, auth_token: str, *, timeout: float, alert: Alert) -> None:
        self._auth_token = auth_token
        self._timeout = timeout
        self._alert = alert
        self._incoming = ThreadPoolExecutor(1, "twilio-incoming")
        self._callbacks = ThreadPoolExecutor(8, "twilio-callbacks")

    def announce(self, url: str, message: Message, api_url: str) -> None:
        """Announce a customer's message, whose files are below `api_url`."""
        form = incoming_form(message) | media_form(message, api_url)
        self._incoming.submit(self.post, url, form)

    def submit(self, work: Callable[[], None]) -> None:
        """Run something that posts callbacks, beside everything else."""
        self._callbacks.submit(work)

    def post(self, url: str, form: Form) -> None:
        """One signed request; a failure is told to `alert` and not repeated."""
        headers = {
            "User-Agent": "TwilioProxy/1.1",
            "X-Twilio-Signature": sign(self._auth_token, url, form),
            "I-Twilio-Idempotency-Token": secrets.token_hex(16),
        }
        try:
            with requests.Session() as client:
                client.trust_env = False
                answer = client.post(url, data=form, headers=headers, timeout=self._timeout)
        except requests.RequestException as error:
            self._alert(url, type(error).__name__)
        else:
            if not answer.ok:
                self._alert(url, f"status {answer.status_code}")

    def close(self) -> None:
        """Forget what has not been posted yet."""
        self._incoming.shutdown(wait=False, cancel_futures=True)
        self._callbacks.shutdown(wait=False, cancel_futures=True)


def incoming_form(message: Message) -> Form:
    """https://www.twilio.com/docs/messaging/guides/webhook-request"""
    place = {
        f"{side}{part}": text
        for side in ("From", "To")
        for part, text in (("City", ""), ("State", ""), ("Zip", ""), ("Country", "US"))
    }
    return place | {
        "ToCountry": "US",
        "SmsMessageSid": message.sid,
        "NumMedia": str(len(message.media)),
        "SmsSid": message.sid,
        "SmsStatus": "received",
        "Body": message.body,
        "To": message.to,
        "NumSegments": str(message.segments),
        "MessageSid": message.sid,
        "AccountSid": message.account_sid,
        "From": message.from_,
        "ApiVersion": API_VERSION,
    }


def media_form(message: Message, api_url: str) -> Form:
    """Where the files of a message are, and what they are."""
    form: Form = {}
    below = f"{api_url}{message.uri.removesuffix('.json')}/Media"
    for number, media in enumerate(message.media):
        form[f"MediaUrl{number}"] = f"{below}/{media.sid}"
        form[f"MediaContentType{number}"] = media.content_type
    return form


def status_form(message: Message, status: str) -> Form:
    """https://www.twilio.com/docs/messaging/guides/track-outbound-message-status"""
    form = {
        "SmsSid": message.sid,
        "SmsStatus": status,
        "MessageStatus": status,
        "To": message.to,
        "MessageSid": message.sid,
        "AccountSid": message.account_sid,
        "From": message.from_,
        "ApiVersion": API_VERSION,
    }
    if message.messaging_service_sid:
        form["MessagingServiceSid"] = message.messaging_service_sid
    if status in {"undelivered", "failed"} and message.error_code is not None:
        form["ErrorCode"] = str(message.error_code)
        form["ErrorMessage"] = message.error_message or ""
    return form
