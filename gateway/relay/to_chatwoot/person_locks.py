"""Two lanes can be one person: no two may look for, and then make, the same contact."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from gateway.errors import LeaseLost
from gateway.http import check_fence
from gateway.lanes import Lease, Locks, keys
from gateway.model import Inbound
from gateway.relay.delivery import NotNow

SECONDS = 120.0
"""More than finding and making a contact and a conversation may take, with every call slow: eight
at most, with the lists of teams and agents."""
WAIT = 0.3


@dataclass(frozen=True, slots=True)
class PersonLocks:
    """Locks on all that tells a person, in one account of Chatwoot."""

    locks: Locks
    account: str

    @contextmanager
    def alone_with(self, lease: Lease, message: Inbound) -> Iterator[None]:
        """Nobody else is at work on this person. Raises `NotNow` while somebody is."""
        # The lane's own name: whoever takes the lane over from a dead worker has its locks too.
        token, person = str(lease.lane), message.person
        locks = [
            keys.lock_person(self.account, value.lower())
            for value in sorted({message.peer, person.phone, person.email, person.identifier})
            if value
        ]
        try:
            if not all(self.locks.lock(key, token, seconds=SECONDS) for key in locks):
                raise NotNow(WAIT)
            yield
        finally:
            with suppress(LeaseLost):  # then they are the other worker's
                check_fence()
                for key in locks:
                    self.locks.unlock(key, token)
