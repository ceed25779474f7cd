"""The agent's side: conversations and messages as Chatwoot's dashboard shows them."""

from __future__ import annotations

from typing import Any

from sandbox.chatwoot import ChatwootStandIn
from sandbox.chatwoot.records import Conversation, Message
from sandbox.wiring import Wiring

JSON = dict[str, Any]
SHOWN_CONVERSATIONS, SHOWN_MESSAGES = 60, 200


class Desk:
    """What the agent sees. Ids of conversations are those that Chatwoot shows."""

    def __init__(self, chatwoot: ChatwootStandIn, wiring: Wiring) -> None:
        self._chatwoot = chatwoot
        self._store = chatwoot.store
        self._wiring = wiring

    def conversations(self) -> list[JSON]:
        """The newest activity first."""
        with self._store.reading():
            rows = sorted(self._store.conversations, key=lambda row: -row.last_activity_at)
            return [self._conversation(row) for row in rows[:SHOWN_CONVERSATIONS]]

    def _conversation(self, row: Conversation) -> JSON:
        messages = self._store.messages_of(row)[-SHOWN_MESSAGES:]
        seen = row.agent_last_seen_at or 0.0
        unread = [m for m in messages if m.message_type == "incoming" and m.created_at > seen]
        contact = self._store.contacts.get(row.contact_id)
        return {
            "id": row.display_id,
            "channel": self._wiring.channel_of(row.inbox_id),
            "customer": self._store.contact_inboxes.get(row.contact_inbox_id).source_id,
            "name": contact.name or "Somebody",
            "status": row.status,
            "subject": str(row.additional_attributes.get("mail_subject", "")),
            "at": row.last_activity_at,
            "unread": len(unread),
            "messages": [self._message(message) for message in messages],
        }

    def _message(self, row: Message) -> JSON:
        return {
            "id": row.id,
            "kind": row.message_type,
            "text": row.content or "",
            "private": row.private,
            "deleted": bool(row.content_attributes.get("deleted")),
            "status": row.status,
            "error": str(row.content_attributes.get("external_error") or ""),
            "at": row.created_at,
            "sender": self._sender(row),
        }

    def _sender(self, row: Message) -> str:
        if row.sender_type == "User" and row.sender_id is not None:
            return self._store.users.get(row.sender_id).name
        return ""
