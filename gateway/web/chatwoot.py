"""Chatwoot's webhooks.

Chatwoot calls once, waits five seconds, and marks the message as failed on anything but a 2xx
(lib/webhooks/trigger.rb): so here is nothing but reading and one durable append.
"""

from __future__ import annotations

import hmac
import logging

from flask import Flask, Response
from werkzeug.exceptions import NotFound

from gateway import logs
from gateway.chatwoot import webhook
from gateway.config import Channel, Settings
from gateway.errors import Forbidden
from gateway.intake import Intake
from gateway.metrics import Counts
from gateway.payload import read_json
from gateway.web.answers import sentence
from gateway.web.body import read_body

log = logging.getLogger(__name__)


class ChatwootWebhooks:
    """`/chatwoot/<name>/<token>`: the address in the settings of a channel's inbox."""

    def __init__(self, settings: Settings, intake: Intake, counts: Counts) -> None:
        self._settings = settings
        self._intake = intake
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
        event = webhook.read(read_json(read_body()))
        outcome = self._intake.take_event(channel, event)
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
        return sentence(200, outcome.split(":")[0])

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
