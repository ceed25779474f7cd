"""Checks that Chatwoot's event stream answers, and that the clock listens to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import redis

from gateway.adapter import Finding
from gateway.chatwoot.cable import Cable, Subscription
from gateway.chatwoot.client import Chatwoot
from gateway.config import ChatwootAccount
from gateway.errors import BadCredentials, DeliveryError
from gateway.observability.event_streams import StreamState, read_streams
from gateway.setup.checks.durations import duration
from gateway.storage.connections import connect


def look_at_stream(
    account: ChatwootAccount, chatwoot: Chatwoot, redis_url: str
) -> Iterator[Finding]:
    """Raises a `DeliveryError` if Chatwoot does not answer. `redis_url`: empty if none is set."""
    if account.events != "websocket":
        return
    profile = chatwoot.profile()
    subscription = Subscription(account.account, profile.id, profile.pubsub_token)
    yield _answering(account, subscription)
    if redis_url:
        yield _listening(_state(account, redis_url))


def _answering(account: ChatwootAccount, subscription: Subscription) -> Finding:
    try:
        with Cable(account.api_url, account.url, subscription):
            return Finding.good("event stream", "Chatwoot's event stream takes our token")
    except BadCredentials as error:
        cure = f"Check account and token in [chatwoot.{account.name}]."
        return Finding.bad("event stream", error.reason, cure)
    except DeliveryError as error:
        cure = (
            "Let the web server in front of Chatwoot pass on WebSockets at /cable. Or, in "
            f"[chatwoot.{account.name}], set internal_url to the address at which the gateway "
            'reaches Chatwoot directly, or set events = "webhook".'
        )
        return Finding.bad("event stream", error.reason, cure)


def _listening(state: StreamState | None) -> Finding:
    if state is None:
        text = "no clock has listened to the event stream yet"
        return Finding.note("listening", text, "Start the gateway, and run doctor again beside it.")
    if state.connected:
        text = f"the clock has listened for {duration(state.since)}"
        return Finding.good("listening", text)
    text = f"nobody has listened for {duration(state.since)}: {state.why or 'no reason is known'}"
    cure = "Check that the clock runs, and see event=stream_trouble in its log."
    return Finding.bad("listening", text, cure)


def _state(account: ChatwootAccount, redis_url: str) -> StreamState | None:
    with contextlib.closing(connect(redis_url, connections=1, retries=0)) as client:
        try:
            return read_streams(client).get(account.name)
        except (redis.RedisError, OSError):  # another check reports that
            return None
