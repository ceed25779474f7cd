"""Ordered, durable lanes over Redis, with the ledger and the gates.

Truth lives here and is changed only by the short Lua scripts beside this file. Each names the lease
token and the message it acts on, and answers the same when it is repeated: redis-py repeats a
command whose answer was lost.
"""

from gateway.lanes.client import Lanes
from gateway.lanes.dead_letters import DeadLetters
from gateway.lanes.values import (
    After,
    Appended,
    Backlog,
    Brake,
    Certainty,
    Claim,
    CursorMove,
    DeadLetter,
    Delayed,
    Entry,
    GatePolicy,
    GateState,
    Kind,
    Lane,
    Lease,
    LeaseVoid,
    Note,
    Pace,
    Taken,
    Trouble,
)

__all__ = [
    "After",
    "Appended",
    "Backlog",
    "Brake",
    "Certainty",
    "Claim",
    "CursorMove",
    "DeadLetter",
    "DeadLetters",
    "Delayed",
    "Entry",
    "GatePolicy",
    "GateState",
    "Kind",
    "Lane",
    "Lanes",
    "Lease",
    "LeaseVoid",
    "Note",
    "Pace",
    "Taken",
    "Trouble",
]
