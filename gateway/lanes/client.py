"""The lanes, as Python sees them: one method for each script."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import uuid4

import redis

from gateway.lanes import keys, wire
from gateway.lanes.keys import BrakeField, MessageField
from gateway.lanes.route import Route
from gateway.lanes.scripts import Scripts
from gateway.lanes.values import (
    After,
    Appended,
    Backlog,
    Certainty,
    Claim,
    CursorMove,
    Delayed,
    Entry,
    GatePolicy,
    GateState,
    Lane,
    Lease,
    LeaseVoid,
    Marked,
    Note,
    Pace,
    Taken,
    Trouble,
)
from gateway.model import Receipt

TOMBSTONE_SECONDS = 600
LEDGER_SECONDS = 90 * 86400
"""How long a sent reply stays known, as in prelude/base.lua."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """Lanes, ledger and gates of one gateway. Threads may share it.

    Every method raises redis.RedisError if Redis cannot be asked.
    """

    client: redis.Redis
    queue_key: str
    """RQ's list of waiting jobs: somebody must ring only while it is empty."""
    gates: GatePolicy = field(default_factory=GatePolicy)
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
        outcomes, ring = self._run(
            "append", nonce or uuid4().hex, items, self.queue_key, wire.storable(cursor)
        )
        if outcomes == ["void"]:
            raise LeaseVoid
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
        """The lane's head, marked; None if nothing may leave now (the lane is given back)."""
        return wire.taken(
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
        return wire.taken(
            self._run(
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
        )

    def defer(
        self,
        lease: Lease,
        message: str,
        seconds: float,
        *,
        error: str = "",
        certainty: Certainty = "",
        trouble: Trouble = "",
        nonce: str = "",
    ) -> None:
        """Not now. Gives the lane back for `seconds`. Raises LeaseVoid."""
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
        return wire.taken(
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
        """A suspect has its worker for itself now. Raises LeaseVoid."""
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

    def withdraw(self, message: str, delete: Entry, *, nonce: str = "") -> str:
        """An agent deleted a reply.

        «removed»: it will not be sent; «delete»: it has been, and `delete` stands behind it now;
        «tombstone»: it has not come yet, and will not be sent when it does; «duplicate».
        """
        answer: str = self._run(
            "withdraw",
            message,
            nonce or uuid4().hex,
            wire.storable(wire.item(delete)),
            TOMBSTONE_SECONDS,
        )
        return answer

    def check_retry(self, message: str, look: Entry, *, nonce: str = "") -> bool:
        """Perhaps an agent pressed Retry below a reply: `look` will ask Chatwoot.

        False if that cannot be: the reply is known, and did not fail.
        """
        item = wire.storable(wire.item(look))
        return bool(self._run("check_retry", message, nonce or uuid4().hex, item) == "ok")

    def retry(self, message: str, body: str, *, nonce: str = "") -> bool:
        """An agent did press Retry: what failed of the reply is sent again.

        `body`: of the reply, from Chatwoot. False if the reply is not shown as failed any more.
        """
        return bool(self._run("retry", message, nonce or uuid4().hex, body) == "ok")

    def record_marked_failed(self, message: str) -> str:
        """Chatwoot shows a reply as failed.

        «noted»: not by our word, so what became of it is told again; «ours»; «unknown».
        """
        answer: str = self._run("record_marked_failed", message)
        return answer

    def record_receipt(self, channel: str, receipt: Receipt) -> str:
        """What a network says became of a part: «noted», or «parked» until its id is known."""
        answer: str = self._run(
            "record_receipt",
            channel,
            receipt.external_id,
            receipt.part,
            receipt.status,
            receipt.reason,
        )
        return answer

    def forget_conversation(self, lane: Lane, conversation: str) -> bool:
        """The customer's next message must look for its conversation again, if it was this one."""
        return bool(self._run("forget_conversation", str(lane), conversation))

    def record_conversation_started(self, lane: Lane, conversation: int) -> bool:
        """A conversation began: the customer's next message must look for the right one again, if
        an older one is remembered. False if none is."""
        return bool(self._run("record_conversation_started", str(lane), conversation))

    def route(self, lane: Lane) -> Route:
        """What is remembered of a lane."""
        stored = self.client.hgetall(keys.route(lane))
        return Route.read(cast(Mapping[str, str], stored))

    def braked(self, customer: str) -> str:
        """Since when the brake of a customer is on (Redis's clock, ms); empty if it is off."""
        return str(self.client.hget(keys.brake(customer), BrakeField.SINCE) or "")

    def reply_of(self, channel: str, external_id: str) -> str:
        """The id of the reply that the network knows by `external_id`; empty if none is known."""
        part = self.client.get(keys.external(channel, external_id))
        return str(part).rpartition("#")[0] if part else ""

    def conversation_of(self, message: str) -> str:
        """The conversation that a message is shown in; empty if that is not known (any more)."""
        fields = [MessageField.LANE, MessageField.CONVERSATION]
        found = self.client.hmget(keys.message(message), fields)
        lane, noted = cast(list[str | None], found)
        if noted or lane is None:
            return noted or ""
        known = Lane.read(lane)
        return known.key if known.direction == "out" else ""

    def delayed(self, destination: str, *, seconds: float, most: int = 2000) -> tuple[Delayed, ...]:
        """Replies that have waited longer and that nobody was told of: the first of each lane,
        looking at no more than `most` lanes."""
        found = self._run("delayed", destination, round(seconds * 1000), most)
        return tuple(
            Delayed(Lane.read(lane), message, reason, at / 1000)
            for lane, message, reason, at in found
        )

    def tell_of_delay(self, delayed: Delayed, note: Note, follows: Note, *, nonce: str = "") -> str:
        """Tell agents of a delayed reply, once; `follows` is left when it is delivered.

        «told»; «known» if that was done before; «moved» if it does not wait any more.
        """
        answer: str = self._run(
            "tell_of_delay",
            str(delayed.lane),
            delayed.message,
            nonce or uuid4().hex,
            wire.storable(wire.note(note)),
            wire.storable(wire.note(follows)),
        )
        return answer

    def add_note(self, note: Note, *, nonce: str = "") -> None:
        """Leave a private note in a conversation, once."""
        self._run("add_note", wire.storable(wire.note(note)), nonce or uuid4().hex)

    def lock(self, key: str, token: str, *, seconds: float) -> bool:
        """Take or keep a named lock, for what only one process may do at a time."""
        return bool(self._run("lock", key, token, round(seconds * 1000)))

    def cursor(self, channel: str) -> str | None:
        """Where the channel's poller has got to; None if it has never polled."""
        return self.memo(keys.cursor(channel))

    def memo(self, key: str, *, seconds: int | None = None) -> str | None:
        """What was remembered under a key; None if nothing was. `seconds`: and keep it so long
        from now on, also in a full Redis, where it could not be written anew."""
        text = self.client.get(key) if seconds is None else self.client.getex(key, ex=seconds)
        return None if text is None else str(text)

    def remember(self, key: str, text: str, *, seconds: int | None = None) -> None:
        """Keep a small text under a key; `seconds`: for how long, if not for ever."""
        self.client.set(key, text, ex=seconds)

    def unlock(self, key: str, token: str) -> None:
        """Give a named lock back."""
        self._run("unlock", key, token)

    def pending(self) -> bool:
        """Whether a drain has something to do and nobody has been asked for one."""
        return bool(self._run("pending", self.queue_key))

    def backlog(self, *, most: int = 1000) -> Backlog:
        """What waits and why, looking at no more than `most` lanes of each destination."""
        gates, ages = self._run("backlog", most)
        return Backlog(
            tuple(
                GateState(name, lanes, state or "open", reason, seconds)
                for name, lanes, state, reason, seconds in gates
            ),
            {_split(name): age / 1000 for name, age in ages},
        )

    def wait(self, seconds: float) -> None:
        """Sleep until something becomes due, at most `seconds`."""
        self.client.blpop([keys.WAKE], timeout=max(0.01, seconds))


def _split(name: str) -> tuple[str, str]:
    channel, direction = name.split("|")
    return channel, direction
