"""Ordered, durable lanes over Redis, with the ledger and the gates.

Truth lives here and is changed only by the short Lua scripts beside this file. Each names the lease
token and the message it acts on, and answers the same when it is repeated: redis-py repeats a
command whose answer was lost.
"""

from gateway.lanes.backlog import Backlog
from gateway.lanes.client import Lanes
from gateway.lanes.dead_letters import DeadLetters
from gateway.lanes.key_values import KeyValues
from gateway.lanes.lane import Lane
from gateway.lanes.ledger import Ledger
from gateway.lanes.locks import Locks
from gateway.lanes.routes import Routes
from gateway.lanes.values import (
    After,
    Appended,
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
    Lease,
    LeaseVoid,
    Note,
    Pace,
    Taken,
    Trouble,
    Waiting,
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
    "KeyValues",
    "Kind",
    "Lane",
    "Lanes",
    "Lease",
    "LeaseVoid",
    "Ledger",
    "Locks",
    "Note",
    "Pace",
    "Routes",
    "Taken",
    "Trouble",
    "Waiting",
]
