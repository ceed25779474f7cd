"""Where a customer's message belongs in Chatwoot: which contact, which conversation.

Conversations are chosen as Chatwoot's own channels choose them (for instance
`app/services/telegram/incoming_message_service.rb`), so that agents see no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from gateway.chatwoot.agent_initiated import is_made_up, thread_of
from gateway.chatwoot.client import CONVERSATIONS_PER_PAGE, Chatwoot
from gateway.chatwoot.limits import attribute
from gateway.chatwoot.values import Contact, Conversation, Inbox
from gateway.model import Inbound
from gateway.relay.cached import Cached
from gateway.relay.to_chatwoot.contacts import Contacts
from gateway.relay.to_chatwoot.exactly_once import Announcer
from gateway.relay.to_chatwoot.new_conversations import NewConversations
from gateway.relay.to_chatwoot.place import ChatwootPlace

MOST_PAGES: Final = 40
"""Of one customer's conversations, newest first: a thread older than a thousand others is new."""

Fits: TypeAlias = Callable[[Conversation], bool]


class Addresses(Protocol):
    """What is known of addresses beyond the customer's own."""

    def first_address(self, contact: Contact) -> str:
        """Where the first word to a contact goes; empty if they have no address here."""

    def former_addresses(self, peer: str) -> Sequence[str]:
        """The addresses in whose place an agent put this one, on a contact."""


@dataclass(frozen=True, slots=True)
class Routing:
    """Finds or makes the contact and conversation for the messages of one channel."""

    chatwoot: Chatwoot
    inbox: Cached[Inbox]
    addresses: Addresses
    contacts: Contacts
    new_conversations: NewConversations

    def find_or_create(self, attempt: Announcer, inbound: Inbound) -> ChatwootPlace:
        """Where the message goes.

        Can be repeated after a call whose answer was lost: what that call made is found. Two calls
        at once for one customer may make two conversations, so the caller lets only one run.
        Raises a `DeliveryError`.
        """
        inbox = self.inbox.get()
        contact = self.contacts.find_or_create(attempt, inbound)
        # Nobody has written from a new contact's address before.
        if contact.shown is not None:
            search = _Search(self.chatwoot, inbox, self.addresses, inbound, contact.shown)
            if (found := search.conversation()) is not None:
                return ChatwootPlace(
                    contact.id, found.id, contact.shown, found, newest=found.newest_message
                )
        made = self.new_conversations.create(attempt, contact.id, inbound)
        # In a locked inbox Chatwoot answers with the latest one, if somebody has begun one since.
        is_old = inbox.lock_to_single_conversation and bool(made.newest_message)
        return ChatwootPlace(contact.id, made.id, contact.shown, made, is_new=not is_old)


@dataclass(frozen=True, slots=True)
class _Search:
    """The search for the conversation in which a message goes on."""

    chatwoot: Chatwoot
    inbox: Inbox
    addresses: Addresses
    inbound: Inbound
    contact: Contact

    def conversation(self) -> Conversation | None:
        """The newest one that fits, of all addresses that stand for the customer."""
        former = self.addresses.former_addresses(self.inbound.peer)
        found = [
            *(self._newest(address, self._fits_at(address)) for address in self._own_addresses()),
            *(self._newest(address, self._is_theirs_and_fits_at(address)) for address in former),
        ]
        return max(filter(None, found), key=lambda conversation: conversation.id, default=None)

    def _own_addresses(self) -> Iterator[str]:
        """The customer's address, and those that stand for it.

        Where an agent begins a conversation, Chatwoot makes up an address, which the gateway takes
        for one that the contact has. An answer from there belongs to that conversation.
        """
        yield self.inbound.peer
        if self._may_answer_an_agent():
            for address in filter(is_made_up, self.contact.source_ids(self.inbox.id)):
                if self.inbound.thread in {"", thread_of(address)}:
                    yield address

    def _may_answer_an_agent(self) -> bool:
        peer, contact = self.inbound.peer, self.contact
        known = {contact.phone, contact.email.casefold()}
        return peer.casefold() in known or peer == self.addresses.first_address(contact)

    def _fits_at(self, address: str) -> Fits:
        """Which of an address's conversations the message may go on in."""
        if not self.inbound.thread:
            # A blocked contact opens nothing again, and a new conversation would be born resolved:
            # there would be one for each message.
            whatever = self.inbox.lock_to_single_conversation or self.contact.blocked
            return lambda conversation: whatever or conversation.status != "resolved"
        if is_made_up(address):
            return lambda conversation: True  # an agent began it, with this very thread
        thread = attribute(self.inbound.thread)
        return lambda conversation: conversation.attributes.get("thread") == thread

    def _is_theirs_and_fits_at(self, address: str) -> Fits:
        """The same, if they are the contact's: the address may be somebody else's by now."""
        fits = self._fits_at(address)
        return lambda each: each.contact.id == self.contact.id and fits(each)

    def _newest(self, source_id: str, fits: Fits) -> Conversation | None:
        for page in self._pages(source_id):
            if fitting := [conversation for conversation in page if fits(conversation)]:
                return max(fitting, key=lambda conversation: conversation.id)
        return None

    def _pages(self, source_id: str) -> Iterator[tuple[Conversation, ...]]:
        for number in range(1, MOST_PAGES + 1):
            page = self.chatwoot.conversations_of(self.inbox.id, source_id, number)
            yield page
            if len(page) < CONVERSATIONS_PER_PAGE:
                return
