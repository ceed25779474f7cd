"""Where a reply goes: to the address that the customer wrote from, unless an agent has changed that
on the contact since; or, in a conversation that an agent began, to the one that the contact has."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from gateway.adapter import Adapter
from gateway.chatwoot.agent_initiated import is_made_up, thread_of
from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.errors import AddressTaken, Missing
from gateway.chatwoot.events import Reply
from gateway.chatwoot.values import Contact
from gateway.config import Channel
from gateway.errors import DeliveryError, Permanent, Retry
from gateway.lanes import Lane, Lease, Taken, ids
from gateway.lanes.address_changes import AddressChange, AddressChanges
from gateway.model import Addressee
from gateway.relay.context import context_in


@dataclass(frozen=True, slots=True)
class Address:
    """Where a reply goes."""

    peer: str
    thread: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    routes: Mapping[Lane, Mapping[str, str]] = field(default_factory=dict)
    """What to remember once the reply is sent, lane by lane."""


@dataclass(frozen=True, slots=True)
class Addressing:
    """Finds the addresses of one channel."""

    channel: Channel
    adapter: Adapter
    chatwoot: Chatwoot
    moves: AddressChanges

    def of(self, lease: Lease, taken: Taken, reply: Reply) -> Address:
        """Raises a `DeliveryError`: `Permanent` says what to fill in on the contact."""
        if is_made_up(reply.peer):
            return self._of_a_contact(lease, taken, reply)
        thread, context = _thread(taken.route, reply.attributes)
        move = self._move(taken, reply)
        if move is None:
            return Address(reply.peer, thread, context)
        peer = self._moved_to(lease, taken, reply, move)
        if taken.route.get("moved", reply.peer) == peer:
            return Address(peer, thread, context)
        routes = self._routes(lease, {"moved": peer}, peer, thread, reply)
        return Address(peer, thread, context, routes)

    def first_of(self, contact: Contact) -> str:
        """Where the first word to a contact goes; empty if they have no address here."""
        return self.adapter.address_or_none(contact.addressee)

    def former(self, peer: str) -> tuple[str, ...]:
        """The addresses in whose place an agent put this one."""
        return self.moves.former(self.channel.name, peer)

    def _of_a_contact(self, lease: Lease, taken: Taken, reply: Reply) -> Address:
        thread, context = _thread(taken.route, reply.attributes)
        if self.adapter.capabilities.threads:
            thread = thread or thread_of(reply.peer)
        contact_id, to = self._contact(taken, reply)
        peer = self.adapter.address(to)
        if taken.route.get("peer") == peer:
            return Address(peer, thread, context)
        self._attach(contact_id, peer, reply)
        routes = self._routes(lease, {"peer": peer}, peer, thread, reply)
        return Address(peer, thread, context, routes)

    def _move(self, taken: Taken, reply: Reply) -> AddressChange | None:
        """What became of the reply's address. Not asked where the contact still has it."""
        if reply.to is not None and not taken.replayed and "moved" not in taken.route:
            known = self.adapter.address_or_none(reply.to)
            if known in {"", reply.peer}:
                return None
        return self.moves.of(self.channel.name, reply.peer)

    def _moved_to(self, lease: Lease, taken: Taken, reply: Reply, move: AddressChange) -> str:
        """Where the contact is reached by now, if it is theirs that an agent changed: the reply's
        own word about them is what counts, whatever order the changes were told in."""
        contact_id, to = self._contact(taken, reply)
        peer = self.adapter.address_or_none(to)
        # A contact that was merged into another one has given its address to that.
        if not peer or (contact_id != move.contact and peer != move.to):
            return reply.peer
        if peer not in {reply.peer, taken.route.get("moved")}:
            self._attach(contact_id, peer, reply)
        return peer

    def _contact(self, taken: Taken, reply: Reply) -> tuple[int, Addressee]:
        """As the reply told of them; after a press of Retry, as the agent has filled them in."""
        if reply.to is not None and not taken.replayed:
            return reply.contact, reply.to
        contact = self._contact_now(reply)
        return contact.id, contact.addressee

    def _contact_now(self, reply: Reply) -> Contact:
        with _no_fault_of_the_channel():
            return self.chatwoot.conversation(reply.conversation).contact

    def _attach(self, contact_id: int, peer: str, reply: Reply) -> None:
        """Tell Chatwoot whose address it is, before it is used: an answer then finds the contact
        even if we have lost our memory. If it is another contact's already, it stays theirs."""
        with _no_fault_of_the_channel(), suppress(AddressTaken):
            try:
                self.chatwoot.attach_source(contact_id, self.channel.config.inbox, peer)
            except Missing:
                # Merged into another contact since the reply was written.
                now = self._contact_now(reply).id
                self.chatwoot.attach_source(now, self.channel.config.inbox, peer)

    def _routes(
        self, lease: Lease, kept: dict[str, str], peer: str, thread: str, reply: Reply
    ) -> dict[Lane, dict[str, str]]:
        """The replies' lane keeps the address, as `kept`; the customer's answers come into this
        conversation, also if there is an older one."""
        answers = ids.inbound_lane(self.channel.name, peer, thread)
        here = {"conversation": str(reply.conversation), "newest": str(reply.message)}
        return {lease.lane: kept, answers: here}


def together(*routes: Mapping[Lane, Mapping[str, str]]) -> dict[Lane, dict[str, str]]:
    """Memos of several origins as one: what each has for a lane."""
    lanes = dict.fromkeys(lane for each in routes for lane in each)
    return {lane: {k: v for m in routes for k, v in m.get(lane, {}).items()} for lane in lanes}


@contextmanager
def _no_fault_of_the_channel() -> Iterator[None]:
    """Chatwoot's trouble must not close the gate of the network that the reply is for."""
    try:
        yield
    except (Permanent, AddressTaken):
        raise
    except DeliveryError as error:
        raise Retry(error.reason, detail=error.detail) from error


def _thread(route: Mapping[str, str], attributes: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The thread of a conversation and its newest context; from Chatwoot if we have lost it."""
    if "thread" in route or "context" in route:
        return route.get("thread", ""), json.loads(route.get("context", "{}"))
    return attributes.get("thread", ""), context_in(attributes)
