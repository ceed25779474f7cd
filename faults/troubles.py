"""What goes wrong, drawn from the seed: processes killed and stopped, stand-ins that misbehave."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from faults.network import Inbox
from faults.processes import KeptProcesses, Process
from faults.settings import LEASE, UNCERTAIN_AFTER, Events
from faults.stores import Store
from sandbox.chatwoot import ChatwootStandIn
from sandbox.faults import Fault, Faults, Kind

TARGETS = {"valkey": 3, "sentinel": 1, "worker": 3, "web": 2, "web-child": 1, "clock": 2}
"""Whom a kill strikes, and how often."""
SEVERAL = 0.15
"""Share of the kills that strike one more at the same moment."""
POSTS = "*/messages"


class Killer:
    """Kills `total` times in all, spread over the traffic."""

    def __init__(self, total: int, processes: KeptProcesses, store: Store, seed: str) -> None:
        self.total = total
        self.by_role: Counter[str] = Counter()
        self._processes = processes
        self._store = store
        self._targets = {
            target: weight for target, weight in TARGETS.items() if self._named(target)
        }
        self._random = random.Random(f"{seed} killer")

    def run(self, stop: threading.Event, progress: Callable[[], float]) -> None:
        """`progress` goes from 0 to 1; kills keep pace with it. Returns when all are done."""
        while self._processes.kills < self.total and not stop.wait(self._store.closest):
            if self._processes.kills <= progress() * self.total:
                self._strike()
                while self._random.random() < SEVERAL and self._processes.kills < self.total:
                    self._strike()

    def _strike(self) -> None:
        target = self._random.choices(list(self._targets), list(self._targets.values()))[0]
        process = self._processes.by_name[self._random.choice(self._named(target))]
        if self._kill(process, target):
            self.by_role[target] += 1

    def _kill(self, process: Process, target: str) -> bool:
        match target:
            case "web-child":
                return process.kill_child()
            case "valkey" | "sentinel":
                return self._store.kill(process, self._processes.by_name)
            case _:
                return process.kill()

    def _named(self, target: str) -> list[str]:
        role = target.removesuffix("-child")
        return sorted(name for name in self._processes.by_name if name.startswith(role))


class Freezer:
    """Stops a process for longer than a lease, again and again, and lets it go on."""

    def __init__(self, processes: KeptProcesses, spared: frozenset[str], seed: str) -> None:
        """`spared`: the names of those that are never stopped."""
        self.count = 0
        self._processes = processes
        self._spared = spared
        self._random = random.Random(f"{seed} freezer")

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(self._random.uniform(0.2, 2.0)):
            process = self._random.choice(self._candidates())
            seconds = self._random.uniform(1.1, 1.8) * LEASE
            if frozen := process.freeze():
                self.count += 1
                stop.wait(seconds)
                process.thaw(frozen)

    def _candidates(self) -> list[Process]:
        """Workers more often than others: theirs are the leases."""
        processes = [
            each
            for name, each in sorted(self._processes.by_name.items())
            if name not in self._spared
        ]
        return processes + [each for each in processes if each.name.startswith("worker")] * 3


@dataclass(frozen=True, slots=True)
class Place:
    """A stand-in that can misbehave."""

    faults: Faults
    go_away: Callable[[], None]
    come_back: Callable[[], None]
    replies: str
    """The path under which messages are posted to it."""


class Weather:
    """One trouble after the other at the stand-ins, and now and then none."""

    def __init__(
        self, chatwoot: ChatwootStandIn, inbox: Inbox, seed: str, events: Events = "webhook"
    ) -> None:
        self.count: Counter[str] = Counter()
        self._disturb = self._disturb_webhooks if events == "webhook" else self._disturb_stream
        self._chatwoot = chatwoot
        self._places = {
            "chatwoot": Place(chatwoot.faults, chatwoot.go_away, chatwoot.come_back, POSTS),
            "network": Place(inbox.faults, inbox.go_away, inbox.come_back, POSTS),
        }
        self._random = random.Random(f"{seed} weather")

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(self._random.uniform(0.1, 0.8)):
            name = self._random.choice(sorted(self._places))
            place = self._places[name]
            trouble = self._random.choice(
                (
                    self._send_away,
                    self._misbehave,
                    self._misbehave,
                    self._misbehave,
                    self._misbehave,
                )
            )
            self.count[f"{name}: {trouble(place, stop)}"] += 1
            if self._random.random() < 0.3:
                self.count[f"chatwoot: {self._disturb(stop)}"] += 1

    def _send_away(self, place: Place, stop: threading.Event) -> str:
        place.go_away()
        stop.wait(self._random.uniform(0.2, 2.0))
        place.come_back()
        return "away"

    def _misbehave(self, place: Place, stop: threading.Event) -> str:
        """The next few requests meet a fault, for a second at most; messages more than others."""
        fault = self._fault("*" if self._random.random() < 0.3 else place.replies)
        place.faults.add(fault)
        stop.wait(self._random.uniform(0.1, 1.0))
        place.faults.clear()
        return f"{fault.kind}{f' {fault.status}' if fault.status else ''}"

    def _fault(self, path: str) -> Fault:
        kind, status = self._random.choice(
            (
                (Kind.LATENCY, 0),
                (Kind.STATUS, 500),
                (Kind.STATUS, 503),
                (Kind.STATUS, 429),
                (Kind.HTML, 502),
                (Kind.HTML, 200),
                (Kind.EMPTY, 200),
                (Kind.HALF, 0),
                (Kind.DROP, 0),
                (Kind.DROP_UNREAD, 0),
                (Kind.SILENCE, 0),
                (Kind.LOSE, 0),
                (Kind.LOSE, 0),
                (Kind.LATE, 0),
                (Kind.LATE, 502),
            )
        )
        # What is done late must be done by then: after that the gateway looks, and believes it.
        longest = UNCERTAIN_AFTER * 0.7 if kind is Kind.LATE else 1.5
        return Fault(
            kind,
            path=path,
            times=self._random.choice((1, 2, 5, 20)),
            seconds=self._random.uniform(0.2, longest),
            status=status,
            retry_after=1 if status == 429 else None,
        )

    def _disturb_webhooks(self, stop: threading.Event) -> str:
        """Chatwoot's own webhooks come twice, or later and in another order."""
        webhooks = self._chatwoot.webhooks
        if self._random.random() < 0.5:
            webhooks.duplicates = True
            stop.wait(self._random.uniform(0.5, 2.0))
            webhooks.duplicates = False
            return "webhooks doubled"
        before, webhooks.spread = webhooks.spread, self._random.uniform(0.1, 1.0)
        stop.wait(self._random.uniform(0.5, 2.0))
        webhooks.spread = before
        return "webhooks shuffled"

    def _disturb_stream(self, stop: threading.Event) -> str:
        """The event stream is cut, at once or after a silence in which what it tells is lost."""
        stream = self._chatwoot.cable
        if self._random.random() < 0.5:
            stream.cut()
            return "event stream cut"
        stream.fall_silent()
        stop.wait(self._random.uniform(0.5, 3.0))
        stream.cut()
        stream.speak_again()
        return "event stream silent, then cut"
