"""Conversations as Chatwoot's event stream last told of them, so that few have to be asked for."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.values import Contact, Conversation

FRESH: Final = 60.0
"""Seconds: if the stream loses a change, what follows from that ends soon."""
MOST: Final = 500


@dataclass(slots=True)
class KnownConversations:
    """Of one account, for one thread and one connection."""

    chatwoot: Chatwoot
    _known: OrderedDict[int, tuple[float, Conversation]] = field(default_factory=OrderedDict)

    def get(self, conversation_id: int) -> Conversation:
        """The conversation, from Chatwoot if it is not known. Raises a `DeliveryError`."""
        at, conversation = self._known.get(conversation_id, (0.0, None))
        if conversation is None or time.monotonic() - at > FRESH:
            conversation = self.chatwoot.conversation(conversation_id)
            self.put(conversation)
        return conversation

    def put(self, conversation: Conversation) -> None:
        """Keep it, as it was told."""
        self._known[conversation.id] = (time.monotonic(), conversation)
        self._known.move_to_end(conversation.id)
        if len(self._known) > MOST:
            self._known.popitem(last=False)

    def put_contact(self, contact: Contact) -> None:
        """Keep the contact, as it was told, with each of its conversations."""
        for number, (at, conversation) in self._known.items():
            if conversation.contact.id == contact.id:
                self._known[number] = (at, replace(conversation, contact=contact))
