"""What follows from an error: later, or never. The rules of giving up are all here."""

from __future__ import annotations

import random
from dataclasses import dataclass

from gateway.errors import (
    BadCredentials,
    DeliveryError,
    Permanent,
    Retry,
    ServerTrouble,
    Throttled,
    Uncertain,
    Unreachable,
)
from gateway.lanes import Certainty, Taken, Trouble

FIRST_WAIT, LONGEST_WAIT = 1.0, 300.0
BEHIND_GATE = 3.0
"""Seconds. A lane waits no longer than that behind a closed gate, once it opens."""
LONGEST_ASKED = 3600.0
"""Seconds. A network that asks for more is asked again after that: it may have been a mistake."""
BEFORE_QUARANTINE = 2
"""Attempts that may end with the death of the process while others were at work there too."""
DEATHS = BEFORE_QUARANTINE + 3
"""The same, with those that it made alone: then the message is to blame. Workers are also killed by
deploys, by want of memory, and with their machine: two deaths are anybody's fault."""
REFUSALS = 8
"""Server errors on one message, while the destination serves others, before it is to blame."""
BREAKDOWNS = 3
"""Attempts at a reply that a fault in the code may end: each may have reached the customer."""


class UncertainAnswer(ServerTrouble):
    """The other side answers, but it is uncertain how far this attempt came."""


class BrokeDown(UncertainAnswer):
    """A fault in our code, or in an adapter's, ended the attempt: uncertain how far it came."""


MAY_HAVE_ARRIVED = (
    "The reply may have arrived, and the network cannot be asked. Press Retry to send it again"
)


@dataclass(frozen=True, slots=True)
class Defer:
    """Try again later."""

    seconds: float
    error: str
    certainty: Certainty = ""
    trouble: Trouble = ""
    behind_gate: float | None = None
    """Seconds, if the gate is closed then: that says itself when it is tried again, and what
    waits should not wait much longer. None: the other side has named the time."""


@dataclass(frozen=True, slots=True)
class Bury:
    """Give up."""

    reason: str
    certainty: Certainty = ""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a message of one kind is worth trying."""

    age_limit: float | None = None
    """Seconds; None: for ever, as for a customer's message."""
    ask_when_uncertain: bool = False
    """Ask the agent rather than send twice, when a reply may have arrived."""


def decide(error: DeliveryError, taken: Taken, patience: Patience) -> Defer | Bury:
    """What to do with a message whose delivery raised `error`."""
    if isinstance(error, Permanent):
        return Bury(error.reason)
    if _may_have_arrived(error) and patience.ask_when_uncertain:
        return Bury(MAY_HAVE_ARRIVED, "uncertain")
    if isinstance(error, BrokeDown) and taken.kind == "out" and taken.refusals + 1 >= BREAKDOWNS:
        return Bury(error.reason, "uncertain")
    if isinstance(error, ServerTrouble) and _is_refused_for_good(taken):
        return Bury(f"Refused {REFUSALS} times while other messages passed: {error.reason}")
    deferral = _deferral(error, taken)
    if patience.age_limit is not None and taken.age + deferral.seconds > patience.age_limit:
        reason = f"Not delivered within {_duration(patience.age_limit)}: {error.reason}"
        return Bury(reason, deferral.certainty)
    return deferral


def is_too_old(taken: Taken, patience: Patience) -> bool:
    """Whether a message has waited so long that it is better failed than sent."""
    return patience.age_limit is not None and taken.age > patience.age_limit


def backoff(attempts: int) -> float:
    """Seconds until the next attempt: full jitter, so that what failed together returns spread."""
    ceiling = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(attempts, 16))
    return random.uniform(FIRST_WAIT / 2, ceiling)  # noqa: S311


def _deferral(error: DeliveryError, taken: Taken) -> Defer:
    wait = backoff(taken.attempts)
    behind_gate: float | None = min(wait, random.uniform(0, BEHIND_GATE))  # noqa: S311
    if isinstance(error, Retry) and error.after is not None:
        wait, behind_gate = min(error.after, LONGEST_ASKED), None
    elif isinstance(error, BadCredentials):
        wait = FIRST_WAIT  # the gate decides when to try again
    certainty: Certainty = "uncertain" if _may_have_arrived(error) else ""
    return Defer(wait, error.reason, certainty, _trouble(error, taken), behind_gate)


def _may_have_arrived(error: DeliveryError) -> bool:
    return isinstance(error, (Uncertain, UncertainAnswer))


def _trouble(error: DeliveryError, taken: Taken) -> Trouble:
    """What the error says of the destination as a whole."""
    match error:
        case Throttled(scope="destination"):
            return "throttled"
        # Networks say of one chat what they mean of all; Chatwoot limits single conversations.
        case Throttled() if taken.kind in {"out", "delete"}:
            return "throttled_lane"
        case BadCredentials():
            return "credentials"
        case Uncertain() | Unreachable():
            return "down"
        case ServerTrouble():
            return "failing" if error.scope == "destination" else "refused"
        case _:
            return ""


def _is_refused_for_good(taken: Taken) -> bool:
    return taken.refusals + 1 >= REFUSALS and taken.served_since_refusal


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds / 60:g} min"
