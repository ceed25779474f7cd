"""A gateway that listens to the stand-in's event stream: no webhook is entered anywhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import redis

from gateway.adapter import ChannelConfig, phone_of
from gateway.clock.event_listener import EventListener
from gateway.clock.streams import Streams
from gateway.config import Channel, Settings
from gateway.lanes import KeyValues
from gateway.lanes.watermark import watermark_of
from gateway.model import Addressee, Capabilities, Inbound, Part, Person, Place, Status
from gateway.observability.event_streams import StreamState, read_streams
from sandbox.chatwoot import ChatwootStandIn
from tests.relay.env import Env, Postcards, opened, settings_for
from tests.waiting import until

PHONE = "+15551230001"


class Pagers(Postcards):
    """Reaches people by their phone numbers, shows that an agent types, and takes back."""

    capabilities = Capabilities(text_limit=200, receipts=frozenset({Status.DELIVERED}))
    shown: list[str]
    taken_back: list[str]

    def address(self, to: Addressee) -> str:
        return phone_of(to)

    def show_typing(self, place: Place) -> None:
        self.shown.append(place.peer)

    def delete(self, place: Place, external_id: str) -> None:
        self.taken_back.append(external_id)


@dataclass
class StreamEnv:
    """What the tests act on and look at."""

    env: Env
    stop: threading.Event = field(default_factory=threading.Event)
    clocks: list[Streams] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    @property
    def chatwoot(self) -> ChatwootStandIn:
        return self.env.chatwoot

    @property
    def channel(self) -> Channel:
        return self.env.settings.channels["pagers"]

    @property
    def network(self) -> Pagers:
        adapter = self.env.deliveries.adapters["pagers"]
        assert isinstance(adapter, Pagers)
        return adapter

    def start_clock(self, settings: Settings | None = None) -> EventListener:
        """One more clock's listener, which listens if no other does."""
        env = self.env
        streams = Streams(
            settings or env.settings, env.deliveries.adapters, env.store, env.intake, self.stop
        )
        [listener] = streams.listeners
        self.clocks.append(streams)
        thread = threading.Thread(target=listener.run, daemon=True)
        self.threads.append(thread)
        thread.start()
        return listener

    def end(self) -> None:
        self.stop.set()
        self.chatwoot.cable.cut()
        for thread in self.threads:
            thread.join(10)

    @property
    def state(self) -> StreamState | None:
        return read_streams(self.env.store).get("main")

    def wait_until_connected(self) -> None:
        until(lambda: self.state is not None and self.state.connected)

    def customer_writes(self, text: str, peer: str = PHONE) -> None:
        message = Inbound(id=text, peer=peer, text=text, person=Person("Ada", peer))
        self.env.intake.take(self.channel, [message])
        self.env.drain()

    def until_sent(self, count: int) -> list[Part]:
        self.env.drain_until(lambda: len(self.network.sent) >= count)
        return self.network.sent

    def shown(self, message: int, conversation: int = 1) -> dict[str, Any]:
        return self.env.shown(message, conversation)


@pytest.fixture
def still(redis_url: str, store: redis.Redis) -> Iterator[StreamEnv]:
    """No clock runs yet; a customer has written, in conversation 1."""
    with ChatwootStandIn() as chatwoot, _built(redis_url, store, chatwoot) as built:
        built.customer_writes("hello")
        yield built
        built.end()


@pytest.fixture
def stream(still: StreamEnv) -> StreamEnv:
    """A clock listens, and has looked: whatever is written from now on must arrive."""
    still.start_clock()
    still.wait_until_connected()
    until(lambda: watermark_of(KeyValues(still.env.store), "pagers"))
    return still


@contextmanager
def _built(redis_url: str, store: redis.Redis, chatwoot: ChatwootStandIn) -> Iterator[StreamEnv]:
    inbox = chatwoot.add_inbox("Pagers", None)
    settings = settings_for(chatwoot, inbox, redis_url)
    account = settings.accounts["main"].model_copy(update={"events": "websocket"})
    config = ChannelConfig(adapter="pagers", inbox=inbox, settle=0.0)
    channels = {"pagers": Channel("pagers", config, Pagers, account)}
    settings = replace(settings, accounts={"main": account}, channels=channels)
    with opened(settings, chatwoot, store) as env:
        built = StreamEnv(env)
        built.network.shown, built.network.taken_back = [], []
        yield built
