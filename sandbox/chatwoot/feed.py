"""Small events for those who watch the stand-in: what happened, in which conversation."""

from __future__ import annotations

from sandbox.chatwoot.records import JSON, Event
from sandbox.chatwoot.refusals import NotFound
from sandbox.chatwoot.store import Store


def describe(store: Store, event: Event) -> JSON:
    """Such as {"event": "message_created", "conversation": 12, "message": 1002}."""
    told: JSON = {"event": event.name}
    try:
        if event.name.startswith(("message_", "activity_")):
            message = store.messages.get(event.subject_id)
            row = store.conversations.get(message.conversation_id)
            return {**told, "conversation": row.display_id, "message": message.id}
        if event.name.startswith("contact_"):
            return {**told, "contact": event.subject_id}
        row = store.conversations.get(event.subject_id)
    except NotFound:
        return told  # deleted within the same change
    if "user" in event.details:
        told["user"] = event.details["user"]["name"]
    return {**told, "conversation": row.display_id}
