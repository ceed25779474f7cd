"""Who writes: finding the contact of a customer's message in Chatwoot, or making it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.errors import AddressTaken, Invalid
from gateway.chatwoot.values import Contact
from gateway.errors import ServerTrouble
from gateway.model import Inbound
from gateway.relay.to_chatwoot.contact_fields import (
    LONGEST_FIELD,
    attributes_of,
    identifier_of,
    name_of,
)
from gateway.relay.to_chatwoot.exactly_once import Announcer

_PHONE = re.compile(r"\+[1-9][0-9]{1,14}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes a person the same one, as far as Chatwoot takes it; empty if it is not known."""

    phone: str = ""
    email: str = ""
    identifier: str = ""

    @classmethod
    def of(cls, inbound: Inbound) -> Identity:
        phone, email = inbound.person.phone, inbound.person.email
        return cls(
            # Short codes and names of senders are not phone numbers to Chatwoot.
            phone if _PHONE.fullmatch(phone) else "",
            email if len(email) <= LONGEST_FIELD and _EMAIL.fullmatch(email) else "",
            identifier_of(inbound),
        )

    def without(self, refused: Invalid) -> Identity:
        """The same without what Chatwoot refused. Raises `refused` if that was something else."""
        bad = set(refused.attributes)
        if not bad or not bad <= {"phone_number", "email", "identifier"}:
            raise refused
        return Identity(
            "" if "phone_number" in bad else self.phone,
            "" if "email" in bad else self.email,
            "" if "identifier" in bad else self.identifier,
        )


@dataclass(frozen=True, slots=True)
class FoundContact:
    """The contact of a message."""

    id: int
    shown: Contact | None
    """As Chatwoot shows it; None if it was just made, of what the message told."""


@dataclass(frozen=True, slots=True)
class Contacts:
    """The contacts of one inbox.

    Finding or creating can be repeated after a call whose answer was lost: what that call made is
    found. Every method raises a `DeliveryError`.
    """

    chatwoot: Chatwoot
    inbox: int

    def find_or_create(self, attempt: Announcer, inbound: Inbound) -> FoundContact:
        """The contact with the customer's address, or else the same person's, to which the address
        is attached; or else a new one."""
        who = Identity.of(inbound)
        if (contact := self._find_first(attempt, inbound, who)) is not None:
            return FoundContact(contact.id, contact)
        try:
            return FoundContact(self._create(attempt, inbound, who).id, None)
        except (AddressTaken, Invalid) as refused:
            contact = self._recover(attempt, inbound, who, refused)
            return FoundContact(contact.id, contact)

    def _find_first(self, attempt: Announcer, inbound: Inbound, who: Identity) -> Contact | None:
        """One call for whoever is new: who has the phone or e-mail mostly has the address too. If
        somebody else has the address, or the identifier, Chatwoot refuses it to a second one."""
        if who.email or who.phone:
            return self._find_same_person(attempt, inbound, who)
        return self._find_by_address(inbound)

    def _find_by_address(self, inbound: Inbound) -> Contact | None:
        return self.chatwoot.find_contact(self.inbox, inbound.peer)

    def _find_same_person(
        self, attempt: Announcer, inbound: Inbound, who: Identity
    ) -> Contact | None:
        """A contact with the same identifier, e-mail or phone, made by an agent or another channel;
        the customer's address is attached to it."""
        found = self.chatwoot.filter_contacts(
            phone=who.phone, email=who.email, identifier=who.identifier
        )
        for contact in found:
            if inbound.peer in contact.source_ids(self.inbox):
                return contact
        by_trust = sorted(found, key=lambda contact: _distrust(contact, who))
        return self._attach(attempt, inbound, by_trust[0]) if by_trust else None

    def _attach(self, attempt: Announcer, inbound: Inbound, contact: Contact) -> Contact:
        attempt.announce("contact_inbox")
        try:
            self.chatwoot.attach_source(contact.id, self.inbox, inbound.peer)
        except AddressTaken as taken:
            if (owner := self._find_by_address(inbound)) is not None:
                return owner
            raise _trouble(taken) from taken
        return contact

    def _create(self, attempt: Announcer, inbound: Inbound, who: Identity) -> Contact:
        attempt.announce("contact")
        return self.chatwoot.create_contact(
            self.inbox,
            inbound.peer,
            name_of(inbound),
            phone=who.phone,
            email=who.email,
            identifier=who.identifier,
            attributes=attributes_of(inbound),
        )

    def _recover(
        self, attempt: Announcer, inbound: Inbound, who: Identity, refused: AddressTaken | Invalid
    ) -> Contact:
        """Somebody has it already, or Chatwoot dislikes it: then the contact goes without."""
        contact = self._find_by_address(inbound) or self._find_same_person(attempt, inbound, who)
        if contact is not None:
            return contact
        if isinstance(refused, AddressTaken):
            raise _trouble(refused) from refused
        return self._create(attempt, inbound, who.without(refused))


def _distrust(contact: Contact, who: Identity) -> int:
    """Identifiers and e-mails are unique in Chatwoot's database, phones only nearly."""
    if who.identifier and contact.identifier == who.identifier:
        return 0
    return 1 if who.email and contact.email.casefold() == who.email.casefold() else 2


def _trouble(taken: AddressTaken) -> ServerTrouble:
    """Chatwoot answers 500 for a taken address; if nobody has it, it was a true 500."""
    return ServerTrouble("Chatwoot cannot create the contact", detail=taken.detail)
