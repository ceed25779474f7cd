"""The JSON of rows: as REST shows them, and in the «push» shape that is nested in others.

The same field has another type in another place (a message's type is a number here and a word at
the top of a webhook; times are ISO, whole or broken seconds): that is how Chatwoot does it, in its
jbuilder views and `push_event_data` methods.
"""

from __future__ import annotations

from urllib.parse import quote

from sandbox.chatwoot.records import (
    JSON,
    MESSAGE_TYPES,
    Attachment,
    Bot,
    Contact,
    ContactInbox,
    Conversation,
    Message,
    Team,
    User,
)
from sandbox.chatwoot.shapes_of_inboxes import inbox_slim
from sandbox.chatwoot.store import Store
from sandbox.chatwoot.times import iso, unix


def contact(store: Store, row: Contact) -> JSON:
    """As REST shows a contact by itself and in a conversation's meta."""
    shape: JSON = {
        "additional_attributes": row.additional_attributes,
        "availability_status": "offline",
        "email": row.email,
        "id": row.id,
        "name": row.name,
        "phone_number": row.phone_number,
        "blocked": row.blocked,
        "identifier": row.identifier,
        "thumbnail": thumbnail(store, row),
        "custom_attributes": row.custom_attributes,
        "created_at": unix(row.created_at),
    }
    if row.last_activity_at is not None:
        shape["last_activity_at"] = unix(row.last_activity_at)
    return shape


def contact_with_inboxes(store: Store, row: Contact) -> JSON:
    places = store.contact_inboxes_of(row)
    return {**contact(store, row), "contact_inboxes": [place(store, each) for each in places]}


def place(store: Store, row: ContactInbox) -> JSON:
    return {"source_id": row.source_id, "inbox": inbox_slim(store.inboxes.get(row.inbox_id))}


def thumbnail(store: Store, row: Contact) -> str:
    """The address of the contact's picture; it is another one for each picture."""
    if row.avatar is None:
        return ""
    storage = f"{store.url}/rails/active_storage/representations/redirect"
    return f"{storage}/{row.avatar}/{quote(store.blobs[row.avatar].name)}"


def contact_push(store: Store, row: Contact) -> JSON:
    return {
        "additional_attributes": row.additional_attributes,
        "custom_attributes": row.custom_attributes,
        "email": row.email,
        "id": row.id,
        "identifier": row.identifier,
        "name": row.name,
        "phone_number": row.phone_number,
        "thumbnail": thumbnail(store, row),
        "blocked": row.blocked,
        "type": "contact",
    }


def user_push(row: User) -> JSON:
    return {
        "id": row.id,
        "name": row.name,
        "available_name": row.name,
        "avatar_url": "",
        "type": "user",
        "availability_status": "offline",
        "thumbnail": "",
    }


def bot_push(row: Bot) -> JSON:
    return {"id": row.id, "name": row.name, "avatar_url": "", "type": "agent_bot"}


def agent(row: User, account_id: int) -> JSON:
    """As REST shows a user: as assignee, and in the list of agents."""
    return {
        "id": row.id,
        "account_id": account_id,
        "availability_status": "offline",
        "auto_offline": True,
        "confirmed": True,
        "email": row.email,
        "provider": "email",
        "available_name": row.name,
        "name": row.name,
        "role": row.role_in(account_id),
        "thumbnail": "",
        "custom_role_id": None,
    }


def team(row: Team) -> JSON:
    """As REST shows a team (the partial _team.json.jbuilder)."""
    return {
        "id": row.id,
        "name": row.name,
        "description": None,
        "allow_auto_assign": True,
        "account_id": row.account_id,
        "is_member": False,
    }


def team_row(row: Team) -> JSON:
    """The bare row, as the answer to an assignment has it."""
    return {
        "id": row.id,
        "name": row.name,
        "description": None,
        "allow_auto_assign": True,
        "account_id": row.account_id,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }


def team_push(store: Store, row: Conversation) -> JSON | None:
    found = None if row.team_id is None else store.teams.rows.get(row.team_id)
    return {"id": found.id, "name": found.name} if found else None


def sender_push(store: Store, row: Message) -> JSON | None:
    if row.sender_type == "Contact" and row.sender_id in store.contacts.rows:
        return contact_push(store, store.contacts.get(row.sender_id))
    if row.sender_type == "User":
        return user_push(store.users.get(row.sender_id))
    if row.sender_type == "AgentBot":
        return bot_push(store.bots.get(row.sender_id))
    return None


def attachment(store: Store, row: Message, file: Attachment) -> JSON:
    blob = store.blobs[file.blob]
    path = f"{blob.key}/{quote(blob.name)}"
    storage = f"{store.url}/rails/active_storage"
    newer = store.version.describes_files
    extension = blob.name.rpartition(".")[2] if "." in blob.name else None
    shape: JSON = {
        "id": file.id,
        "message_id": row.id,
        "file_type": file.file_type,
        "account_id": row.account_id,
        "extension": extension if newer else None,
        "data_url": f"{storage}/blobs/redirect/{path}",
        "thumb_url": (
            f"{storage}/representations/redirect/{path}" if file.file_type == "image" else ""
        ),
        "file_size": blob.size,
        "width": None,
        "height": None,
    }
    if file.file_type == "audio":
        shape["transcribed_text"] = ""
        if store.version.touches_audio:
            shape["data_url"] += "?disposition=inline"
    return {**shape, "content_type": blob.content_type} if newer else shape


def attachments(store: Store, row: Message) -> list[JSON]:
    return [attachment(store, row, file) for file in row.attachments]


def message(store: Store, row: Message, echo_id: object = None) -> JSON:
    """As REST shows a message; keys of what it lacks are left out."""
    optional = {
        "echo_id": echo_id,
        "sender": sender_push(store, row),
        "attachments": attachments(store, row),
    }
    return {
        "id": row.id,
        "content": row.content,
        "inbox_id": row.inbox_id,
        "conversation_id": store.conversations.get(row.conversation_id).display_id,
        "message_type": MESSAGE_TYPES.index(row.message_type),
        "content_type": row.content_type,
        "status": row.status,
        "content_attributes": row.content_attributes,
        "created_at": unix(row.created_at),
        "private": row.private,
        "source_id": row.source_id,
        **{key: value for key, value in optional.items() if value},
    }


def message_push(store: Store, row: Message) -> JSON:
    conversation_row = store.conversations.get(row.conversation_id)
    source_id = store.contact_inboxes.get(conversation_row.contact_inbox_id).source_id
    optional = {"attachments": attachments(store, row), "sender": sender_push(store, row)}
    return {
        "id": row.id,
        "content": row.content,
        "account_id": row.account_id,
        "inbox_id": row.inbox_id,
        "conversation_id": conversation_row.display_id,
        "message_type": MESSAGE_TYPES.index(row.message_type),
        "created_at": unix(row.created_at),
        "updated_at": iso(row.updated_at),
        "private": row.private,
        "status": row.status,
        "source_id": row.source_id,
        "content_type": row.content_type,
        "content_attributes": row.content_attributes,
        "sender_type": row.sender_type,
        "sender_id": row.sender_id,
        "external_source_ids": {},
        "additional_attributes": row.additional_attributes,
        "processed_message_content": row.processed_content,
        "sentiment": {},
        "conversation": {
            "assignee_id": conversation_row.assignee_id,
            "unread_count": unread_count(store, conversation_row),
            "last_activity_at": unix(conversation_row.last_activity_at),
            "contact_inbox": {"source_id": source_id},
        },
        **{key: value for key, value in optional.items() if value},
    }


def unread_count(store: Store, row: Conversation) -> int:
    """Incoming messages since an agent last looked; Chatwoot's own answer stops at 10."""
    seen, count = row.agent_last_seen_at or 0.0, 0
    for message_id in reversed(store.message_ids(row)):
        message_row = store.messages.rows[message_id]
        if message_row.created_at <= seen or count == 10:
            break
        count += message_row.message_type == "incoming"
    return count


def last_message(store: Store, row: Conversation) -> Message | None:
    """The newest one that is neither private nor an activity."""
    for message_id in reversed(store.message_ids(row)):
        message_row = store.messages.rows[message_id]
        if not message_row.private and message_row.message_type != "activity":
            return message_row
    return None


def conversation(store: Store, row: Conversation) -> JSON:
    """As REST shows a conversation (the partial _conversation.json.jbuilder)."""
    ids = store.message_ids(row)
    newest = [message_push(store, store.messages.rows[ids[-1]])] if ids else []
    spoken = last_message(store, row)
    return {
        "meta": _meta(store, row),
        "id": row.display_id,
        "messages": newest,
        "account_id": row.account_id,
        "uuid": row.uuid,
        "additional_attributes": row.additional_attributes,
        "agent_last_seen_at": unix(row.agent_last_seen_at),
        "assignee_last_seen_at": unix(row.assignee_last_seen_at),
        "can_reply": True,
        "contact_last_seen_at": unix(row.contact_last_seen_at),
        "custom_attributes": row.custom_attributes,
        "inbox_id": row.inbox_id,
        "labels": row.labels,
        "muted": store.contacts.get(row.contact_id).blocked,
        "snoozed_until": iso(row.snoozed_until),
        "status": row.status,
        "created_at": unix(row.created_at),
        "updated_at": row.updated_at,
        "timestamp": unix(row.last_activity_at),
        "first_reply_created_at": unix(row.first_reply_created_at),
        "unread_count": unread_count(store, row),
        "last_non_activity_message": message_push(store, spoken) if spoken else None,
        "last_activity_at": unix(row.last_activity_at),
        "priority": row.priority,
        "waiting_since": unix(row.waiting_since),
        "sla_policy_id": None,
    }


def _meta(store: Store, row: Conversation) -> JSON:
    verified = store.contact_inboxes.get(row.contact_inbox_id).hmac_verified
    meta: JSON = {
        "sender": contact(store, store.contacts.get(row.contact_id)),
        "channel": store.inboxes.get(row.inbox_id).channel_type,
    }
    if row.assignee_id is not None:
        meta["assignee"] = agent(store.users.get(row.assignee_id), row.account_id)
        meta["assignee_type"] = "User"
    if row.team_id in store.teams.rows:
        meta["team"] = team(store.teams.get(row.team_id))
    return {**meta, "hmac_verified": verified}
