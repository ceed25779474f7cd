"""The pages for monitoring: liveness, readiness, backlog and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from flask import Flask, Response, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from gateway.adapter import same
from gateway.lanes import GateState
from gateway.observability.channel_states import ChannelState
from gateway.observability.event_streams import StreamState
from gateway.observability.logs import Redactor
from gateway.observability.metrics import (
    Counts,
    GatewayCollector,
    Vitals,
    exposition,
    read_vitals,
)
from gateway.storage.memory_guard import require_writable
from gateway.web.refusals import Refusals
from gateway.web.responses import sentence


class Health:
    """`/healthz`, `/readyz`, `/health/backlog` and `/metrics`.

    The last two require `admin_token`, as a bearer token (programs) or as the password of any user
    (browsers). They require it on this machine too, because a tunnel or web server beside the
    gateway looks just like a local caller.
    """

    def __init__(
        self,
        store: redis.Redis,
        collector: GatewayCollector,
        redact: Redactor,
        admin_token: str,
        *,
        counts: Counts,
        refusals: Refusals,
    ) -> None:
        self._store = store
        self._collector = collector
        self._redact = redact
        self._admin_token = admin_token
        self._counts = counts
        self._refusals = refusals

    def register(self, app: Flask) -> None:
        app.add_url_rule("/healthz", "healthz", self.alive)
        app.add_url_rule("/readyz", "readyz", self.ready)
        app.add_url_rule("/health/backlog", "backlog", self.backlog)
        app.add_url_rule("/metrics", "metrics", self.metrics)

    def alive(self) -> Response:
        """The process answers; nothing else is checked."""
        return sentence(200, "alive")

    def ready(self) -> Response:
        """Whether a webhook could be stored. No backlog: it must not take the web process out of
        rotation.

        The configuration needs no look: without a good one this process would not run.
        """
        try:
            require_writable(self._store)
        except redis.OutOfMemoryError:
            return sentence(503, "Not ready: Redis is full.")
        except redis.ResponseError:
            return sentence(503, "Not ready: Redis takes no writes.")
        except redis.RedisError:
            return sentence(503, "Not ready: Redis does not answer.")
        return sentence(200, "ready")

    def backlog(self) -> Response:
        """Raises redis.RedisError and Unauthorized."""
        self._admit()
        return jsonify(_shown(read_vitals(self._store, self._collector.channels), self._redact))

    def metrics(self) -> Response:
        """Raises redis.RedisError and Unauthorized."""
        self._admit()
        self._counts.write()
        return Response(exposition(self._collector), content_type=CONTENT_TYPE_LATEST)

    def _admit(self) -> None:
        if not same(self._admin_token, _offered()):
            if request.authorization is not None:
                self._refusals.login(request.path)
            raise Unauthorized(
                "This page requires the admin token, as password or bearer token. Run "
                "`python -m gateway token` to print it.",
                www_authenticate=WWWAuthenticate("basic", {"realm": "gateway"}),
            )


def _offered() -> str:
    """The token that came with the request; empty if none did."""
    authorization = request.authorization
    if authorization is None or authorization.type not in {"bearer", "basic"}:
        return ""
    return authorization.token or authorization.password or ""


def _shown(vitals: Vitals, redact: Redactor) -> Mapping[str, Any]:
    oldest: dict[str, dict[str, float]] = {}
    for (channel, direction), age in vitals.backlog.oldest.items():
        oldest.setdefault(channel, {})[direction] = round(age, 3)
    return {
        "oldest_message_seconds": oldest,
        "closed_gates": [
            _gate(gate, redact) for gate in vitals.backlog.gates if gate.state != "open"
        ],
        "dead_letters": vitals.dead_letters,
        "heartbeat_age_seconds": {r: round(age, 3) for r, age in vitals.heartbeats.items()},
        "processes": dict(vitals.processes),
        "redis_memory_share": round(vitals.redis_share, 3),
        "channels": {name: _channel(state, redact) for name, state in vitals.channels.items()},
        "event_streams": {
            account: _stream(state, redact) for account, state in vitals.streams.items()
        },
    }


def _channel(state: ChannelState, redact: Redactor) -> Mapping[str, Any]:
    return {
        "trouble": state.is_in_trouble,
        "since": _before(state.since),
        "last_poll": None if state.last_poll is None else _before(state.last_poll),
        "reason": redact(state.why),
    }


def _stream(state: StreamState, redact: Redactor) -> Mapping[str, Any]:
    return {
        "connected": state.connected,
        "since": _before(state.since),
        "last_frame": None if state.last_frame is None else _before(state.last_frame),
        "reason": redact(state.why),
    }


def _before(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="seconds")


def _gate(gate: GateState, redact: Redactor) -> Mapping[str, Any]:
    return {
        "destination": gate.destination,
        "state": gate.state,
        "reason": redact(gate.reason),
        "since": _before(gate.seconds),
        "seconds": gate.seconds,
        "waiting_lanes": gate.lanes,
    }
