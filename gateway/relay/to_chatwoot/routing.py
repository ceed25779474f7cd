"""Where a customer's message belongs in Chatwoot: which contact, which conversation.

Conversations are chosen as Chatwoot's own channels choose them (for instance
`app/services/telegram/incoming_message_service.rb`), so that agents see no difference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from gateway.chatwoot.agent_initiated import is_made_up, thread_of
from gateway.chatwoot.client import CONVERSATIONS_PER_PAGE, Chatwoot
from gateway.chatwoot.errors import AddressTaken, Invalid
from gateway.chatwoot.limits import attribute
from gateway.chatwoot.values import Contact, Conversation, Inbox
from gateway.errors import ServerTrouble
from gateway.model import Inbound
from gateway.relay.context import CONTEXT, context_attribute
from gateway.relay.to_chatwoot.contact_fields import (
    LONGEST_FIELD,
    attributes_of,
    identifier_of,
    name_of,
)

Step: TypeAlias = Literal["contact", "contact_inbox", "conversation"]
Before: TypeAlias = Callable[[Step], None]
"""Called before each write, with what is about to be made."""
Begin: TypeAlias = Callable[[int, str, Mapping[str, str]], Conversation]
"""Makes a conversation, of a contact's number, their address and additional attributes."""
FirstAddress: TypeAlias = Callable[[Contact], str]
"""Where the channel writes to first, when an agent begins; empty if the contact has no address."""
Former: TypeAlias = Callable[[str], Sequence[str]]
"""The addresses in whose place an agent put this one, on a contact."""

MOST_PAGES: Final = 40
"""Of one customer's conversations, newest first: a thread older than a thousand others is new."""

_PHONE = re.compile(r"\+[1-9][0-9]{1,14}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message goes."""

    contact_id: int
    """0 if only the conversation is remembered."""
    conversation_id: int
    contact: Contact | None = field(default=None, compare=False)
    """As Chatwoot shows it; None if it was just made, of what the message told."""
    conversation: Conversation | None = field(default=None, compare=False)
    """As Chatwoot shows it; None if only its number is remembered."""
    begun: bool = field(default=False, compare=False)
    """It was made just now."""
    newest: int = field(default=0, compare=False)
    """A message that was in the conversation already; 0 if there was none, or none is known."""


def resolve(
    chatwoot: Chatwoot,
    inbox: Inbox,
    inbound: Inbound,
    before: Before = lambda step: None,
    first_address: FirstAddress = lambda contact: "",
    *,
    begin: Begin | None = None,
    former: Former = lambda peer: (),
) -> Place:
    """Find or make the contact and conversation for a message.

    Can be repeated after a call whose answer was lost: what that call made is found. Two calls at
    once for one customer may make two conversations, so the caller lets only one run.
    Raises a `DeliveryError`.
    """
    return _Search(chatwoot, inbox, inbound, before, first_address, begin, former).place()


@dataclass(frozen=True, slots=True)
class _Search:
    chatwoot: Chatwoot
    inbox: Inbox
    inbound: Inbound
    before: Before
    first_address: FirstAddress
    begin: Begin | None
    former: Former

    def place(self) -> Place:
        contact = self._found()
        if contact is None:
            try:
                new = self._create_contact(self._phone, self._email, self._identifier)
            except (AddressTaken, Invalid) as refused:
                contact = self._after_refusal(refused)
            else:
                # Nobody has written from this address before: no conversation to look for.
                return self._begun(new.id, None)
        if (found := self._conversation(contact)) is None:
            return self._begun(contact.id, contact)
        return Place(contact.id, found.id, contact, found, newest=found.newest_message)

    def _found(self) -> Contact | None:
        """One call for whoever is new: who has the phone or e-mail mostly has the address too. If
        somebody else has the address, or the identifier, Chatwoot refuses it to a second one."""
        return self._same_person() if self._email or self._phone else self._known_contact()

    def _known_contact(self) -> Contact | None:
        return self.chatwoot.find_contact(self.inbox.id, self.inbound.peer)

    def _same_person(self) -> Contact | None:
        """A contact with the same identifier, e-mail or phone, made by an agent or another
        channel."""
        found = self.chatwoot.filter_contacts(
            phone=self._phone, email=self._email, identifier=self._identifier
        )
        for contact in found:
            if self.inbound.peer in contact.source_ids(self.inbox.id):
                return contact
        by_trust = sorted(found, key=self._distrust)
        return self._attached(by_trust[0]) if by_trust else None

    def _attached(self, contact: Contact) -> Contact:
        self.before("contact_inbox")
        try:
            self.chatwoot.attach_source(contact.id, self.inbox.id, self.inbound.peer)
        except AddressTaken as taken:
            if (owner := self._known_contact()) is not None:
                return owner
            raise _trouble(taken) from taken
        return contact

    def _create_contact(self, phone: str, email: str, identifier: str) -> Contact:
        self.before("contact")
        return self.chatwoot.create_contact(
            self.inbox.id,
            self.inbound.peer,
            name_of(self.inbound),
            phone=phone,
            email=email,
            identifier=identifier,
            attributes=attributes_of(self.inbound),
        )

    def _after_refusal(self, refused: AddressTaken | Invalid) -> Contact:
        """Somebody has it already, or Chatwoot dislikes it: then the contact goes without."""
        if (contact := self._known_contact() or self._same_person()) is not None:
            return contact
        if isinstance(refused, AddressTaken):
            raise _trouble(refused) from refused
        bad = set(refused.attributes)
        if not bad or not bad <= {"email", "phone_number", "identifier"}:
            raise refused
        return self._create_contact(
            "" if "phone_number" in bad else self._phone,
            "" if "email" in bad else self._email,
            "" if "identifier" in bad else self._identifier,
        )

    def _conversation(self, contact: Contact) -> Conversation | None:
        found = [
            self._newest(address, self._fits_of(address, contact))
            for address in self._addresses(contact)
        ]
        found += [
            self._newest(address, self._own_fits_of(address, contact))
            for address in self.former(self.inbound.peer)
        ]
        return max(filter(None, found), key=lambda conversation: conversation.id, default=None)

    def _fits_of(self, address: str, contact: Contact) -> Callable[[Conversation], bool]:
        """Which of an address's conversations the message may go on in."""
        if not self.inbound.thread:
            # A blocked contact opens nothing again, and a new conversation would be born resolved:
            # there would be one for each message.
            whatever = self.inbox.lock_to_single_conversation or contact.blocked
            return lambda conversation: whatever or conversation.status != "resolved"
        if is_made_up(address):
            return lambda conversation: True  # an agent began it, with this very thread
        thread = attribute(self.inbound.thread)
        return lambda conversation: conversation.attributes.get("thread") == thread

    def _own_fits_of(self, address: str, contact: Contact) -> Callable[[Conversation], bool]:
        """The same, if they are the contact's: the address may be somebody else's by now."""
        fits = self._fits_of(address, contact)
        return lambda each: each.contact.id == contact.id and fits(each)

    def _newest(self, source_id: str, fits: Callable[[Conversation], bool]) -> Conversation | None:
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

    def _addresses(self, contact: Contact) -> Iterator[str]:
        """The customer's address, and those that stand for it.

        Where an agent begins a conversation, Chatwoot makes up an address, which the gateway takes
        for one that the contact has. An answer from there belongs to that conversation.
        """
        yield self.inbound.peer
        if self._may_be_begun_by_agent(contact):
            for address in filter(is_made_up, contact.source_ids(self.inbox.id)):
                if self.inbound.thread in {"", thread_of(address)}:
                    yield address

    def _may_be_begun_by_agent(self, contact: Contact) -> bool:
        peer = self.inbound.peer
        known = {contact.phone, contact.email.casefold()}
        return peer.casefold() in known or peer == self.first_address(contact)

    def _begun(self, contact_id: int, contact: Contact | None) -> Place:
        self.before("conversation")
        made = self._create_conversation(contact_id, self.inbound.peer, self._attributes())
        # In a locked inbox Chatwoot answers with the latest one, if somebody has begun one since.
        old = self.inbox.lock_to_single_conversation and made.newest_message
        return Place(contact_id, made.id, contact, made, begun=not old)

    def _create_conversation(
        self, contact_id: int, source_id: str, attributes: Mapping[str, str]
    ) -> Conversation:
        if self.begin is not None:
            return self.begin(contact_id, source_id, attributes)
        return self.chatwoot.create_conversation(self.inbox.id, contact_id, source_id, attributes)

    def _attributes(self) -> dict[str, str]:
        subject = self.inbound.context.get("subject", "")
        attributes = {
            "thread": self.inbound.thread,
            "mail_subject": subject,
            CONTEXT: context_attribute(self.inbound),
        }
        return {key: value for key, value in attributes.items() if value}

    @property
    def _phone(self) -> str:
        """Short codes and names of senders are no phone numbers to Chatwoot."""
        phone = self.inbound.person.phone
        return phone if _PHONE.fullmatch(phone) else ""

    @property
    def _email(self) -> str:
        email = self.inbound.person.email
        return email if len(email) <= LONGEST_FIELD and _EMAIL.fullmatch(email) else ""

    @property
    def _identifier(self) -> str:
        return identifier_of(self.inbound)

    def _distrust(self, contact: Contact) -> int:
        """Identifiers and e-mails are unique in Chatwoot's database, phones only nearly."""
        if self._identifier and contact.identifier == self._identifier:
            return 0
        return 1 if self._email and contact.email.casefold() == self._email.casefold() else 2


def _trouble(taken: AddressTaken) -> ServerTrouble:
    """Chatwoot answers 500 for a taken address; if nobody has it, it was a true 500."""
    return ServerTrouble("Chatwoot cannot make the contact", detail=taken.detail)
