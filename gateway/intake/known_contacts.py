"""What Chatwoot's event stream leaves out: how a contact was before it changed.

Webhooks tell the old value of a changed field; the stream, like the API, tells contacts as they
are. So what of a contact can be an address is kept from one time to the next.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace

from gateway.chatwoot.events import ContactChanged
from gateway.chatwoot.values import Contact
from gateway.config import ChatwootAccount
from gateway.intake.contact_changes import ContactChanges
from gateway.lanes import KeyValues, keys
from gateway.lanes.ledger import LEDGER_SECONDS
from gateway.observability import logs

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KnownContacts:
    """The contacts of one account. Kept as long as the ledger, from when they were last told of.

    Threads may share it.
    """

    account: ChatwootAccount
    values: KeyValues
    changes: ContactChanges

    def update(self, contact: Contact) -> None:
        """Remember the contact; if their address has changed, send further replies to the new one.

        Raises redis.RedisError.
        """
        key = keys.contact(self.account.name, contact.id)
        known = self.values.get(key, seconds=LEDGER_SECONDS)
        now = json.dumps([contact.phone, contact.email, contact.identifier])
        if known == now:
            return
        if known is not None:
            self._take_change(contact, *json.loads(known))
        # At last, so that a change that could not be noted is seen again.
        self.values.set(key, now, seconds=LEDGER_SECONDS)

    def _take_change(self, contact: Contact, phone: str, email: str, identifier: str) -> None:
        before = replace(contact.addressee, phone=phone, email=email, identifier=identifier)
        change = ContactChanged(self.account.account, contact, before)
        outcome = self.changes.take(self.account, change)
        logs.event(log, "accepted", chatwoot_event="ContactChanged", outcome=outcome)
