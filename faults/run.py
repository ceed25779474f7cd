"""One run: everything is set up, fed, broken, left to settle, and reckoned up."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import redis

from faults.books import Books
from faults.network import Inbox, Postman
from faults.notes import Notes
from faults.processes import KeptProcesses, roles_of
from faults.reckoning import Reckoning, reckon
from faults.settings import CHANNELS, KEY, LEASE, TEMPLATE, UNCERTAIN_AFTER, Events
from faults.stores import Alone, Replicated, Store
from faults.traffic import Traffic
from faults.troubles import Freezer, Killer, Weather
from gateway import config
from gateway.storage.connections import connect
from sandbox.chatwoot import ChatwootStandIn
from sandbox.ports import free_ports

START = 60.0
"""Seconds until the gateway must have met its inboxes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of a run."""

    messages: int
    kills: int
    minutes: float
    """After which nothing more is fed."""
    seed: str
    folder: Path
    """Where everything is written to."""
    sentinels: bool = False
    """Whether there are a primary, a replica and three sentinels instead of one server."""
    events: Events = "webhook"

    @property
    def reconcile_every(self) -> float:
        """Seconds. A long run has many conversations to look at each time."""
        return 5.0 if self.is_short else 15.0

    @property
    def each(self) -> int:
        """Messages of a conversation, each way."""
        return 15 if self.is_short else 40

    @property
    def settle_within(self) -> float:
        """Seconds, from when nothing is broken any more. What failed often waits long."""
        return 100.0 if self.is_short else 420.0

    @property
    def is_short(self) -> bool:
        return self.messages <= 5000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run found."""

    plan: Plan
    messages: int
    kills: int
    uncertain: int
    reckoning: Reckoning
    seconds: float
    remarks: tuple[str, ...]
    troubled: tuple[str, ...]
    """Why the run did not finish: then it proves nothing."""

    @property
    def good(self) -> bool:
        return self.reckoning.kept and not self.troubled

    @property
    def line(self) -> str:
        found = self.reckoning
        return (
            f"faults: seed={self.plan.seed} messages={self.messages} kills={self.kills} "
            f"lost={found.lost} doubled_in_chatwoot={found.doubled_in_chatwoot} "
            f"doubled_on_channel={found.doubled_on_channel} reordered={found.reordered} "
            f"late={found.late} late_replies={found.late_replies} "
            f"not_replicated={found.not_replicated} "
            f"uncertain={self.uncertain} seconds={self.seconds:.0f}"
        )


@dataclass(frozen=True, slots=True)
class Scene:
    """All that runs."""

    plan: Plan
    processes: KeptProcesses
    store: Store
    chatwoot: ChatwootStandIn
    inbox: Inbox
    postman: Postman
    notes: Notes
    traffic: Traffic
    books: Books
    settle: float


def run(plan: Plan) -> Outcome:
    """Raises TimeoutError if the gateway does not start."""
    with _set_up(plan) as scene:
        _until(scene.store.ready, START, "the sentinels do not know each other")
        _until(lambda: _met(scene.books), START, "the gateway has not met its inboxes")
        started = time.monotonic()
        troubled: list[str] = []
        remarks = [*_feed_and_break(scene, troubled), *_let_settle(scene, troubled)]
        seconds = time.monotonic() - started
        found = reckon(
            scene.notes,
            scene.chatwoot,
            scene.books,
            settle=scene.settle,
            resolved=scene.traffic.resolved,
            failed_over=scene.store.failed_over,
        )
        return Outcome(
            plan,
            scene.traffic.fed,
            scene.processes.kills,
            scene.books.total("uncertain"),
            found,
            seconds,
            (
                *remarks,
                *found.words,
            ),
            tuple(troubled),
        )


@contextlib.contextmanager
def _set_up(plan: Plan) -> Iterator[Scene]:
    notes = Notes(plan.folder / "notes")
    ports = free_ports(2)
    inbox = Inbox()
    folder = plan.folder / "redis"
    store: Store = Replicated(folder) if plan.sentinels else Alone(folder)
    webs = [f"http://127.0.0.1:{port}" for port in ports]
    with ChatwootStandIn(flood_limit=None) as chatwoot, contextlib.ExitStack() as stack:
        stack.callback(notes.close)
        inbox.start()
        stack.callback(inbox.go_away)
        postman = Postman(webs, KEY, plan.seed)
        traffic = Traffic(
            plan.messages, chatwoot, inbox, postman, notes, each=plan.each, seed=plan.seed
        )
        file, settle = _wire(plan, chatwoot, inbox, ports)
        postman.start()
        stack.callback(postman.stop)
        roles = (*store.roles, *roles_of(store.environ, file, ports))
        processes = KeptProcesses(roles, plan.folder)
        stack.enter_context(processes.running())
        books = Books(connect(store.url, connections=2, retries=5))
        yield Scene(plan, processes, store, chatwoot, inbox, postman, notes, traffic, books, settle)


def _wire(
    plan: Plan, chatwoot: ChatwootStandIn, inbox: Inbox, ports: tuple[int, ...]
) -> tuple[Path, float]:
    """Write channels.toml, and tell Chatwoot whom to call, if anybody: each inbox another
    machine."""
    inboxes = {name: chatwoot.add_inbox(name, None) for name in CHANNELS}
    file = plan.folder / "channels.toml"
    text = TEMPLATE.format(
        port=ports[0],
        lease=LEASE,
        uncertain_after=UNCERTAIN_AFTER,
        reconcile_every=plan.reconcile_every,
        events=plan.events,
        chatwoot=chatwoot.url,
        token=chatwoot.access_token,
        inboxes=inboxes,
        key=KEY,
        network=inbox.url,
    )
    file.write_text(text, encoding="utf-8")
    settings = config.load(file, {})
    for name, port in zip(CHANNELS, itertools.cycle(ports), strict=False):
        if plan.events == "websocket":
            break  # nobody is called
        url = settings.chatwoot_url(settings.channels[name])
        chatwoot.set_webhook(inboxes[name], url.replace(f":{ports[0]}/", f":{port}/"))
    return file, max(channel.config.settle for channel in settings.channels.values())


def _feed_and_break(scene: Scene, troubled: list[str]) -> list[str]:
    """Feed, while everything breaks. Returns remarks; `troubled` gets why feeding halted."""
    plan, traffic = scene.plan, scene.traffic
    killer = Killer(plan.kills, scene.processes, scene.store, plan.seed)
    freezer = Freezer(scene.processes, scene.store.unstoppable, plan.seed)
    weather = Weather(scene.chatwoot, scene.inbox, plan.seed, plan.events)
    stop = threading.Event()
    ends = time.monotonic() + plan.minutes * 60

    def progress() -> float:
        return traffic.fed / traffic.total

    def allowed() -> float:
        """Feeding waits for the kills: a burst of messages would pass between two."""
        share = (scene.processes.kills + 2) / plan.kills if plan.kills else 1.0
        return share * traffic.total

    troubles = [
        threading.Thread(target=killer.run, args=(stop, progress), name="killer"),
        threading.Thread(target=freezer.run, args=(stop,), name="freezer"),
        threading.Thread(target=weather.run, args=(stop,), name="weather"),
    ]
    for trouble in troubles:
        trouble.start()
    try:
        traffic.feed(allowed, ends)
        troubles[0].join(max(0.0, ends - time.monotonic()))
    except TimeoutError as stalled:
        troubled.append(str(stalled))
    finally:
        stop.set()
        for trouble in troubles:
            trouble.join()
    return [
        f"replies are told of by {plan.events}",
        f"killed: {_listed(killer.by_role)}; stopped for a while: {freezer.count}",
        f"ended by themselves: {_listed(scene.processes.ends)}",
        f"troubles: {_listed(weather.count)}",
    ]


def _let_settle(scene: Scene, troubled: list[str]) -> list[str]:
    """Nothing is broken any more: wait until everything has arrived, and nothing is left to do."""
    started = time.monotonic()
    try:
        _until(scene.store.ready, START, "the replica does not follow")
        _until(lambda: _settled(scene), scene.plan.settle_within, "it has not settled")
    except TimeoutError as error:
        troubled.append(f"{error}: {scene.books.waiting_lanes()} lanes wait")
    time.sleep(UNCERTAIN_AFTER)  # a worker that still holds something delivers it
    letters = [f"given up: {letter}" for letter in scene.books.dead_letters()]
    removed = scene.books.total("doubles_removed")
    seconds = time.monotonic() - started
    troubled += scene.store.doubts()
    return [
        *scene.store.remarks(),
        *letters,
        f"settled in {seconds:.0f} s; doubles removed in Chatwoot: {removed}",
    ]


def _settled(scene: Scene) -> bool:
    """Nothing waits; and what is missing will not come, since Chatwoot has been asked again."""
    done = scene.postman.idle() and scene.chatwoot.wait_for_webhooks(0.0)
    if not done or scene.books.waiting_lanes():
        return False
    quiet = scene.traffic.seconds_since_arrival() > 4 * scene.plan.reconcile_every
    return quiet or not scene.traffic.missing()


def _met(books: Books) -> bool:
    try:
        return books.has_met(CHANNELS)
    except redis.RedisError:
        return False


def _until(come_about: Callable[[], bool], seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not come_about():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{otherwise} after {seconds:g} s")
        time.sleep(0.1)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"
