"""What the tests of the web process share: two made-up networks, and an app over a real Redis."""

from __future__ import annotations

import copy
import hmac
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import redis
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr

from gateway.adapter import Adapter, ChannelConfig
from gateway.config import Channel, ChatwootAccount, GatewaySettings, Settings
from gateway.errors import Forbidden, Malformed
from gateway.intake.doorbell import Doorbell, queue_key
from gateway.intake.intake import Intake
from gateway.lanes import Lanes, keys
from gateway.model import Batch, Inbound, Receipt, Status, WebRequest
from gateway.runtime import Runtime
from gateway.storage.connections import connect_bytes
from gateway.web import create_app

ADMIN = "marked-admin-token"
SECRETS = ("marked-gateway-secret-new", "marked-gateway-secret-old")
KEY = "marked-network-key"
CHATWOOT_TOKEN = "marked-chatwoot-token"
PUBLIC_URL = "https://gateway.example.org/base"
HOOK = "/channels/shop/webhook"
INBOX = 7
SIGNED = {"X-Key": KEY}

REPLY: dict[str, Any] = {
    "event": "message_created",
    "id": 1002,
    "message_type": "outgoing",
    "private": False,
    "content": "Here it is",
    "content_type": "text",
    "content_attributes": {},
    "created_at": "2026-01-20T10:01:40.500Z",
    "source_id": None,
    "sender": {"id": 5, "name": "Bob", "type": "user"},
    "inbox": {"id": INBOX, "name": "Shop"},
    "conversation": {
        "id": 12,
        "inbox_id": INBOX,
        "status": "open",
        "additional_attributes": {},
        "contact_inbox": {"id": 31, "source_id": "ada", "pubsub_token": "marked-pubsub-token"},
        "meta": {
            "sender": {
                "id": 42,
                "name": "Ada",
                "phone_number": None,
                "email": None,
                "identifier": None,
            },
            "assignee": None,
        },
        "messages": [],
    },
    "account": {"id": 1},
}


def reply(**changes: Any) -> dict[str, Any]:
    """An agent's reply as Chatwoot tells of it."""
    return copy.deepcopy(REPLY) | changes


def text(message: str = "m1", said: str = "hello", **more: Any) -> dict[str, Any]:
    """A customer's message as the made-up network tells of it."""
    return {"id": message, "from": "ada", "text": said, **more}


class PushConfig(ChannelConfig):
    key: SecretStr


class Push(Adapter):
    """A made-up network that calls us, with a key in a header."""

    Config = PushConfig
    config: PushConfig

    def verify(self, request: WebRequest) -> None:
        if "break-verify" in request.query:
            raise KeyError(self.config.key.get_secret_value())
        key = self.config.key.get_secret_value()
        if not hmac.compare_digest(request.headers.get("x-key", "").encode(), key.encode()):
            raise Forbidden(f"X-Key is not {key}")

    def parse(self, request: WebRequest) -> Iterable[Inbound | Receipt]:
        if "where" in request.query:
            yield Inbound("where", "ada", request.url)
            return
        found = request.form or request.query or request.json()
        if not isinstance(found, Mapping):
            raise Malformed("expected an object")
        if found.get("kind") == "break":
            raise KeyError(self.config.key.get_secret_value())
        if found.get("kind") == "stranger":
            yield cast(Inbound, found)
        if found.get("kind") == "receipt":
            yield Receipt(Status.DELIVERED, external_id=str(found.get("of")))
        elif "id" in found:
            yield Inbound(str(found["id"]), str(found.get("from")), str(found.get("text")))

    def answer(self, request: WebRequest) -> tuple[str, str]:
        return "<ok/>", "text/xml"


class Signed(Push):
    """A made-up network that signs the fields of its forms, as Twilio does."""

    def verify(self, request: WebRequest) -> None:
        if request.form.get("key") != self.config.key.get_secret_value():
            raise Forbidden("the form is not signed")


class Pull(Adapter):
    """A made-up network that has to be asked."""

    def poll(self, cursor: str | None) -> Batch:
        return Batch((), "")


def settings(*, body_limit: int = 4096, admin_token: str = ADMIN) -> Settings:
    account = ChatwootAccount(
        name="main", url="https://chat.example.org", account=1, token=SecretStr(CHATWOOT_TOKEN)
    )
    push = PushConfig(adapter="push", inbox=INBOX, key=SecretStr(KEY))
    pull = ChannelConfig(adapter="pull", inbox=8)
    gateway = GatewaySettings(
        public_url=PUBLIC_URL,
        secret=tuple(SecretStr(secret) for secret in SECRETS),
        body_limit=body_limit,
        admin_token=SecretStr(admin_token),
    )
    channels = {
        "shop": Channel("shop", push, Push, account),
        "desk": Channel("desk", pull, Pull, account),
    }
    return Settings(gateway, {"main": account}, channels, Path("channels.toml"))


def make_app(
    store: redis.Redis, redis_url: str, *, admin_token: str = ADMIN, limit: int = 4096
) -> Flask:
    doorbell = Doorbell(connect_bytes(redis_url, connections=1, retries=0))
    return create_app(
        settings(body_limit=limit, admin_token=admin_token),
        store=store,
        intake=Intake(Lanes(store, queue_key()), doorbell),
        runtime=Runtime(),
    )


def chatwoot_path(which: int = 0, channel: str = "shop") -> str:
    """The path of the address that Chatwoot calls, by the first or the second of our secrets."""
    known = settings()
    return f"/chatwoot/{channel}/{known.path_tokens(known.channels[channel])[which]}"


def waiting(store: redis.Redis) -> dict[str, dict[str, Any]]:
    """The messages that are stored: id → body."""
    ids = [key.removeprefix(keys.message("")) for key in store.scan_iter(keys.message("*"))]
    return {name: json.loads(store.hget(keys.message(name), "body") or "{}") for name in ids}


def stored(store: redis.Redis) -> set[str]:
    """All keys but those of the counters and of the time."""
    return set(store.scan_iter()) - {keys.COUNTS, keys.CLOCK}


def counts(store: redis.Redis) -> dict[str, str]:
    return cast(dict[str, str], store.hgetall(keys.COUNTS))


def post(client: FlaskClient, body: Any, path: str = HOOK, **options: Any) -> Any:
    """A signed webhook with `body` as JSON, or as it stands if it is bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(path, data=data, headers=SIGNED, **options)
