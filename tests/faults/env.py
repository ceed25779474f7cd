"""What a killed process leaves behind, and another process that takes over: this one."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from gateway.chatwoot.webhook import read
from gateway.clock.reconcile import Reconciler
from gateway.config import Channel, Settings
from gateway.intake.doorbell import Doorbell, queue_key
from gateway.intake.intake import Intake
from gateway.lanes import Entry, KeyValues, Lanes, Lease, Ledger, bodies, ids, keys
from gateway.lanes.bodies import NoteText
from gateway.model import Inbound, Person
from gateway.relay.drain import Drain, Limits
from gateway.relay.lane_worker import LaneWorker
from gateway.relay.quarantine import Quarantine
from gateway.relay.wiring import Deliveries
from gateway.runtime import Runtime
from sandbox.chatwoot import ChatwootStandIn, payloads
from tests.faults.cards import KEY
from tests.faults.stepping import Home, Role, Step, forked_from_here, run
from tests.waiting import until

CHANNELS = """
[gateway]
public_url = "http://127.0.0.1:1"
public_url_wait = 0
secret = "a long enough secret for the tests"
uncertain_after = 0.3

[chatwoot.main]
url = "{url}"
account = 1
token = "{token}"
requests_per_minute = 0

[channels.cards]
adapter = "tests.faults.cards:Cards"
inbox = {inbox}
settle = 0
on_uncertain = "{on_uncertain}"
box = "{folder}/box"
"""


@dataclass
class Env:
    """A gateway whose processes end when they are told, and what the two sides hold."""

    chatwoot: ChatwootStandIn
    store: redis.Redis
    settings: Settings
    lanes: Lanes
    deliveries: Deliveries
    home: Home

    @property
    def channel(self) -> Channel:
        return self.settings.channels["cards"]

    @property
    def intake(self) -> Intake:
        return Intake(self.lanes, Doorbell(self.store))

    # Processes that end

    @contextmanager
    def worker(self, step: Step) -> Iterator[ForkServerProcess]:
        """A worker process which ends at `step`."""
        Doorbell(self.store).ring()
        with self._process("worker", step) as (process, _):
            yield process

    def killed(self, step: Step) -> None:
        """Let a worker work until it has ended at `step`."""
        with self.worker(step) as process:
            _see_it_die(process, step)

    def post(self, step: Step | None, *requests_: tuple[str, Any]) -> list[bool]:
        """Call a web process, which ends at `step`. Returns what it has answered with 200."""
        with self._process("web", step) as (process, url):
            taken = [_post(url, *each) for each in requests_]
            if step is not None:
                _see_it_die(process, step)
        return taken

    @contextmanager
    def _process(self, role: Role, step: Step | None) -> Iterator[tuple[ForkServerProcess, str]]:
        context = forked_from_here()
        here, there = context.Pipe()
        process = context.Process(target=run, args=(role, step, self.home, there))
        process.start()
        try:
            address = ""
            if role == "web":
                assert here.poll(20), self.home.log.read_text()
                address = f"http://127.0.0.1:{here.recv()}"
            yield process, address
        finally:
            process.kill()
            process.join()

    # This process, which takes over

    def take_over(self, done: Callable[[], object]) -> None:
        """Deliver what is due, once the leases of whoever died have run out, until `done`."""
        self.store.delete(queue_key())  # as a worker does that hears the ring
        stop, limits = threading.Event(), Limits(threads=8, lease=10, linger=0.05, longest=20)
        worker = LaneWorker(self.lanes, self.deliveries, Quarantine())

        def work(lease: Lease, last: Callable[[], bool], still_ours: Callable[[], bool]) -> None:
            worker.work(lease, stop=last, still_ours=still_ours)

        def drained() -> object:
            Drain(self.lanes, work, pool, limits, stop=stop, beat=lambda: None).run()
            return done()

        with ThreadPoolExecutor(8) as pool:
            until(drained)

    # What the two sides hold

    def customer_writes(self, *texts: str) -> None:
        messages = [Inbound(text, "p1", text, Person(name="Ada")) for text in texts]
        self.intake.take(self.channel, messages)

    def agent_writes(self, *texts: str) -> list[int]:
        """The replies' numbers; the gateway is told of them."""
        numbers = [self.chatwoot.agent_reply(1, text) for text in texts]
        for number in numbers:
            assert self.intake.take_event(self.channel, read(self.webhook(number))) == "accepted"
        return numbers

    def leave_note(self, words: str) -> None:
        """Something is to be told to the agents of the conversation."""
        entry = Entry(
            id="o:cards:1:note",
            lane=ids.status_lane("cards", 1),
            destination=ids.chatwoot_destination("main"),
            kind="note",
            body=bodies.write(NoteText(1, words)),
        )
        self.lanes.append([entry])

    def chatwoot_says(self, message: int, event: str = "message_created") -> tuple[str, Any]:
        """The request with which Chatwoot tells of a message."""
        base = self.settings.gateway.public_url
        path = self.settings.chatwoot_url(self.channel).removeprefix(base)
        return path, self.webhook(message, event)

    def webhook(self, message: int, event: str = "message_created") -> Any:
        with self.chatwoot.store.reading():
            row = self.chatwoot.store.messages.get(message)
            return {**payloads.message_webhook(self.chatwoot.store, row), "event": event}

    def reconciler(self) -> Reconciler:
        way = self.deliveries.chatwoots["main"]
        return Reconciler(self.channel, way, Ledger(self.store), KeyValues(self.store), self.intake)

    def shown(self, kind: int = 0) -> list[str]:
        """The messages of a kind that agents see in all conversations."""
        return [
            message["content"]
            for conversation in sorted(self.chatwoot.conversations(), key=lambda c: c["id"])
            for message in self.chatwoot.messages(conversation["id"])
            if message["message_type"] == kind and not message["content_attributes"].get("deleted")
        ]

    def sent(self) -> list[str]:
        """What the customer got."""
        box = self.home.folder / "box"
        lines = box.read_text().splitlines() if box.exists() else []
        return [json.loads(line)["text"] for line in lines]

    def status(self, number: int) -> str:
        return next(str(m["status"]) for m in self.chatwoot.messages(1) if m["id"] == number)

    def posts(self) -> int:
        """How often a message was posted to Chatwoot."""
        return sum(
            count
            for (method, route), count in self.chatwoot.requests.items()
            if method == "POST" and route.endswith("/messages")
        )

    def count(self, what: str) -> int:
        return int(self.store.hget(keys.COUNTS, f"{what}|cards") or 0)

    def delivered(self, what: str, number: int) -> Callable[[], bool]:
        return lambda: self.count(f"delivered_{what}") == number


def _see_it_die(process: ForkServerProcess, step: Step) -> None:
    process.join(20)
    assert process.exitcode == -signal.SIGKILL, f"it did not come to {step}"


def customer_says(text: str) -> tuple[str, Any]:
    return "/channels/cards/webhook", {"id": text, "text": text}


def _post(url: str, path: str, body: Any) -> bool:
    try:
        answer = requests.post(url + path, json=body, headers={"X-Key": KEY}, timeout=20)
    except requests.ConnectionError:
        return False
    return answer.status_code == 200


@pytest.fixture
def env(
    request: pytest.FixtureRequest, tmp_path: Path, redis_url: str, store: redis.Redis
) -> Iterator[Env]:
    """Indirectly parametrised: `on_uncertain`."""
    with ChatwootStandIn() as chatwoot:
        (tmp_path / "channels.toml").write_text(
            CHANNELS.format(
                url=chatwoot.url,
                token=chatwoot.access_token,
                inbox=chatwoot.add_inbox("Cards", None),
                on_uncertain=getattr(request, "param", "resend"),
                folder=tmp_path,
            )
        )
        home = Home(redis_url, tmp_path)
        settings = home.settings()
        lanes = Lanes(store, queue_key())
        deliveries = Deliveries(settings, lanes, Runtime())
        yield Env(chatwoot, store, settings, lanes, deliveries, home)
        deliveries.close()
