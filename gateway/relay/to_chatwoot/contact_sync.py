"""Who writes: their contacts in Chatwoot follow what the network tells of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.chatwoot.client import Chatwoot
from gateway.errors import DeliveryError
from gateway.lanes import Taken
from gateway.model import Inbound
from gateway.observability import logs
from gateway.relay.to_chatwoot import contact_fields
from gateway.relay.to_chatwoot.avatars import Avatars
from gateway.relay.to_chatwoot.routing import Place

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ContactSync:
    """The people of one inbox."""

    chatwoot: Chatwoot
    inbox: int
    avatars: Avatars

    def kept_fresh(self, taken: Taken, message: Inbound, place: Place) -> Mapping[str, str]:
        """What to remember of the person who wrote, after their contact has been brought up to
        date. No call in the steady state; trouble is left to the next message."""
        known = self._known(taken, message, place)
        return {**known, **self.avatars.look_later(taken, message.peer)}

    def _known(self, taken: Taken, message: Inbound, place: Place) -> Mapping[str, str]:
        told = contact_fields.fingerprint(message)
        if not told or told == taken.route.get("person"):
            return {}
        just_made = place.contact_id and place.contact is None
        try:
            if not just_made:
                self._freshen(message, place, taken.route)
        except DeliveryError as error:
            logs.event(
                log,
                "contact_not_freshened",
                level=logging.WARNING,
                message=taken.id,
                why=str(error),
            )
            return {}
        return contact_fields.memo(message, taken.route)

    def _freshen(self, message: Inbound, place: Place, written: Mapping[str, str]) -> None:
        # By the address, not by a remembered id: contacts are merged without a word.
        contact = place.contact or self.chatwoot.find_contact(self.inbox, message.peer)
        if contact is not None:
            contact_fields.freshen(self.chatwoot, contact, message, written)
