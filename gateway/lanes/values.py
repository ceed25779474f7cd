"""What goes into the lanes and comes out of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.lanes.lane import Lane
from gateway.lanes.route import Route
from gateway.lanes.subject import Subject
from gateway.model import Rate

Kind = Literal["in", "out", "delete", "status", "note", "check_retry", "unread", "webhook"]
Certainty = Literal["", "uncertain"]
Trouble = Literal["", "refused", "failing", "down", "credentials", "throttled", "throttled_lane"]
After = Literal["more", "stop"]
Marked = Literal["go", "wait", "withdrawn"]


class LeaseVoid(Exception):
    """The lane is not ours any more. Whatever we still meant to do for it, we must not."""


@dataclass(frozen=True, slots=True)
class Brake:
    """When a customer's messages are too many to be passed on as they come."""

    of: str
    """Whose brake it is: `ids.brake`."""
    most: int
    """More than these within the window set it on."""
    window: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message to be appended."""

    id: str
    lane: Lane
    destination: str
    kind: Kind
    body: str
    """Versioned JSON; only the relay reads it."""
    settle: float = 0.0
    """Seconds that it must wait after its append."""
    order: int | None = None
    """Its place in the lane; None: behind all that waits."""
    age: float = 0.0
    """Seconds that it is older than its append, if it was found late."""
    written: float | None = None
    """Unix seconds at which it was written, by its writer's clock, if it could be one that was
    accepted before, and lost by a server that failed over."""
    shown: str = ""
    """For replies: the status that Chatwoot shows, where it is not «sent»."""
    brake: Brake | None = None
    """What it counts towards, if anything."""
    status_destination: str = ""
    """For replies: where what becomes of them is told, in the status lane of the conversation."""


@dataclass(frozen=True, slots=True)
class CursorMove:
    """A poller's new cursor, to be stored in the same step as what it fetched."""

    channel: str
    token: str
    cursor: str


@dataclass(frozen=True, slots=True)
class Appended:
    """How an append ended, entry by entry."""

    outcomes: tuple[str, ...]
    ring: bool
    """Nobody has been asked to drain yet."""

    @property
    def new(self) -> int:
        return self.outcomes.count("new")


@dataclass(frozen=True, slots=True)
class Lease:
    """A lane that a drain has for a while."""

    lane: Lane
    destination: str
    token: str


@dataclass(frozen=True, slots=True)
class Claim:
    leases: tuple[Lease, ...]
    next_due: float | None
    """Seconds until another lane becomes due; None: nothing waits."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The rates that a call must keep: its destination's, and its lane's own."""

    destination: Rate | None = None
    lane: Rate | None = None

    def argv(self) -> tuple[int, int, int, int]:
        return (*_ms(self.destination), *_ms(self.lane))


def _ms(rate: Rate | None) -> tuple[int, int]:
    return (0, 1) if rate is None else (max(1, round(rate.interval * 1000)), rate.burst)


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """When a destination's gate closes, and how often it is tried again. The gate is a circuit
    breaker: open, closed, or probing, which others call half-open."""

    failures: int = 4
    first_wait: float = 1.0
    longest_wait: float = 60.0


@dataclass(frozen=True, slots=True)
class Taken:
    """The message at the head of a lane, marked as being sent; with what the ledger knows."""

    id: str
    kind: Kind
    body: str
    version: str
    age: float
    """Seconds since it was accepted."""
    attempts: int
    crashes: int
    """Attempts that ended with the death of the process that made them."""
    refusals: int
    uncertain: bool
    """An earlier attempt may have arrived."""
    since_announced: float
    """Seconds since the call was announced that the uncertainty is about."""
    target: str
    """Where that call was going."""
    served_since_refusal: bool
    """The destination took other messages after it first refused this one."""
    parts: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """External ids of the parts that are done, by number."""
    subject: Subject = field(default_factory=Subject)
    """The reply that this is about (status, delete, check_retry)."""
    route: Route = field(default_factory=Route)
    """What is remembered of the lane."""
    replayed: bool = False
    """A person took it out of the dead letters to have it sent again."""
    after_failover: bool = False
    """It is uncertain because a server that failed over has lost what it was told last.
    Nothing is known of the attempt, not even if there was one; any part may have arrived."""


@dataclass(frozen=True, slots=True)
class Note:
    """A private note for the agents of a conversation."""

    id: str
    lane: Lane
    destination: str
    body: str


@dataclass(frozen=True, slots=True)
class Delayed:
    """A reply that has waited too long."""

    lane: Lane
    message: str
    reason: str
    """What went wrong last; empty if nothing did, and it waits for its turn."""
    next_attempt: float
    """Unix seconds, by Redis's clock; in the past if it may be made at any moment."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up on."""

    id: str
    channel: str
    kind: str
    reason: str
    at: float
    """Unix seconds."""
    body: str = ""
    attempts: int = 0
    first_error: str = ""


@dataclass(frozen=True, slots=True)
class GateState:
    destination: str
    lanes: int
    state: str
    """«open», «closed» or «probing»."""
    reason: str
    seconds: int
    """How long it has not been open."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits, and which gates are not open."""

    gates: tuple[GateState, ...]
    oldest: Mapping[tuple[str, str], float]
    """(channel, direction) → seconds that the oldest head of its lanes has waited."""
