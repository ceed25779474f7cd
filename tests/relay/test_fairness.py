"""Who waits for whom: a busy conversation, a throttled network, and all the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest
import redis

from gateway.adapter import ChannelConfig
from gateway.chatwoot.webhook import read
from gateway.config import Channel
from gateway.lanes import Lanes, Lease, Pace, Taken, keys
from gateway.model import Inbound, Part, Sent
from gateway.relay.delivery import Done
from gateway.relay.drain import Drain, Limits
from gateway.relay.lane_worker import LaneWorker
from gateway.relay.quarantine import Quarantine
from gateway.relay.retry_policy import Patience
from sandbox.chatwoot import ChatwootStandIn
from tests.relay.env import Postcards, opened, settings_for, webhook
from tests.scripted import ScriptedServer, answer
from tests.unit.lanes_kit import lanes_over, letter

MANY = 10_000
LIMITS = Limits(threads=4, lease=30.0, linger=0.05, longest=60.0)
"""Two threads for one destination."""


@dataclass
class Held:
    """Delivers nothing of a busy lane before it may, and anything else at once."""

    may: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    done: list[str] = field(default_factory=list)
    pace: Pace = field(default_factory=Pace)
    patience: Patience = field(default_factory=Patience)
    under_way: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    other: threading.Event = field(default_factory=threading.Event)

    def deliver(self, lease: Lease, taken: Taken) -> Done:
        if lease.lane.key.startswith("busy"):
            self.under_way.release()
            assert self.may.acquire(timeout=20)
        self.done.append(lease.lane.key)
        if not lease.lane.key.startswith("busy"):
            self.other.set()
        return Done()

    def let_go(self, count: int) -> None:
        for _ in range(count):
            self.may.release()


def fill(lanes: Lanes, peer: str, count: int) -> None:
    letters = (replace(letter(n, peer=peer), id=f"{peer}-{n}") for n in range(count))
    lanes.append(list(letters))


@contextmanager
def draining(lanes: Lanes, delivery: Held) -> Iterator[None]:
    """A drain that runs beside the test."""
    worker, stop = LaneWorker(lanes, lambda lease, kind: delivery, Quarantine()), threading.Event()
    with ThreadPoolExecutor(LIMITS.threads) as pool:
        drain = Drain(
            lanes,
            lambda lease, last, ours: worker.work(lease, stop=last, still_ours=ours),
            pool,
            LIMITS,
            stop=stop,
            beat=lambda: None,
        )
        thread = threading.Thread(target=drain.run)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            delivery.let_go(MANY)
            thread.join(20)
            assert not thread.is_alive()


def test_ten_thousand_messages_of_one_customer_hold_up_nobody_else(store: redis.Redis) -> None:
    lanes, delivery = lanes_over(store), Held()
    fill(lanes, "busy", MANY)
    with draining(lanes, delivery):
        assert delivery.under_way.acquire(timeout=10)
        fill(lanes, "other", 1)
        assert delivery.other.wait(10)
        assert delivery.done == ["other"]  # between its acceptance and its delivery: no other


def test_where_every_thread_is_busy_each_finishes_what_it_has_begun(
    store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.relay.drain.TURN", 0.0)
    lanes, delivery, threads = lanes_over(store), Held(), LIMITS.threads // 2
    for n in range(threads):
        fill(lanes, f"busy {n}", MANY // 10)
    with draining(lanes, delivery):
        for _ in range(threads):
            assert delivery.under_way.acquire(timeout=10)
        fill(lanes, "other", 1)
        while not delivery.other.is_set():
            delivery.let_go(1)  # the next one begins before another may end: nothing piles up
            delivery.under_way.acquire(timeout=0.2)
            assert len(delivery.done) < 100
        # What was under way, and the one that was handed out with its end.
        assert delivery.done.index("other") <= 2 * threads


class Throttled(Postcards):
    """A network that answers everything with 429."""

    url = ""

    def send(self, part: Part) -> Sent:
        self.http.post(self.url, data=part.text)
        raise AssertionError("it was refused")


def test_a_throttled_channel_delays_no_other(redis_url: str, store: redis.Redis) -> None:
    people = 20  # the first message of each counts as four calls to Chatwoot
    with ChatwootStandIn() as chatwoot, ScriptedServer() as network:
        network.otherwise = answer(429, b"{}", {"Retry-After": "3000"})
        settings = settings_for(chatwoot, chatwoot.add_inbox("Cards", None), redis_url)
        config = ChannelConfig(
            adapter="throttled", inbox=chatwoot.add_inbox("Throttled", None), settle=0.0
        )
        throttled = Channel("throttled", config, Throttled, settings.accounts["main"])
        channels = {**settings.channels, "throttled": throttled}
        with opened(replace(settings, channels=channels), chatwoot, store) as env:
            vars(env.deliveries.adapters["throttled"])["url"] = network.url
            for channel in channels.values():
                for n in range(people):
                    env.intake.take(channel, [Inbound(f"{n}", f"{channel.name} {n}", "hello")])
            env.drain()
            by_inbox = {channel.config.inbox: channel for channel in channels.values()}
            for conversation in chatwoot.conversations():
                number = chatwoot.agent_reply(conversation["id"], "hi")
                payload = webhook(chatwoot, conversation["id"], number, "message_created")
                env.intake.take_event(by_inbox[conversation["inbox_id"]], read(payload))
            env.drain()  # it ends, so no thread is held
            assert len(env.network.sent) == people
            asked = len(network.requests)
            assert 1 <= asked <= 8 // 2  # half of the threads had begun before it was known
            env.customer_writes("and more", peer="cards 0")
            env.drain()
            assert "and more" in env.incoming()
            assert len(network.requests) == asked
            assert store.zcard(keys.due("channel/throttled")) == people
