"""What gunicorn loads: `gateway.web.wsgi:app_from_environment()`.

Gunicorn's access log has to stay off, as it is by default: it would write down the addresses that
Chatwoot calls, which end in a secret.
"""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask

from gateway.config import Settings, load
from gateway.intake.doorbell import Doorbell, queue_key
from gateway.intake.intake import Intake
from gateway.lanes import Lanes
from gateway.observability import logs
from gateway.observability.heartbeat import Heartbeat
from gateway.runtime import Runtime
from gateway.storage.connections import connect, connect_bytes
from gateway.storage.embedded import data_folder, embedded_in
from gateway.storage.failover import ServerWatch
from gateway.web.app import create_app
from gateway.web.presence import Presence

STORE_CONNECTIONS = 2
DOORBELL_CONNECTIONS = 1
"""Three in all: the smallest Redis that Heroku has allows twenty, and a deploy doubles them."""


def app_from_environment() -> Flask:
    """The application of a web process, from channels.toml (or `GATEWAY_CONFIG`) and `REDIS_URL`.

    Raises `ConfigError`. Redis need not be there yet.
    """
    settings = load(Path(os.environ.get("GATEWAY_CONFIG") or "channels.toml"), os.environ)
    logs.configure(settings, "web")
    return _app(settings)


def _app(settings: Settings) -> Flask:
    url = settings.gateway.redis_url or embedded_in(data_folder()).url
    watch = ServerWatch()
    store = connect(url, connections=STORE_CONNECTIONS, retries=0, greet=watch.greet)
    doorbell = Doorbell(connect_bytes(url, connections=DOORBELL_CONNECTIONS, retries=0))
    Heartbeat(store, "web").start()
    app = create_app(
        settings,
        store=store,
        intake=Intake(Lanes(store, queue_key(), remember=watch.remember), doorbell),
        runtime=Runtime(),
    )
    presence = Presence(store, settings.channels.values())
    presence.register(app)
    presence.start()
    return app
