"""The networks' webhooks: verified and parsed by the adapter, stored, and only then answered."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import redis
from flask import Flask, Request, Response
from flask.globals import request_ctx

from gateway.adapter import Adapter
from gateway.config import Channel, Settings
from gateway.errors import Forbidden, Rejected
from gateway.intake.intake import Intake
from gateway.intake.reading import Reading
from gateway.intake.webhooks import as_unread
from gateway.lanes import keys
from gateway.model import Inbound, Receipt, WebRequest
from gateway.observability import logs
from gateway.observability.metrics import Counts
from gateway.web.body import read_body
from gateway.web.forms import LARGEST_FORM, Form, is_form
from gateway.web.responses import sentence

PATIENCE = 5
"""How often a webhook that its adapter cannot read is refused before it is set aside."""

PATIENCE_SECONDS = 86400

log = logging.getLogger(__name__)


class UnreadableWebhook(Exception):
    """An adapter failed on an authentic webhook of its network: a bug in the adapter."""

    def __init__(self, channel: Channel, fingerprint: str, request: WebRequest) -> None:
        super().__init__(f"the adapter of {channel.name} cannot read this webhook")
        self.channel = channel
        self.fingerprint = fingerprint
        self.request = request


@dataclass(frozen=True, slots=True)
class ParsedWebhook:
    """What an adapter read from a webhook, and the response it wants."""

    items: tuple[Inbound | Receipt, ...]
    body: str
    content_type: str


class ChannelWebhooks:
    """`/channels/<name>/webhook`, for every channel whose network calls us."""

    def __init__(
        self,
        settings: Settings,
        adapters: Mapping[str, Adapter],
        intake: Intake,
        counts: Counts,
        store: redis.Redis,
    ) -> None:
        self._settings = settings
        self._adapters = adapters
        self._intake = intake
        self._counts = counts
        self._store = store
        self._reading = Reading(store)

    def register(self, app: Flask) -> None:
        # Some networks deliver by GET, or use it to prove that an address is ours.
        app.add_url_rule(
            "/channels/<name>/webhook",
            "channel_webhook",
            self.receive,
            methods=["GET", "POST"],
        )
        app.register_error_handler(UnreadableWebhook, self.refuse_or_drop)

    def receive(self, name: str) -> Response:
        """200 once everything in the webhook is stored.

        Raises `Rejected`, `UnreadableWebhook`, redis.RedisError and werkzeug's HTTPException.
        """
        adapter = self._adapters.get(name)
        if adapter is None or not adapter.takes_webhooks:
            raise Forbidden("unknown channel, or one without webhooks")
        channel = self._settings.channels[name]
        web_request = self._verified(channel, adapter)
        parsed = self._parse(adapter, channel, web_request)
        self._store_items(channel, parsed.items)
        return Response(parsed.body, content_type=parsed.content_type)

    def refuse_or_drop(self, error: UnreadableWebhook) -> Response:
        """500 the first times, then 200.

        Most networks repeat what was not answered with 2xx, which is welcome: the adapter may be
        fixed in the meantime. But some repeat for ever, hold everything else back behind it, or
        finally switch the whole webhook off, so that one message would cost all others. It is then
        set aside, whole.
        """
        times = self._count_refusals(error)
        dropped = times > PATIENCE
        what = "dropped" if dropped else "unreadable"
        logs.event(
            log,
            what,
            level=logging.ERROR,
            error=error.__cause__,
            channel=error.channel.name,
            fingerprint=error.fingerprint,
            times=times,
        )
        self._counts.add(what, error.channel.name)
        if dropped:
            unread = as_unread(error.fingerprint, error.request)
            self._reading.keep(error.channel, unread, _why(error), kind="webhook")
            return sentence(200, "Set aside: the gateway cannot read this webhook.")
        return sentence(500, "The gateway failed to read this webhook. Nothing was stored.")

    def _count_refusals(self, error: UnreadableWebhook) -> int:
        key = keys.unreadable(error.channel.name, error.fingerprint)
        with self._store.pipeline() as steps:
            steps.incr(key)
            steps.expire(key, PATIENCE_SECONDS)
            return cast(int, steps.execute()[0])

    def _verified(self, channel: Channel, adapter: Adapter) -> WebRequest:
        """The request, of which no more was read before it was verified than that needs.

        Raises `Rejected` and werkzeug's HTTPException.
        """
        request = request_ctx.request  # directly: each access through Flask's proxy costs time
        if adapter.verifies_headers:
            _verify(adapter, self._web_request(channel, request, b""))
            return self._web_request(channel, request, read_body(request))
        largest = LARGEST_FORM if is_form(request.content_type or "") else None
        web_request = self._web_request(channel, request, read_body(request, largest))
        _verify(adapter, web_request)
        return web_request

    def _web_request(self, channel: Channel, request: Request, body: bytes) -> WebRequest:
        query = request.query_string.decode("latin-1")
        url = self._settings.webhook_url(channel)
        return WebRequest(
            method=request.method,
            url=f"{url}?{query}" if query else url,
            headers={name.lower(): value for name, value in request.headers.items()},
            query=request.args.to_dict() if query else {},
            form=Form(request.content_type or "", body),
            body=body,
        )

    def _parse(self, adapter: Adapter, channel: Channel, web_request: WebRequest) -> ParsedWebhook:
        """Raises `Malformed`, redis.RedisError, or `UnreadableWebhook` for whatever else an adapter
        raises."""
        try:
            found = adapter.parse(web_request)
            items = tuple(self._reading.read(channel, adapter, found))
            body, content_type = adapter.answer(web_request)
        except (Rejected, redis.RedisError):
            raise
        except Exception as error:
            content = web_request.url.encode() + b"\n" + web_request.body
            fingerprint = hashlib.sha256(content).hexdigest()[:16]
            raise UnreadableWebhook(channel, fingerprint, web_request) from error
        return ParsedWebhook(items, body, content_type)

    def _store_items(self, channel: Channel, items: tuple[Inbound | Receipt, ...]) -> None:
        if not items:
            self._counts.add("ignored", channel.name)
            logs.event(log, "ignored", level=logging.DEBUG, channel=channel.name)
            return
        stored = self._intake.take(channel, items)
        logs.event(
            log,
            "accepted",
            channel=channel.name,
            messages=",".join(stored.ids),
            repeated=stored.repeated,
            receipts=stored.receipts,
        )


def _verify(adapter: Adapter, web_request: WebRequest) -> None:
    """Raises `Forbidden`; TypeError if the adapter returns its verdict.

    Whoever writes `return same(…)` means to refuse, and would let everybody in.
    """
    verify: Callable[[WebRequest], object] = adapter.verify
    if (said := verify(web_request)) is not None:
        kind = type(said).__name__
        raise TypeError(f"verify must raise Forbidden or return None, and returned a {kind}")


def _why(error: UnreadableWebhook) -> str:
    kind = type(error.__cause__).__name__
    return f"The adapter cannot read this webhook ({kind}): see the gateway's log"
