"""Responses: one plain sentence, never a stack trace."""

from __future__ import annotations

import logging

import redis
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from gateway.errors import Forbidden, Malformed, Rejected
from gateway.observability import logs
from gateway.observability.logs import Redactor
from gateway.observability.metrics import Counts

RETRY_AFTER = 5
"""Seconds after which a caller may try again."""

log = logging.getLogger(__name__)


def sentence(status: int, text: str) -> Response:
    return Response(f"{text}\n" if text else "", status=status, content_type="text/plain")


class ErrorResponses:
    """The response to every error that a view may raise."""

    def __init__(self, redact: Redactor, counts: Counts) -> None:
        self._redact = redact
        self._counts = counts

    def register(self, app: Flask) -> None:
        app.register_error_handler(Forbidden, self._forbidden)
        app.register_error_handler(Malformed, self._malformed)
        app.register_error_handler(redis.RedisError, self._redis_away)
        app.register_error_handler(HTTPException, _refused_by_http)
        app.register_error_handler(Exception, _our_fault)

    def _forbidden(self, error: Forbidden) -> Response:
        return self._rejected(403, error)

    def _malformed(self, error: Malformed) -> Response:
        return self._rejected(400, error)

    def _rejected(self, status: int, error: Rejected) -> Response:
        reason = self._redact(str(error))
        channel = _channel()
        logs.event(
            log, "refused", level=logging.WARNING, channel=channel, status=status, reason=reason
        )
        return sentence(status, f"Refused: {reason}")

    def _redis_away(self, error: redis.RedisError) -> Response:
        detail = f"{type(error).__name__}: {error}"
        channel = _channel()
        logs.event(log, "unavailable", level=logging.ERROR, channel=channel, detail=detail)
        if channel is not None:
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
    logs.event(log, "crashed", level=logging.ERROR, channel=_channel(), error=error)
    return sentence(500, "Internal error.")


def _channel() -> str | None:
    name = (request.view_args or {}).get("name")
    return None if name is None else str(name)
