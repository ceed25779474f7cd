"""What every kind of delivery has in common: what it may ask of the relay, and how it may end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gateway.lanes import Lane, Lanes, Lease, Pace, Taken
from gateway.lanes.route import Route
from gateway.relay.retry_policy import Patience


@dataclass(frozen=True, slots=True)
class Done:
    """Delivered. What the ledger should learn from it."""

    told: str = ""
    """The status that Chatwoot shows now."""
    routes: Mapping[Lane, Route] = field(default_factory=dict)
    """What to remember from now on, lane by lane."""
    doubled: int = 0
    """Doubles that were found and removed."""
    external: str = ""
    """What it is called on the other side, for the log."""


class NotNow(Exception):
    """Nothing went wrong, but the message must wait. Nothing of it is on its way."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class GivenBack(Exception):
    """The lane has been given back already: its next call has a slot of its own, later."""


class NotConfigured(Exception):
    """The message's channel is not in the configuration: it waits until it is there again."""


class Delivery(Protocol):
    """Delivers one kind of message."""

    @property
    def pace(self) -> Pace:
        """The rates that its calls must keep."""

    @property
    def patience(self) -> Patience: ...

    def deliver(self, lease: Lease, taken: Taken) -> Done:
        """Deliver, or raise a `DeliveryError`, `NotNow` or `GivenBack`."""


def announce(
    lanes: Lanes, lease: Lease, taken: Taken, target: str, *, pace: Pace | None = None
) -> bool:
    """Write down where a call is going before it is made. False: the agent has withdrawn it.

    Raises `GivenBack` if the rate does not allow the call yet, and LeaseVoid.
    """
    answer = lanes.announce(lease, taken.id, target, pace=pace)
    if answer == "wait":
        raise GivenBack
    return answer == "go"


def still_seen(why: str) -> str:
    """What agents are told if a reply that they deleted cannot be taken back."""
    return f"The customer still sees the message that was deleted here: {why.rstrip('.')}."
