"""The Flask application: all routes, and what they share."""

from __future__ import annotations

import redis
from flask import Flask, Response, render_template

from gateway.config import Settings
from gateway.intake.contact_changes import ContactChanges
from gateway.intake.intake import Intake
from gateway.lanes import KeyValues, Routes
from gateway.lanes.address_changes import AddressChanges
from gateway.observability.logs import Redactor
from gateway.observability.metrics import Counts, GatewayCollector
from gateway.runtime import Runtime
from gateway.web.body import limit_bodies
from gateway.web.channels import ChannelWebhooks
from gateway.web.chatwoot import ChatwootWebhooks
from gateway.web.chatwoot_signature import SignedWebhooks
from gateway.web.health import Health
from gateway.web.refusals import Refusals
from gateway.web.responses import ErrorResponses


def create_app(
    settings: Settings,
    *,
    store: redis.Redis,
    intake: Intake,
    runtime: Runtime,
) -> Flask:
    """The application, with one adapter for each channel that lives as long as it does.

    `store` answers with `str` and repeats nothing by itself: a caller with five seconds of patience
    is served better by a quick 503.
    """
    app = Flask(__name__)
    # No redirect from «//» to «/»: no caller of ours follows one, and Werkzeug fails on such a path
    # with a line break in it (its Location would have one).
    app.url_map.merge_slashes = False
    limit_bodies(app, settings.gateway.body_limit)
    adapters = {
        channel.name: channel.adapter(channel.config, settings.site(channel, runtime))
        for channel in settings.channels.values()
    }
    counts = Counts(store)
    ChannelWebhooks(settings, adapters, intake, counts, store).register(app)
    changes = ContactChanges(settings, adapters, Routes(store), AddressChanges(KeyValues(store)))
    ChatwootWebhooks(settings, intake, changes, counts, SignedWebhooks(store)).register(app)
    collector = GatewayCollector(store, settings.channels)
    redact = Redactor(settings.secret_values())
    refusals = Refusals(counts)
    health = Health(
        store, collector, redact, settings.admin_token, counts=counts, refusals=refusals
    )
    health.register(app)
    app.add_url_rule("/", "front", _front)
    ErrorResponses(redact, counts, refusals, settings.channels).register(app)
    app.after_request(_as_declared)
    return app


def _front() -> str:
    return render_template("front.html")


def _as_declared(response: Response) -> Response:
    """Some networks have a text of theirs echoed: no browser may take it for a page."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
