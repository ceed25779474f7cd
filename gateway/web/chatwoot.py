"""Chatwoot's webhooks.

Chatwoot calls once, waits five seconds (unless its Super Admin has set WEBHOOK_TIMEOUT), and marks
the message as failed on anything but a 2xx (lib/webhooks/trigger.rb). So a webhook is read and
durably appended here, and nothing else.
"""

from __future__ import annotations

import hmac
import logging

from flask import Flask, Response
from flask.globals import request_ctx

from gateway.chatwoot import webhook
from gateway.chatwoot.events import ContactChanged, Event, Ignored, reply_number
from gateway.config import Channel, Settings
from gateway.errors import Forbidden
from gateway.intake.contact_changes import ContactChanges
from gateway.intake.intake import Intake
from gateway.observability import logs
from gateway.observability.metrics import Counts
from gateway.payload import read_json
from gateway.web.body import read_body
from gateway.web.chatwoot_signature import SignedWebhooks
from gateway.web.responses import sentence

log = logging.getLogger(__name__)


class ChatwootWebhooks:
    """`/chatwoot/<name>/<token>`: the address in the settings of a channel's inbox."""

    def __init__(
        self,
        settings: Settings,
        intake: Intake,
        contact_changes: ContactChanges,
        counts: Counts,
        signed: SignedWebhooks,
    ) -> None:
        self._settings = settings
        self._signed = signed
        self._intake = intake
        self._contact_changes = contact_changes
        self._counts = counts

    def register(self, app: Flask) -> None:
        app.add_url_rule(
            "/chatwoot/<name>/<token>", "chatwoot_webhook", self.receive, methods=["POST"]
        )

    def receive(self, name: str, token: str) -> Response:
        """200 once the event is stored, or if there is nothing in it to store.

        Raises `Rejected`, redis.RedisError and werkzeug's HTTPException.
        """
        channel = self._authenticate(name, token)
        request = request_ctx.request
        body, headers = read_body(request), {name.lower(): value for name, value in request.headers}
        self._signed.verify(channel, headers, body)
        payload = read_json(body)
        event = webhook.read(payload)
        if isinstance(event, Ignored):  # frequent, and there is nothing to remember
            return self._respond(channel, event, self._intake.take_event(channel, event))
        if not isinstance(event, ContactChanged):  # one of others is let go, and counted
            _require_account(channel, payload)
        signer = self._signer(channel, self._channel_of(channel, event))
        self._signed.verify(signer, headers, body)
        if self._signed.is_repeated(signer, headers):
            return self._respond(channel, event, "repeated")
        concerned, outcome = self._take(channel, event)
        if not outcome.startswith("ignored"):  # frequent as well
            self._signed.remember(signer, headers)
        return self._respond(concerned, event, outcome)

    def _signer(self, called: Channel, concerned: Channel) -> Channel:
        """Whose secrets the webhook must be signed with.

        Those of the address that was called, since they may be an account webhook's, which reports
        on all inboxes. But where that address asks for none, whoever knows it could otherwise speak
        for a channel that does.
        """
        return called if called.config.signing_secret else concerned

    def _take(self, channel: Channel, event: Event) -> tuple[Channel, str]:
        """Store the event. Returns the channel it concerns, and what was done with it."""
        if isinstance(event, ContactChanged):
            return channel, self._contact_changes.take(channel.account, event)
        concerned = self._channel_of(channel, event)
        return concerned, self._intake.take_event(concerned, event)

    def _channel_of(self, channel: Channel, event: Event) -> Channel:
        """The channel that the event concerns: an account webhook has the address of one channel,
        and reports on all inboxes."""
        if isinstance(event, Ignored | ContactChanged):
            return channel
        others = (
            other
            for other in self._settings.channels.values()
            if other.account == channel.account and other.config.inbox == event.inbox
        )
        return next(others, channel)

    def _respond(self, channel: Channel, event: Event, outcome: str) -> Response:
        """Count and log what was done with the event, and answer 200."""
        ignored = outcome.startswith("ignored")
        if ignored:
            self._counts.add_soon("ignored_events", channel.name)
        logs.event(
            log,
            "ignored" if ignored else "accepted",
            level=logging.DEBUG if ignored else logging.INFO,
            channel=channel.name,
            chatwoot_event=type(event).__name__,
            message=reply_number(event),
            outcome=outcome,
        )
        return sentence(200, outcome.split(":", maxsplit=1)[0])

    def _authenticate(self, name: str, token: str) -> Channel:
        """Raises `Forbidden` if the token is not one of the channel's."""
        channel = self._settings.channels.get(name)
        if channel is None:
            raise Forbidden("unknown channel")
        given = token.encode()
        # Compare all of them: the time taken must not reveal which one nearly matched.
        right = [
            hmac.compare_digest(valid.encode(), given)
            for valid in self._settings.path_tokens(channel)
        ]
        if not any(right):
            raise Forbidden("the secret at the end of this address does not belong to the channel")
        return channel


def _require_account(channel: Channel, payload: object) -> None:
    """Raises `Forbidden` if the event is told to be of another account. Some tell of none."""
    match payload:
        case {"account": {"id": int(number)}} if number != channel.account.account:
            raise Forbidden("the event is of another account than the channel's")
