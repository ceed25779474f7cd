"""The lanes, as those see them who fill and empty them: one method for each script."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import uuid4

import redis

from gateway.lanes import keys, wire
from gateway.lanes.lane import Lane
from gateway.lanes.route import Route
from gateway.lanes.scripts import Scripts
from gateway.lanes.values import (
    After,
    Appended,
    Certainty,
    Claim,
    CursorMove,
    Entry,
    GatePolicy,
    Lease,
    LeaseVoid,
    Marked,
    Note,
    Pace,
    Taken,
    Trouble,
)


@dataclass(frozen=True, slots=True)
class Lanes:
    """The lanes of one gateway, with their gates and rates. Threads may share it.

    Every method raises redis.RedisError if Redis cannot be asked.
    """

    client: redis.Redis
    queue_key: str
    """RQ's list of waiting jobs: somebody must ring only while it is empty."""
    gates: GatePolicy = field(default_factory=GatePolicy)
    remember: Callable[[int], object] = field(default=lambda sequence: None, compare=False)
    """Called with each sequence number that Redis tells: one that has gone back is found so."""
    _run: Scripts = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_run", Scripts(self.client))

    def append(
        self, entries: Iterable[Entry], *, move: CursorMove | None = None, nonce: str = ""
    ) -> Appended:
        """Store entries, each once; with `move`, advance a poller's cursor in the same step.

        Raises LeaseVoid if the poller has lost its lease: then nothing is stored.
        """
        items = wire.storable([wire.item(entry) for entry in entries])
        cursor = {} if move is None else wire.cursor(move)
        outcomes, ring, *sequence = self._run(
            "append", nonce or uuid4().hex, items, self.queue_key, wire.storable(cursor)
        )
        if outcomes == ["void"]:
            raise LeaseVoid
        self.remember(*sequence)
        return Appended(tuple(outcomes), bool(ring))

    def claim(
        self, most: int, *, seconds: float, most_each: int, at_work: Mapping[str, int], token: str
    ) -> Claim:
        """Lease up to `most` due lanes, of one destination at most `most_each`."""
        found, next_due = self._run(
            "claim", token, most, round(seconds * 1000), most_each, json.dumps(dict(at_work))
        )
        leases = tuple(Lease(Lane.read(lane), destination, token) for lane, destination in found)
        return Claim(leases, None if next_due < 0 else next_due / 1000)

    def take(self, lease: Lease, *, pace: Pace, nonce: str = "") -> Taken | None:
        """Hand out the lane's head; None if nothing may leave now (the lane is given back)."""
        return wire.read_taken(
            self._run(
                "take",
                str(lease.lane),
                lease.destination,
                lease.token,
                nonce or uuid4().hex,
                *pace.argv(),
            )
        )

    def announce(
        self, lease: Lease, message: str, target: str, *, pace: Pace | None = None, nonce: str = ""
    ) -> Marked:
        """Say where a message is going now, before the call.

        «wait»: the rate does not allow it yet, and the lane was given back. Raises LeaseVoid.
        """
        argv = (pace or Pace()).argv()
        answer = self._run(
            "announce",
            str(lease.lane),
            lease.destination,
            lease.token,
            message,
            target,
            nonce or uuid4().hex,
            *argv,
        )
        if answer == "void":
            raise LeaseVoid
        return cast(Marked, answer)

    def record_part(
        self, lease: Lease, message: str, part: int, total: int, external_ids: Sequence[str]
    ) -> None:
        """A part is done. Noted in any case; raises LeaseVoid if the lane is not ours any more."""
        ids = wire.storable(list(external_ids))
        answer = self._run(
            "record_part",
            str(lease.lane),
            lease.token,
            message,
            part,
            total,
            ids,
            lease.lane.channel,
        )
        if answer == "void":
            raise LeaseVoid

    def ack(
        self,
        lease: Lease,
        message: str,
        *,
        pace: Pace,
        after: After = "more",
        told: str = "",
        routes: Mapping[Lane, Route] | None = None,
        doubled: int = 0,
        nonce: str = "",
    ) -> Taken | None:
        """The message is done. Returns the next one, or None if the lane was given back.

        `told`: the status that Chatwoot shows now; `routes`: what to remember, lane by lane.
        """
        outcome: dict[str, Any] = {}
        if routes:
            outcome["routes"] = [[str(lane), route.write()] for lane, route in routes.items()]
        if told:
            outcome["told"] = told
        if doubled:
            outcome["doubled"] = doubled
        answer = self._run(
            "ack",
            str(lease.lane),
            lease.destination,
            lease.token,
            message,
            nonce or uuid4().hex,
            after,
            wire.storable(outcome),
            *pace.argv(),
        )
        if (sequence := wire.sequence_in(answer)) is not None:
            self.remember(sequence)
        return wire.read_taken(answer)

    def defer(
        self,
        lease: Lease,
        message: str,
        seconds: float,
        *,
        error: str = "",
        certainty: Certainty = "",
        trouble: Trouble = "",
        behind_gate: float | None = None,
        nonce: str = "",
    ) -> None:
        """Not now. Gives the lane back for `seconds`. Raises LeaseVoid.

        `behind_gate`: seconds instead, if the trouble leaves the destination's gate closed.
        """
        answer = self._run(
            "defer",
            str(lease.lane),
            lease.destination,
            lease.token,
            message,
            nonce or uuid4().hex,
            round(seconds * 1000),
            error,
            certainty,
            trouble,
            self.gates.failures,
            round(self.gates.first_wait * 1000),
            round(self.gates.longest_wait * 1000),
            round((seconds if behind_gate is None else behind_gate) * 1000),
        )
        if answer == "void":
            raise LeaseVoid

    def bury(
        self,
        lease: Lease,
        message: str,
        reason: str,
        *,
        pace: Pace,
        after: After = "more",
        note: Note | None = None,
        certainty: Certainty = "",
        nonce: str = "",
    ) -> Taken | None:
        """Give up on a message. Returns the next one, or None if the lane was given back."""
        return wire.read_taken(
            self._run(
                "bury",
                str(lease.lane),
                lease.destination,
                lease.token,
                message,
                nonce or uuid4().hex,
                reason,
                after,
                *pace.argv(),
                wire.storable(None if note is None else wire.note(note)),
                certainty,
            )
        )

    def release(self, lease: Lease, message: str = "", *, seconds: float = 0.0) -> None:
        """Give a lane back; `message` is the one handed out with it, if no call was made for it."""
        self._run(
            "release",
            str(lease.lane),
            lease.destination,
            lease.token,
            message,
            round(seconds * 1000),
        )

    def isolate(self, lease: Lease, message: str) -> None:
        """Say that a message in quarantine has its worker to itself now. Raises LeaseVoid."""
        if self._run("isolate", str(lease.lane), lease.token, message) == "void":
            raise LeaseVoid

    def renew(self, leases: Iterable[Lease], *, seconds: float) -> frozenset[Lease]:
        """Keep leases alive. Returns those that are still ours."""
        held = tuple(leases)
        if not held:
            return frozenset()
        named = [value for each in held for value in (str(each.lane), each.destination, each.token)]
        kept = self._run("renew", round(seconds * 1000), *named)
        return frozenset(held[number - 1] for number in kept)

    def add_note(self, note: Note, *, nonce: str = "") -> None:
        """Leave a private note in a conversation, once."""
        self._run("add_note", wire.storable(wire.note(note)), nonce or uuid4().hex)

    def pending(self) -> bool:
        """Whether a drain has something to do and nobody has been asked for one."""
        return bool(self._run("pending", self.queue_key))

    def wait(self, seconds: float) -> None:
        """Sleep until something becomes due, at most `seconds`."""
        self.client.blpop([keys.WAKE], timeout=max(0.01, seconds))
