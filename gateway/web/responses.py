"""Responses: one plain sentence, never a stack trace."""

from __future__ import annotations

import logging
from collections.abc import Collection

import redis
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from gateway.errors import Forbidden, Malformed
from gateway.observability import logs
from gateway.observability.logs import Redactor
from gateway.observability.metrics import Counts
from gateway.web.refusals import Refusals

RETRY_AFTER = 5
"""Seconds after which a caller may try again."""

NOT_OURS = (
    "Refused: this is not the address of a channel, or its secret or signature does not match. The "
    "gateway's log says which."
)

log = logging.getLogger(__name__)


def sentence(status: int, text: str) -> Response:
    return Response(f"{text}\n" if text else "", status=status, content_type="text/plain")


class ErrorResponses:
    """The response to every error that a view may raise."""

    def __init__(
        self, redact: Redactor, counts: Counts, refusals: Refusals, channels: Collection[str]
    ) -> None:
        self._redact = redact
        self._counts = counts
        self._refusals = refusals
        self._channels = channels

    def register(self, app: Flask) -> None:
        app.register_error_handler(Forbidden, self._forbidden)
        app.register_error_handler(Malformed, self._malformed)
        app.register_error_handler(redis.RedisError, self._redis_away)
        app.register_error_handler(HTTPException, _refused_by_http)
        app.register_error_handler(Exception, _our_fault)

    def _forbidden(self, error: Forbidden) -> Response:
        """The same for every reason: nobody shall learn here which channels there are, or what of a
        secret was right. The log tells."""
        self._count(403, self._redact(str(error)))
        return sentence(403, NOT_OURS)

    def _malformed(self, error: Malformed) -> Response:
        reason = self._redact(str(error))
        self._count(400, reason)
        return sentence(400, f"Refused: {reason}")

    def _count(self, status: int, reason: str) -> None:
        name = _channel()
        self._refusals.webhook(name if name in self._channels else "", status, reason)

    def _redis_away(self, error: redis.RedisError) -> Response:
        detail = f"{type(error).__name__}: {error}"
        channel = _channel()
        logs.event(log, "unavailable", level=logging.ERROR, channel=channel or None, detail=detail)
        if channel:
            self._counts.add_later("unavailable", channel)
        response = sentence(503, "The gateway cannot store this at the moment. Please try again.")
        response.headers["Retry-After"] = str(RETRY_AFTER)
        return response


def _refused_by_http(error: HTTPException) -> Response:
    response = sentence(error.code or 500, error.description or error.name)
    for name, value in error.get_headers():
        if name in {"Allow", "WWW-Authenticate"}:
            response.headers[name] = value
    return response


def _our_fault(error: Exception) -> Response:
    logs.event(log, "crashed", level=logging.ERROR, channel=_channel() or None, error=error)
    return sentence(500, "Internal error.")


def _channel() -> str:
    """The channel that the address names; empty if it names none."""
    return str((request.view_args or {}).get("name", ""))
