"""What the ledger knows of the reply that another message is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.lanes.keys import MessageField
from gateway.model import Status

MARKED_FAILED: Final = "marked failed"
"""Of `Subject.shown`: Chatwoot marked it as failed by itself. As in prelude/statuses.lua."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The reply that a status, a deletion or a check for Retry is about."""

    is_known: bool = False
    """The ledger has the reply."""
    status: Status | None = None
    """What became of it; None before anything is known."""
    shown: str = Status.SENT
    """The status that Chatwoot shows; or that it marked the reply as failed by itself."""
    reason: str = ""
    """Why it failed."""
    body: str | None = None
    """As it waited, if it still does."""
    version: str = ""
    status_destination: str = ""
    """Where what becomes of it is told."""
    was_uncertain: bool = False
    """An attempt at it was uncertain once: it may have arrived, also if no part of it is known."""
    parts: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """External ids of the parts that were sent, by number."""

    @classmethod
    def read(cls, known: Mapping[str, str], parts: Mapping[int, tuple[str, ...]]) -> Subject:
        """From the fields of the reply's hash `msg:<id>`; without any it is not known."""
        return cls(
            is_known=bool(known),
            status=Status(known[MessageField.STATUS]) if MessageField.STATUS in known else None,
            shown=known.get(MessageField.SHOWN, Status.SENT),
            reason=known.get(MessageField.REASON, ""),
            body=known.get(MessageField.BODY),
            version=known.get(MessageField.VERSION, ""),
            status_destination=known.get(MessageField.STATUS_DESTINATION, ""),
            was_uncertain=MessageField.WAS_UNCERTAIN in known,
            parts=parts,
        )
