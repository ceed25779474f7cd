"""What is remembered of contacts whose address an agent changed in Chatwoot.

The conversation keeps the address that it began with, which is Chatwoot's name for its other side.
Kept as long as the ledger, from the last reply that needed it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

from gateway.lanes import keys
from gateway.lanes.client import LEDGER_SECONDS, Lanes

MOST_FORMER: Final = 5


@dataclass(frozen=True, slots=True)
class AddressChange:
    """An address was taken from a contact."""

    contact: int
    """Chatwoot's id of the contact."""
    to: str = ""
    """What the contact was given instead; empty if nothing."""


@dataclass(frozen=True, slots=True)
class AddressChanges:
    """Every method raises redis.RedisError if Redis cannot be asked."""

    lanes: Lanes

    def note(self, channel: str, old: str, move: AddressChange) -> bool:
        """A contact has another address. True if that is only taking a move back."""
        self._keep(keys.address_change(channel, old), json.dumps(asdict(move)))
        taken_back = bool(move.to) and self.lanes.memo(keys.former_address(channel, old)) == move.to
        if taken_back:
            self.lanes.remember(keys.former_address(channel, old), "", seconds=1)
        elif move.to:
            self._keep(keys.former_address(channel, move.to), old)
        return taken_back

    def of(self, channel: str, peer: str) -> AddressChange | None:
        """What became of an address; None if it is nobody's former one."""
        text = self.lanes.memo(keys.address_change(channel, peer), seconds=LEDGER_SECONDS)
        return AddressChange(**json.loads(text)) if text else None

    def former(self, channel: str, peer: str) -> tuple[str, ...]:
        """The addresses in whose place this one was put, the latest first."""
        found: list[str] = []
        while len(found) < MOST_FORMER:
            earlier = self.lanes.memo(keys.former_address(channel, found[-1] if found else peer))
            if not earlier or earlier in {peer, *found}:
                break
            found.append(earlier)
        return tuple(found)

    def _keep(self, key: str, text: str) -> None:
        self.lanes.remember(key, text, seconds=LEDGER_SECONDS)
