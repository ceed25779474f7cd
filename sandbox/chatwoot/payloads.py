"""The bodies of webhooks, made from the rows as they are when the delivery starts.

Source in Chatwoot: app/listeners/webhook_listener.rb and the `webhook_data` methods of the models.
"""

from __future__ import annotations

from typing import Any

from sandbox.chatwoot import shapes
from sandbox.chatwoot.records import (
    JSON,
    Bot,
    Contact,
    ContactInbox,
    Conversation,
    Event,
    Message,
    User,
)
from sandbox.chatwoot.store import Store
from sandbox.chatwoot.times import iso, unix


def payload(store: Store, event: Event) -> Any:
    """Raises NotFound if the row is gone meanwhile."""
    return without_presence(_body(store, event))


def without_presence(shape: Any) -> Any:
    """As it is told where nobody is signed in: whether a user is there is not known then."""
    if isinstance(shape, list):
        return [without_presence(each) for each in shape]
    if not isinstance(shape, dict):
        return shape
    return {
        key: None if key == "availability_status" else without_presence(value)
        for key, value in shape.items()
    }


def _body(store: Store, event: Event) -> JSON:
    if event.name.startswith("message_"):
        row = store.messages.get(event.subject_id)
        return {**message_webhook(store, row), "event": event.name}
    if event.name.startswith("contact_"):
        person = store.contacts.get(event.subject_id)
        return {**contact_webhook(store, person), "event": event.name, **event.details}
    flat = conversation_webhook(store, store.conversations.get(event.subject_id))
    if event.name.startswith("conversation_typing_"):
        return {
            "event": event.name,
            "user": event.details["user"],
            "conversation": flat,
            "is_private": event.details["is_private"],
        }
    return {**flat, "event": event.name, **event.details}


def message_webhook(store: Store, row: Message) -> JSON:
    """The type is a word and the time is ISO here, and there is no status."""
    inbox = store.inboxes.get(row.inbox_id)
    body: JSON = {
        "account": _account(store, row.account_id),
        "additional_attributes": row.additional_attributes,
        "content_attributes": row.content_attributes,
        "content_type": row.content_type,
        "content": spoken(store, row),
        "conversation": conversation_webhook(store, store.conversations.get(row.conversation_id)),
        "created_at": iso(row.created_at),
        "id": row.id,
        "inbox": {"id": inbox.id, "name": inbox.name},
        "message_type": row.message_type,
        "private": row.private,
        "sender": _sender(store, row),
        "source_id": row.source_id,
    }
    if row.attachments:
        body["attachments"] = shapes.attachments(store, row)
    return body


def spoken(store: Store, row: Message) -> str | None:
    """What a customer is to read: of a survey it is where to give the answer."""
    if row.content_type != "input_csat":
        return row.content
    talk = store.conversations.get(row.conversation_id)
    return f"Please rate this conversation, {store.url}/survey/responses/{talk.uuid}"


def conversation_webhook(store: Store, row: Conversation) -> JSON:
    """The flat conversation; newer releases name its account."""
    account = {"account": _account(store, row.account_id)} if store.version.names_accounts else {}
    return {**conversation_push(store, row), **account}


def conversation_push(store: Store, row: Conversation) -> JSON:
    """The flat conversation as dashboards are told of it, with the bare contact-inbox row."""
    last = shapes.last_message(store, row)
    return {
        "additional_attributes": row.additional_attributes,
        "can_reply": True,
        "channel": store.inboxes.get(row.inbox_id).channel_type,
        "contact_inbox": contact_inbox_row(store.contact_inboxes.get(row.contact_inbox_id)),
        "id": row.display_id,
        "inbox_id": row.inbox_id,
        "messages": [shapes.message_push(store, last)] if last else [],
        "labels": row.labels,
        "meta": _meta(store, row),
        "status": row.status,
        "custom_attributes": row.custom_attributes,
        "snoozed_until": iso(row.snoozed_until),
        "unread_count": shapes.unread_count(store, row),
        "first_reply_created_at": iso(row.first_reply_created_at),
        "priority": row.priority,
        "waiting_since": unix(row.waiting_since),
        "agent_last_seen_at": unix(row.agent_last_seen_at),
        "contact_last_seen_at": unix(row.contact_last_seen_at),
        "last_activity_at": unix(row.last_activity_at),
        "timestamp": unix(row.last_activity_at),
        "created_at": unix(row.created_at),
        "updated_at": row.updated_at,
    }


def _meta(store: Store, row: Conversation) -> JSON:
    assignee = None if row.assignee_id is None else store.users.get(row.assignee_id)
    return {
        "sender": shapes.contact_push(store, store.contacts.get(row.contact_id)),
        "assignee": shapes.user_push(assignee) if assignee else None,
        "assignee_type": "User" if assignee else None,
        "team": shapes.team_push(store, row),
        "hmac_verified": store.contact_inboxes.get(row.contact_inbox_id).hmac_verified,
    }


def contact_inbox_row(row: ContactInbox) -> JSON:
    """The bare row, its pubsub token included: Chatwoot does leak it."""
    return {
        "id": row.id,
        "contact_id": row.contact_id,
        "inbox_id": row.inbox_id,
        "source_id": row.source_id,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "hmac_verified": row.hmac_verified,
        "pubsub_token": row.pubsub_token,
    }


def contact_webhook(store: Store, row: Contact) -> JSON:
    """With account and avatar, and without `type`."""
    shape = {key: value for key, value in shapes.contact_push(store, row).items() if key != "type"}
    return {"account": _account(store, row.account_id), **shape, "avatar": shape["thumbnail"]}


def user_webhook(row: User) -> JSON:
    return {"id": row.id, "name": row.name, "email": row.email, "type": "user"}


def bot_webhook(row: Bot) -> JSON:
    return {"id": row.id, "name": row.name, "type": "agent_bot"}


def _sender(store: Store, row: Message) -> JSON | None:
    if row.sender_type == "Contact":
        return contact_webhook(store, store.contacts.get(row.sender_id))
    if row.sender_type == "User":
        return user_webhook(store.users.get(row.sender_id))
    if row.sender_type == "AgentBot":
        return bot_webhook(store.bots.get(row.sender_id))
    return None


def _account(store: Store, account_id: int) -> JSON:
    return {"id": account_id, "name": store.accounts.get(account_id).name}
