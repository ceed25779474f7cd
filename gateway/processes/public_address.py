"""Waiting for our own public address: whatever is posted in Chatwoot makes it call there."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import Final

from gateway.config import Settings
from gateway.errors import DeliveryError
from gateway.http import Session
from gateway.observability import logs

ONE_CALL: Final = 3.0
"""Seconds."""
PAUSE: Final = 0.25
"""Seconds between two calls."""
SERVER_ERROR: Final = 500

log = logging.getLogger(__name__)


def await_public_address(settings: Settings, stop: threading.Event) -> None:
    """Return once `public_url` answers, or after `public_url_wait` seconds, or at `stop`.

    Chatwoot marks a message in red whose webhook finds nobody. Where it calls nobody, because its
    event stream is listened to, there is nothing to wait for.
    """
    if not any(channel.is_called_by_chatwoot for channel in settings.channels.values()):
        return
    url, seconds = settings.gateway.public_url, settings.gateway.public_url_wait
    ends = time.monotonic() + seconds
    with contextlib.closing(Session(deadline=ONE_CALL)) as http:
        while time.monotonic() < ends and not stop.is_set():
            if _answers(http, url):
                return
            stop.wait(PAUSE)
    if seconds and not stop.is_set():
        logs.event(
            log,
            "address_does_not_answer",
            level=logging.WARNING,
            address=url,
            seconds=seconds,
            cure="start the web process and see that public_url leads to it; if only this machine "
            "cannot reach it, set public_url_wait = 0",
        )


def _answers(http: Session, url: str) -> bool:
    """A proxy says 502, 503 or 504 for a web process that is not there. Any other answer shows one,
    also where `/healthz` is not passed on."""
    try:
        return http.exchange("GET", f"{url}/healthz").status < SERVER_ERROR
    except DeliveryError:
        return False
