"""A gateway in one process, without web: real Valkey, the Chatwoot stand-in, a plain network."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
import redis
from pydantic import SecretStr

from gateway.adapter import Adapter, ChannelConfig
from gateway.chatwoot.webhook import read
from gateway.config import Channel, ChatwootAccount, GatewaySettings, Settings
from gateway.intake.doorbell import Doorbell, queue_key
from gateway.intake.indicators import IndicatorQueue
from gateway.intake.intake import Intake, Stored
from gateway.lanes import DeadLetters, GatePolicy, Lanes, keys
from gateway.model import Capabilities, Inbound, Part, Person, Sent, Status
from gateway.relay.drain import Drain, Limits
from gateway.relay.indicators import Indicators
from gateway.relay.lane_worker import LaneWorker
from gateway.relay.quarantine import Quarantine
from gateway.relay.wiring import Deliveries
from gateway.runtime import Runtime
from sandbox.chatwoot import ChatwootStandIn, payloads

T = TypeVar("T")


class Postcards(Adapter):
    """A network that keeps what it is given in a list, and misbehaves as it is told."""

    capabilities = Capabilities(text_limit=20, receipts=frozenset({Status.DELIVERED}))
    errors: list[Exception]
    after: list[Exception]
    sent: list[Part]

    def send(self, part: Part) -> Sent:
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append(part)
        if self.after:
            raise self.after.pop(0)
        return Sent(f"card-{part.id}")


@dataclass
class Env:
    """What the tests act on and look at."""

    store: redis.Redis
    chatwoot: ChatwootStandIn
    settings: Settings
    lanes: Lanes
    intake: Intake
    deliveries: Deliveries
    lane_worker: LaneWorker
    pool: ThreadPoolExecutor
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def channel(self) -> Channel:
        return self.settings.channels["cards"]

    @property
    def network(self) -> Postcards:
        adapter = self.deliveries.adapters["cards"]
        assert isinstance(adapter, Postcards)
        return adapter

    @property
    def dead(self) -> DeadLetters:
        return DeadLetters(self.store)

    def customer_writes(
        self, text: str, *, peer: str = "p1", number: object = None, **more: Any
    ) -> Stored:
        more.setdefault("person", Person(name="Ada"))
        message = Inbound(id=str(number or text), peer=peer, text=text, **more)
        return self.intake.take(self.channel, [message])

    def drain(self, *, threads: int = 8, linger: float = 0.01, lease: float = 30.0) -> None:
        """Deliver until nothing is due."""
        limits = Limits(threads=threads, lease=lease, linger=linger, longest=20)

        def work(lease: Any, stop: Callable[[], bool], still_ours: Callable[[], bool]) -> None:
            self.lane_worker.work(lease, stop=stop, still_ours=still_ours)

        indicators = Indicators(IndicatorQueue(self.store), self.deliveries.adapters, self.pool)
        Drain(
            self.lanes,
            work,
            self.pool,
            limits,
            stop=self.stop,
            beat=lambda: None,
            wait=indicators.show_while_waiting,
        ).run()

    def drain_until(self, found: Callable[[], T], *, seconds: float = 10.0) -> T:
        """Drain, letting what waits become due, until `found` says something."""
        deadline = time.monotonic() + seconds
        while True:
            self.drain()
            if result := found():
                return result
            assert time.monotonic() < deadline, "it never came"
            self.make_due()

    def make_due(self) -> None:
        """Let time pass: whatever waits for later is due now, closed gates are tried again."""
        for key in self.store.scan_iter(keys.due("*")):
            for lane in cast(list[str], self.store.zrange(key, 0, -1)):
                self.store.zadd(key, {lane: 0})
        for key in self.store.scan_iter(keys.message("*")):
            if self.store.hexists(key, "ready"):
                self.store.hset(key, "ready", 0)
                self.store.hdel(key, "slot")
        for key in self.store.scan_iter(keys.gate("*")):
            if self.store.hexists(key, "until"):
                self.store.hset(key, "until", 0)
            self.store.hdel(key, "paused", "tat")
        for key in self.store.scan_iter(keys.lease("*")):
            self.store.delete(key)

    def incoming(self) -> list[str]:
        """The customers' messages in Chatwoot, in the order in which agents see them."""
        return [
            message["content"]
            for conversation in sorted(self.chatwoot.conversations(), key=lambda c: c["id"])
            for message in self.chatwoot.messages(conversation["id"])
            if message["message_type"] == 0
        ]

    def agent_replies(self, text: str, conversation: int = 1) -> int:
        """An agent writes, and the gateway is told of it."""
        message = self.chatwoot.agent_reply(conversation, text)
        self.told(message, conversation)
        return message

    def told(self, message: int, conversation: int = 1, event: str = "message_created") -> str:
        payload = webhook(self.chatwoot, conversation, message, event)
        return self.intake.take_event(self.channel, read(payload))

    def told_of(self, conversation: int, event: str, channel: Channel | None = None) -> str:
        """Chatwoot tells of a conversation: that it was created, or has another status."""
        with self.chatwoot.store.reading():
            row = self.chatwoot.store.conversation(1, conversation)
            payload = payloads.conversation_webhook(self.chatwoot.store, row)
        told = read({**payload, "event": event})
        return self.intake.take_event(channel or self.channel, told)

    def shown(self, message: int, conversation: int = 1) -> dict[str, Any]:
        return next(m for m in self.chatwoot.messages(conversation) if m["id"] == message)

    def notes(self, conversation: int = 1) -> list[str]:
        return [m["content"] for m in self.chatwoot.messages(conversation) if m["private"]]

    def count(self, what: str) -> int:
        return int(self.store.hget(keys.COUNTS, f"{what}|cards") or 0)


def webhook(chatwoot: ChatwootStandIn, conversation: int, message: int, event: str) -> Any:
    """What Chatwoot sends about a message."""
    with chatwoot.store.reading():
        row = chatwoot.store.messages.get(message)
        return {**payloads.message_webhook(chatwoot.store, row), "event": event}


@pytest.fixture
def env(redis_url: str, store: redis.Redis) -> Iterator[Env]:
    with ChatwootStandIn() as chatwoot:
        inbox = chatwoot.add_inbox("Cards", None)
        with opened(settings_for(chatwoot, inbox, redis_url), chatwoot, store) as built:
            yield built


@contextmanager
def opened(settings: Settings, chatwoot: ChatwootStandIn, store: redis.Redis) -> Iterator[Env]:
    """A gateway with these settings, whose networks misbehave only as they are told."""
    lanes = Lanes(store, queue_key(), gates=GatePolicy(failures=4))
    deliveries = Deliveries(settings, lanes, Runtime())
    with ThreadPoolExecutor(16) as pool:
        built = Env(
            store=store,
            chatwoot=chatwoot,
            settings=settings,
            lanes=lanes,
            intake=Intake(lanes, Doorbell(store)),
            deliveries=deliveries,
            lane_worker=LaneWorker(lanes, deliveries, Quarantine()),
            pool=pool,
        )
        for network in deliveries.adapters.values():
            if isinstance(network, Postcards):
                network.errors, network.after, network.sent = [], [], []
        yield built
    deliveries.close()


def settings_for(chatwoot: ChatwootStandIn, inbox: int, redis_url: str, **more: Any) -> Settings:
    gateway = GatewaySettings(
        public_url="http://127.0.0.1:1",
        secret=(SecretStr("a long enough secret for the tests"),),
        uncertain_after=0.0,
        redis_url=redis_url,
    )
    account = ChatwootAccount(
        name="main", url=chatwoot.url, account=1, token=SecretStr(chatwoot.access_token)
    )
    config = ChannelConfig(adapter="cards", inbox=inbox, settle=0.0, **more)
    channel = Channel("cards", config, Postcards, account)
    return Settings(gateway, {"main": account}, {"cards": channel}, Path("channels.toml"))
