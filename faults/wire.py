"""Made-up networks over plain HTTP: one takes whatever it gets, one knows our ids, one is asked."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import replace

from gateway.adapter import Adapter, ChannelConfig, SecretStr, same
from gateway.errors import Forbidden, Malformed
from gateway.model import (
    Batch,
    Capabilities,
    Inbound,
    Part,
    Person,
    Receipt,
    Sent,
    Status,
    WebRequest,
)


def signature(key: str, body: bytes) -> str:
    """What stands in `X-Wire-Signature`."""
    return hmac.digest(key.encode(), body, "sha256").hex()


class Wire(Adapter):
    """Takes what it is sent, as often as it is sent."""

    class Config(ChannelConfig):
        key: SecretStr
        api_url: str

    config: Config
    capabilities = Capabilities(text_limit=1000, receipts=frozenset({Status.DELIVERED}))

    def verify(self, request: WebRequest) -> None:
        right = signature(self.config.key.get_secret_value(), request.body)
        if not same(right, request.headers.get("x-wire-signature", "")):
            raise Forbidden("X-Wire-Signature is missing or wrong")

    def parse(self, request: WebRequest) -> Iterator[Inbound | Receipt]:
        match request.json():
            case {"messages": list(messages)}:
                yield from map(_inbound, messages)
            case {"delivered": str(number)}:
                yield Receipt(Status.DELIVERED, number)
            case _:
                raise Malformed("neither messages nor a delivery")

    def send(self, part: Part) -> Sent:
        message = {"id": part.id, "to": part.peer, "text": part.text}
        answer = self.http.post(f"{self.config.api_url}/{self.site.channel}/messages", json=message)
        return Sent(answer.field("id"))


class AskedWire(Wire):
    """Keeps customers' messages until it is asked for those behind them."""

    def poll(self, cursor: str | None) -> Batch:
        after = cursor or "0"
        answer = self.http.get(
            f"{self.config.api_url}/{self.site.channel}/updates", params={"after": after}
        )
        updates = answer.json()["updates"]
        newest = str(updates[-1]["number"]) if updates else after
        return Batch(tuple(_inbound(update["message"]) for update in updates), newest)


class NamedWire(Wire):
    """Knows by its id what it has been sent before."""

    capabilities = replace(Wire.capabilities, idempotent=True)


def _inbound(message: dict[str, str]) -> Inbound:
    peer = message["from"]
    return Inbound(message["id"], peer, message["text"], Person(name=peer))
