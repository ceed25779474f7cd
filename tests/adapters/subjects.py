"""The adapters under test: how each is made, how its network signs, and how it answers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode

from adapters.telegram import Telegram
from adapters.twilio import Twilio
from gateway.adapter import Adapter, Site
from gateway.model import WebRequest
from gateway.runtime import Runtime
from tests.adapters.acme import Acme
from tests.scripted import ScriptedServer, answer

CASES = Path(__file__).parent / "cases"
WEBHOOK = "https://gw.example/channels/front/webhook"


class Subject(ABC):
    """One adapter that speaks HTTP, with what the contract suite must know of its network."""

    kind: ClassVar[str]
    adapter_class: ClassVar[type[Adapter]]
    secrets: ClassVar[tuple[str, ...]]
    content_type: ClassVar[str] = "application/json"
    throttled: ClassVar[Any] = b"slow down"
    """What the network says with a 429 that names no time."""
    throttled_for_7: ClassVar[tuple[Any, Mapping[str, str]]] = (b"slow down", {"Retry-After": "7"})
    """Content and headers of one that says: in seven seconds."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._made: list[Adapter] = []

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What channels.toml would say, less the address."""

    @abstractmethod
    def sign(self, request: WebRequest) -> WebRequest:
        """As the network would sign it."""

    @abstractmethod
    def accepts(self) -> Any:
        """The network's answer to a message that it takes."""

    def prepare(self, server: ScriptedServer) -> None:
        """Teach the server what the adapter asks beside sending."""
        server.otherwise = answer(200, self.accepts())

    def adapter(self, url: str, *, deadline: float = 10.0) -> Adapter:
        """A fresh one that calls `url`."""
        kind: type[Adapter] = type("Timed", (self.adapter_class,), {"deadline": deadline})
        site = Site("front", WEBHOOK, "webhookSecret123", self.runtime)
        settings = {"adapter": self.kind, "inbox": 1, "api_url": url, **self.settings()}
        self._made.append(kind(kind.Config(**settings), site))
        return self._made[-1]

    def close(self) -> None:
        for adapter in self._made:
            adapter.close()

    def request(self, content: Any, query: Mapping[str, str] | None = None) -> WebRequest:
        """An unsigned webhook. `content`: bytes as they are, else JSON or a form, as is usual."""
        if isinstance(content, bytes):
            body = content
        elif self.content_type == "application/json":
            body = json.dumps(content).encode()
        else:
            body = urlencode(content).encode()
        form = {}
        if self.content_type != "application/json":
            form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
        return WebRequest(
            method="POST",
            url=f"{WEBHOOK}?{urlencode(query)}" if query else WEBHOOK,
            headers={"content-type": self.content_type},
            query=dict(query or {}),
            form=form,
            body=body,
        )

    def cases(self, sort: str) -> dict[str, Any]:
        """The recorded cases of one sort: parse, send, answers, delete, open; none if there is no
        such file."""
        path = CASES / self.kind / f"{sort}.json"
        cases: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
        return cases


def with_header(request: WebRequest, name: str, value: str) -> WebRequest:
    return replace(request, headers={**request.headers, name: value})


class TelegramSubject(Subject):
    kind = "telegram"
    adapter_class = Telegram
    secrets = ("123456:tgtokensecret", "tgtokensecret", "webhookSecret123")
    throttled: ClassVar[Any] = {"ok": False, "error_code": 429, "description": "Too Many Requests"}
    throttled_for_7 = (
        {
            "ok": False,
            "error_code": 429,
            "description": "Too Many Requests: retry after 7",
            "parameters": {"retry_after": 7},
        },
        {},
    )

    def settings(self) -> dict[str, Any]:
        return {"token": "123456:tgtokensecret"}

    def sign(self, request: WebRequest) -> WebRequest:
        return with_header(request, "x-telegram-bot-api-secret-token", "webhookSecret123")

    def accepts(self) -> Any:
        chat = {"id": 42, "type": "private", "first_name": "Ada"}
        return {"ok": True, "result": {"message_id": 7, "date": 1, "chat": chat, "text": "x"}}

    def prepare(self, server: ScriptedServer) -> None:
        super().prepare(server)
        me = {"id": 1, "is_bot": True, "first_name": "Bot", "username": "front_bot"}
        server.always["/getMe"] = answer(200, {"ok": True, "result": me})


class TwilioSubject(Subject):
    kind = "twilio"
    adapter_class = Twilio
    secrets = ("twilioauthtoken",)
    content_type = "application/x-www-form-urlencoded"
    throttled: ClassVar[Any] = {"code": 20429, "message": "Too many requests", "status": 429}
    throttled_for_7 = (throttled, {"Retry-After": "7"})

    def settings(self) -> dict[str, Any]:
        return {
            "account_sid": "AC0123456789abcdef0123456789abcdef",
            "auth_token": "twilioauthtoken",
            "sender": "+15550001111",
        }

    def sign(self, request: WebRequest) -> WebRequest:
        signed = request.url + "".join(name + request.form[name] for name in sorted(request.form))
        digest = hmac.new(b"twilioauthtoken", signed.encode("utf-8", "replace"), hashlib.sha1)
        signature = base64.b64encode(digest.digest()).decode()
        return with_header(request, "x-twilio-signature", signature)

    def accepts(self) -> Any:
        return {"sid": "SM00000000000000000000000000000001", "status": "queued"}


class AcmeSubject(Subject):
    kind = "acme"
    adapter_class = Acme
    secrets = ("acmesecretkey",)

    def settings(self) -> dict[str, Any]:
        return {"api_key": "acmesecretkey", "sender": "+15550001111"}

    def sign(self, request: WebRequest) -> WebRequest:
        signature = hmac.new(b"acmesecretkey", request.body, hashlib.sha256).hexdigest()
        return with_header(request, "x-acme-signature", signature)

    def accepts(self) -> Any:
        return {"id": "m-1"}


SUBJECTS: tuple[type[Subject], ...] = (TelegramSubject, TwilioSubject, AcmeSubject)
