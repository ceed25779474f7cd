"""Where a customer's message goes, as it is remembered with the lane or was found in Chatwoot."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from gateway.chatwoot.values import Contact, Conversation
from gateway.lanes.route import Route

BLOCKED_LOOK = 60.0
"""Seconds after which it is looked whether a blocked contact still is: no webhook tells."""


@dataclass(frozen=True, slots=True)
class ChatwootPlace:
    """Where a message goes in Chatwoot; `gateway.model.Place` is where it came from."""

    contact_id: int
    """0 if only the conversation is remembered."""
    conversation_id: int
    """0 if nothing is remembered."""
    contact: Contact | None = field(default=None, compare=False)
    """As Chatwoot shows it; None if it was just made, of what the message told."""
    conversation: Conversation | None = field(default=None, compare=False)
    """As Chatwoot shows it; None if only its number is remembered."""
    is_new: bool = field(default=False, compare=False)
    """The conversation was made just now."""
    newest: int = field(default=0, compare=False)
    """A message that was in the conversation already; 0 if there was none, or none is known."""


def remembered_place(route: Route) -> ChatwootPlace:
    """Where the lane's last message went."""
    return ChatwootPlace(0, route.conversation or 0, newest=route.newest or 0)


def must_search(route: Route) -> bool:
    """Whether what is remembered does not say where the next message goes. A conversation that was
    chosen because the contact was blocked is looked at again: unblocked since, they get a new one
    instead of one that was resolved."""
    was_blocked = 0 < (route.blocked or 0) < time.time() - BLOCKED_LOOK
    return route.conversation is None or was_blocked


def route_to(place: ChatwootPlace, before: Route) -> Route:
    """What a search showed, to be remembered: whether the contact is blocked, and which
    conversations were there to choose from."""
    looked = before.newer if place.conversation_id else None
    blocked = None
    if place.contact_id and place.contact is not None and place.contact.blocked:
        blocked = int(time.time())
    elif place.contact_id and before.blocked is not None:
        blocked = 0
    return Route(looked=looked, blocked=blocked)
