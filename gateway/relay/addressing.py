"""Where a reply goes: to the address that the customer wrote from, unless an agent has changed that
on the contact since; or, in a conversation that an agent began, to the one that the contact has."""

from __future__ import annotations

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
from gateway.lanes.route import Route
from gateway.model import Addressee
from gateway.relay.context import context_in


@dataclass(frozen=True, slots=True)
class Address:
    """Where a reply goes."""

    peer: str
    thread: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    routes: Mapping[Lane, Route] = field(default_factory=dict)
    """What to remember once the reply is sent, lane by lane."""


@dataclass(frozen=True, slots=True)
class Addressing:
    """Finds the addresses of one channel."""

    channel: Channel
    adapter: Adapter
    chatwoot: Chatwoot
    changes: AddressChanges

    def find(self, lease: Lease, taken: Taken, reply: Reply) -> Address:
        """Where the reply goes. An address that Chatwoot does not know yet is given to the contact.

        Raises a `DeliveryError`: `Permanent` says what to fill in on the contact.
        """
        if is_made_up(reply.peer):
            return self._find_of_contact(lease, taken, reply)
        thread, context = _thread(taken.route, reply.attributes)
        change = self._find_change(taken, reply)
        if change is None:
            return Address(reply.peer, thread, context)
        peer = self._follow(taken, reply, change)
        if _moved(taken, reply) == peer:
            return Address(peer, thread, context)
        routes = self._routes(lease, Route(changed_peer=peer), peer, thread, reply)
        return Address(peer, thread, context, routes)

    def first_address(self, contact: Contact) -> str:
        """Where the first word to a contact goes; empty if they have no address here."""
        return self.adapter.address_or_none(contact.addressee)

    def former_addresses(self, peer: str) -> tuple[str, ...]:
        """The addresses in whose place an agent put this one."""
        return self.changes.former(self.channel.name, peer)

    def _find_of_contact(self, lease: Lease, taken: Taken, reply: Reply) -> Address:
        thread, context = _thread(taken.route, reply.attributes)
        if self.adapter.capabilities.threads:
            thread = thread or thread_of(reply.peer)
        contact_id, to = self._find_contact(taken, reply)
        peer = self.adapter.address(to)
        if taken.route.peer == peer:
            return Address(peer, thread, context)
        self._attach(contact_id, peer, reply)
        routes = self._routes(lease, Route(peer=peer), peer, thread, reply)
        return Address(peer, thread, context, routes)

    def _find_change(self, taken: Taken, reply: Reply) -> AddressChange | None:
        """What became of the reply's address. Not asked where the contact still has it."""
        if reply.to is not None and not taken.replayed and taken.route.changed_peer is None:
            known = self.adapter.address_or_none(reply.to)
            if known in {"", reply.peer}:
                return None
        return self.changes.find(self.channel.name, reply.peer)

    def _follow(self, taken: Taken, reply: Reply, change: AddressChange) -> str:
        """Where the contact is reached by now, if it is theirs that an agent changed: the reply's
        own word about them is what counts, whatever order the changes were told in."""
        contact_id, to = self._find_contact(taken, reply)
        peer = self.adapter.address_or_none(to)
        # A contact that was merged into another one has given its address to that.
        if not peer or (contact_id != change.contact and peer != change.to):
            return reply.peer
        if peer not in {reply.peer, taken.route.changed_peer}:
            self._attach(contact_id, peer, reply)
        return peer

    def _find_contact(self, taken: Taken, reply: Reply) -> tuple[int, Addressee]:
        """As the reply told of them; after a press of Retry, as the agent has filled them in."""
        if reply.to is not None and not taken.replayed:
            return reply.contact, reply.to
        contact = self._ask_contact(reply)
        return contact.id, contact.addressee

    def _ask_contact(self, reply: Reply) -> Contact:
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
                now = self._ask_contact(reply).id
                self.chatwoot.attach_source(now, self.channel.config.inbox, peer)

    def _routes(
        self, lease: Lease, kept: Route, peer: str, thread: str, reply: Reply
    ) -> dict[Lane, Route]:
        """The replies' lane keeps the address, as `kept`; the customer's answers come into this
        conversation, also if there is an older one."""
        answers = ids.inbound_lane(self.channel.name, peer, thread)
        here = Route(conversation=reply.conversation, newest=reply.message)
        return {lease.lane: kept, answers: here}


@contextmanager
def _no_fault_of_the_channel() -> Iterator[None]:
    """Chatwoot's trouble must not close the gate of the network that the reply is for."""
    try:
        yield
    except (Permanent, AddressTaken):
        raise
    except DeliveryError as error:
        raise Retry(error.reason, detail=error.detail) from error


def _moved(taken: Taken, reply: Reply) -> str:
    """Where the conversation's last reply went, as far as an agent changed that."""
    return reply.peer if taken.route.changed_peer is None else taken.route.changed_peer


def _thread(route: Route, attributes: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
    """The thread of a conversation and its newest context; from Chatwoot if we have lost it."""
    if route.thread is not None or route.context is not None:
        return route.thread or "", route.context or {}
    return attributes.get("thread", ""), context_in(attributes)
