"""Who writes: their contacts in Chatwoot follow what the network tells of them."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from gateway.chatwoot.client import Chatwoot
from gateway.errors import DeliveryError
from gateway.lanes import Taken
from gateway.lanes.route import Route
from gateway.model import Inbound
from gateway.observability import logs
from gateway.relay.to_chatwoot.avatars import Avatars
from gateway.relay.to_chatwoot.contact_fields import fingerprint, update_contact, written_fields
from gateway.relay.to_chatwoot.place import ChatwootPlace

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ContactSync:
    """Keeps the contacts of one inbox up to date."""

    chatwoot: Chatwoot
    inbox: int
    avatars: Avatars

    def sync(self, taken: Taken, message: Inbound, place: ChatwootPlace) -> Route:
        """Bring the contact of whoever wrote up to date, and return what to remember of that.

        No call in the steady state; trouble is left to the next message.
        """
        fields = self._sync_fields(taken, message, place)
        return fields.updated(self.avatars.schedule_look(taken.route, message.place))

    def _sync_fields(self, taken: Taken, message: Inbound, place: ChatwootPlace) -> Route:
        told = fingerprint(message)
        if not told or told == taken.route.person:
            return Route()
        was_just_made = place.contact_id and place.contact is None
        try:
            if not was_just_made:
                self._update(message, place, taken.route)
        except DeliveryError as error:
            logs.event(
                log,
                "contact_not_updated",
                level=logging.WARNING,
                message=taken.id,
                why=str(error),
            )
            return Route()
        return written_fields(message, taken.route)

    def _update(self, message: Inbound, place: ChatwootPlace, route: Route) -> None:
        # By the address, not by a remembered id: contacts are merged without a word.
        contact = place.contact or self.chatwoot.find_contact(self.inbox, message.peer)
        if contact is not None:
            update_contact(self.chatwoot, contact, message, route)
