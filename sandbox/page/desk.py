"""The agent's side: conversations and messages as Chatwoot's dashboard shows them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from gateway.chatwoot.agent_initiated import is_made_up
from sandbox.chatwoot import ChatwootStandIn
from sandbox.chatwoot.contacts import create_contact
from sandbox.chatwoot.records import Conversation, Message
from sandbox.page.files import PageFile, link
from sandbox.people import Customer
from sandbox.wiring import Wiring

JSON = dict[str, Any]
ADDRESSES = {"telegram": "identifier", "sms": "phone_number", "email": "email"}
"""Where a contact has the address of each channel."""
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

    def begin(self, customer: Customer, text: str) -> int:
        """«New conversation», perhaps with somebody who has never written; answers with its number.

        A contact that is missing is made, with the phone number or e-mail address.
        """
        inbox = self._wiring.inboxes[customer.channel]
        with self._store.changing():
            known = self._store.contact_inbox(inbox, customer.id)
            contact = known.contact_id if known else self._add_contact(customer)
        return self._chatwoot.agent_start_conversation(contact, inbox, text)

    def _add_contact(self, customer: Customer) -> int:
        fields = {"name": customer.name, ADDRESSES[customer.channel]: customer.id}
        return create_contact(self._store, self._chatwoot.account_id, fields).id

    def _conversation(self, row: Conversation) -> JSON:
        messages = self._store.messages_of(row)[-SHOWN_MESSAGES:]
        texts = {message.id: message.content or "" for message in messages}
        seen = row.agent_last_seen_at or 0.0
        unread = [m for m in messages if m.message_type == "incoming" and m.created_at > seen]
        contact = self._store.contacts.get(row.contact_id)
        channel = self._wiring.channel_of(row.inbox_id)
        return {
            "id": row.display_id,
            "channel": channel,
            "customer": self._customer(row, ADDRESSES.get(channel, "")),
            "name": contact.name or "Somebody",
            "status": row.status,
            "subject": str(row.additional_attributes.get("mail_subject", "")),
            "at": row.last_activity_at,
            "unread": len(unread),
            "messages": [self._message(message, texts) for message in messages],
        }

    def _customer(self, row: Conversation, field: str) -> str:
        """Whose device it is: where the agent began, the address is one that Chatwoot made up."""
        links = self._store.contact_inboxes
        contact = self._store.contacts.get(row.contact_id)
        own = links.get(row.contact_inbox_id).source_id
        others = (
            link.source_id
            for link in links
            if (link.contact_id, link.inbox_id) == (row.contact_id, row.inbox_id)
        )
        known = (own, *others, str(getattr(contact, field, None) or ""))
        return next((address for address in known if address and not is_made_up(address)), own)

    def _message(self, row: Message, texts: Mapping[Any, str]) -> JSON:
        return {
            "id": row.id,
            "kind": row.message_type,
            "text": row.content or "",
            "choices": [str(item.get("title", "")) for item in self._items(row)],
            "quoted": texts.get(row.content_attributes.get("in_reply_to"), ""),
            "files": [self._file(attached.blob) for attached in row.attachments],
            "private": row.private,
            "deleted": bool(row.content_attributes.get("deleted")),
            "status": row.status,
            "error": str(row.content_attributes.get("external_error") or ""),
            "at": row.created_at,
            "sender": self._sender(row),
        }

    def _items(self, row: Message) -> list[JSON]:
        items: list[JSON] = row.content_attributes.get("items", [])
        return items if row.content_type == "input_select" else []

    def file(self, key: str) -> PageFile:
        """A file of a message. Raises LookupError if it does not exist."""
        blob = self._store.blobs[key]
        return PageFile(blob.name, blob.content_type, base64.b64decode(blob.data))

    def _file(self, key: str) -> JSON:
        blob = self._store.blobs[key]
        return link("desk", key, blob.name, blob.content_type)

    def _sender(self, row: Message) -> str:
        if row.sender_type == "User" and row.sender_id is not None:
            return self._store.users.get(row.sender_id).name
        return ""
