"""A network for processes that are killed: what it was given is in a file, whoever dies."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from gateway.adapter import Adapter, ChannelConfig
from gateway.errors import Forbidden
from gateway.http import check_fence
from gateway.model import Capabilities, Inbound, Part, Person, Receipt, Sent, Status, WebRequest

KEY = "the network's key"


class CardsConfig(ChannelConfig):
    box: Path


class Cards(Adapter):
    """Takes messages and receipts as JSON; puts what it sends into its box, a line for each."""

    Config = CardsConfig
    config: CardsConfig
    capabilities = Capabilities(text_limit=20, receipts=frozenset({Status.DELIVERED}))

    def verify(self, request: WebRequest) -> None:
        if request.headers.get("x-key") != KEY:
            raise Forbidden("X-Key is not the network's")

    def parse(self, request: WebRequest) -> Iterator[Inbound | Receipt]:
        told = json.loads(request.body)
        if part := told.get("delivered"):
            yield Receipt(Status.DELIVERED, part=part)
        else:
            yield Inbound(told["id"], "p1", told["text"], Person(name="Ada"))

    def send(self, part: Part) -> Sent:
        line = json.dumps({"id": part.id, "text": part.text}).encode() + b"\n"
        check_fence()
        box = os.open(self.config.box, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(box, line)
        os.close(box)
        return Sent(f"card-{part.id}")
