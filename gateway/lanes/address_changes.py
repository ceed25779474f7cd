"""What is remembered of contacts whose address an agent changed in Chatwoot.

The conversation keeps the address that it began with, which is Chatwoot's name for its other side.
Kept as long as the ledger, from the last reply that needed it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

from gateway.lanes import keys
from gateway.lanes.key_values import KeyValues
from gateway.lanes.ledger import LEDGER_SECONDS

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

    values: KeyValues

    def record(self, channel: str, old: str, change: AddressChange) -> bool:
        """A contact has another address. True if that only takes an earlier change back."""
        self._set(keys.address_change(channel, old), json.dumps(asdict(change)))
        taken_back = (
            bool(change.to) and self.values.get(keys.former_address(channel, old)) == change.to
        )
        if taken_back:
            self.values.set(keys.former_address(channel, old), "", seconds=1)
        elif change.to:
            self._set(keys.former_address(channel, change.to), old)
        return taken_back

    def find(self, channel: str, peer: str) -> AddressChange | None:
        """What became of an address; None if it is nobody's former one."""
        text = self.values.get(keys.address_change(channel, peer), seconds=LEDGER_SECONDS)
        return AddressChange(**json.loads(text)) if text else None

    def former(self, channel: str, peer: str) -> tuple[str, ...]:
        """The addresses in whose place this one was put, the latest first."""
        found: list[str] = []
        while len(found) < MOST_FORMER:
            earlier = self.values.get(keys.former_address(channel, found[-1] if found else peer))
            if not earlier or earlier in {peer, *found}:
                break
            found.append(earlier)
        return tuple(found)

    def _set(self, key: str, text: str) -> None:
        self.values.set(key, text, seconds=LEDGER_SECONDS)
