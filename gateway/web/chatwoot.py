"""Chatwoot's webhooks.

Chatwoot calls once, waits five seconds, and marks the message as failed on anything but a 2xx
(lib/webhooks/trigger.rb): so here is nothing but reading and one durable append.
"""

from __future__ import annotations

import hmac
import logging

from flask import Flask, Response
from flask.globals import request_ctx
from werkzeug.exceptions import NotFound

from gateway.chatwoot import webhook
from gateway.chatwoot.events import ContactChanged, Event, Ignored
from gateway.config import Channel, Settings
from gateway.errors import Forbidden
from gateway.intake.intake import Intake
from gateway.observability import logs
from gateway.observability.metrics import Counts
from gateway.payload import read_json
from gateway.web.body import read_body
from gateway.web.chatwoot_signature import SignedWebhooks
from gateway.web.contact_changes import ContactChanges
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
        channel = self._channel(name, token)
        request = request_ctx.request
        body, headers = read_body(request), {name.lower(): value for name, value in request.headers}
        self._signed.verify(channel, headers, body)
        event = webhook.read(read_json(body))
        if isinstance(event, Ignored):  # many, and there is nothing to remember
            return self._told(channel, event, self._intake.take_event(channel, event))
        if self._signed.is_repeated(channel, headers):
            return self._told(channel, event, "repeated")
        meant, outcome = self._taken(channel, event)
        self._signed.taken(channel, headers)
        return self._told(meant, event, outcome)

    def _taken(self, channel: Channel, event: Event) -> tuple[Channel, str]:
        """Whom it concerns, and what was done with it."""
        if isinstance(event, ContactChanged):
            return channel, self._contact_changes.take(channel.account, event)
        meant = self._meant(channel, event)
        return meant, self._intake.take_event(meant, event)

    def _meant(self, channel: Channel, event: Event) -> Channel:
        """An account webhook has the address of one channel, and tells of all inboxes."""
        if isinstance(event, Ignored | ContactChanged):
            return channel
        others = (
            other
            for other in self._settings.channels.values()
            if other.account == channel.account and other.config.inbox == event.inbox
        )
        return next(others, channel)

    def _told(self, channel: Channel, event: Event, outcome: str) -> Response:
        ignored = outcome.startswith("ignored")
        if ignored:
            self._counts.add("ignored_events", channel.name)
        logs.event(
            log,
            "ignored" if ignored else "accepted",
            level=logging.DEBUG if ignored else logging.INFO,
            channel=channel.name,
            chatwoot_event=type(event).__name__,
            message=getattr(event, "id", ""),
            outcome=outcome,
        )
        return sentence(200, outcome.split(":", maxsplit=1)[0])

    def _channel(self, name: str, token: str) -> Channel:
        channel = self._settings.channels.get(name)
        if channel is None:
            raise NotFound("There is no such channel.")
        given = token.encode()
        # All are compared, so that the time does not tell which of them was nearly right.
        right = [
            hmac.compare_digest(valid.encode(), given)
            for valid in self._settings.path_tokens(channel)
        ]
        if not any(right):
            raise Forbidden("the secret at the end of this address is not the channel's")
        return channel
