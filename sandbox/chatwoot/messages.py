"""The rules for messages (Chatwoot's message.rb, message_builder.rb, status_update_service.rb)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from sandbox.chatwoot.activities import REOPENED, note
from sandbox.chatwoot.contacts import touch_contact
from sandbox.chatwoot.conversations import change, change_unnoted
from sandbox.chatwoot.items import check_items
from sandbox.chatwoot.records import (
    JSON,
    MESSAGE_TYPES,
    STATUSES,
    Attachment,
    Blob,
    Conversation,
    Event,
    Message,
)
from sandbox.chatwoot.refusals import RecordInvalid, Unprocessable
from sandbox.chatwoot.store import Store

LONGEST_CONTENT = 150_000
FLOOD_WINDOW = 60.0
CONTENT_TYPES = frozenset(
    {
        "text",
        "input_text",
        "input_textarea",
        "input_email",
        "input_select",
        "cards",
        "form",
        "article",
        "incoming_email",
        "input_csat",
        "integrations",
        "sticker",
        "voice_call",
    }
)
_IMAGES = {f"image/{kind}" for kind in ("jpeg", "png", "gif", "bmp", "webp")}
_LIQUID = re.compile(r"`[^`]*`|\{\{\s*([\w.]+)\s*\}\}")
_VIDEOS = {f"video/{kind}" for kind in ("ogg", "mp4", "webm", "quicktime")}


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that is to be made."""

    content: str | None
    message_type: str = "outgoing"
    private: bool = False
    content_type: str = "text"
    content_attributes: JSON = field(default_factory=dict)
    source_id: str | None = None
    blobs: tuple[Blob, ...] = ()


def draft_of(fields: JSON, blobs: tuple[Blob, ...] = ()) -> Draft:
    """Read the parameters of a create. Raises Unprocessable for enum names that are none."""
    content_type = fields.get("content_type") or "text"
    message_type = fields.get("message_type") or "outgoing"
    if content_type not in CONTENT_TYPES:
        raise Unprocessable(f"'{content_type}' is not a valid content_type")
    if message_type not in MESSAGE_TYPES:
        raise Unprocessable(f"'{message_type}' is not a valid message_type")
    attributes = _attributes(fields.get("content_attributes"))
    if fields.get("external_created_at"):
        attributes["external_created_at"] = fields["external_created_at"]
    return Draft(
        content=_text(fields.get("content")),
        message_type=message_type,
        private=fields.get("private") in {True, "true", "1"},
        content_type=content_type,
        content_attributes=attributes,
        source_id=_text(fields.get("source_id")),
        blobs=blobs,
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _attributes(value: Any) -> JSON:
    """Multipart forms carry them as JSON text; broken JSON counts as none, without a word."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return dict(value) if isinstance(value, dict) else {}


def check_flood(store: Store, conversation: Conversation) -> None:
    """Every save of a message is refused while the conversation's last minute is full."""
    limit = store.flood_limit
    ids = store.message_ids(conversation)
    if limit is None or len(ids) < limit:
        return
    if store.messages.rows[ids[-limit]].created_at > store.now() - FLOOD_WINDOW:
        raise RecordInvalid(("base", "Too many messages"))


def check_text(draft: Draft) -> None:
    """Raises RecordInvalid, or Unprocessable for text that the database cannot hold."""
    if len(draft.content or "") > LONGEST_CONTENT:
        text = f"Content is too long (maximum is {LONGEST_CONTENT} characters)"
        raise RecordInvalid(("content", text))
    if "\0" in (draft.content or "") + (draft.source_id or ""):
        raise Unprocessable("string contains null byte")


def create_message(
    store: Store, conversation: Conversation, draft: Draft, sender: tuple[str, int] | None
) -> Message:
    """`sender`: its table and id; incoming messages are always the contact's."""
    check_flood(store, conversation)
    check_text(draft)
    if draft.message_type == "incoming":
        sender = ("Contact", conversation.contact_id)
    attributes = _with_reply(store, conversation, draft.content_attributes)
    check_items(draft.content_type, attributes)
    message = _insert(store, conversation, draft, sender, attributes)
    conversation.last_activity_at = conversation.updated_at = store.now()
    if message.is_from_contact(conversation.contact_id):
        touch_contact(store, store.contacts.get(conversation.contact_id))
    if draft.message_type == "incoming":
        _after_incoming(store, conversation)
    elif draft.message_type == "outgoing" and not draft.private:
        _after_outgoing(store, conversation, message)
    announce_message(store, "message_created", message)
    if store.version.touches_audio and any(f.file_type == "audio" for f in message.attachments):
        announce_message(store, "message_updated", message)
    if draft.message_type == "incoming":
        _greet(store, conversation)
    return message


def _greet(store: Store, conversation: Conversation) -> None:
    """Answer the first words with the inbox's greeting, if nothing was answered yet."""
    settings = store.inboxes.get(conversation.inbox_id).settings
    greeting = settings.get("greeting_message")
    if not settings.get("greeting_enabled") or not greeting:
        return
    answers = {"outgoing", "template"}
    if not any(each.message_type in answers for each in store.messages_of(conversation)):
        create_message(store, conversation, Draft(str(greeting), "template"), None)


def _insert(
    store: Store,
    conversation: Conversation,
    draft: Draft,
    sender: tuple[str, int] | None,
    attributes: JSON,
) -> Message:
    now = store.now()
    message = store.messages.add(
        account_id=conversation.account_id,
        inbox_id=conversation.inbox_id,
        conversation_id=conversation.id,
        message_type=draft.message_type,
        content=_expanded(store, conversation, draft),
        created_at=now,
        updated_at=now,
        sender_type=sender[0] if sender else None,
        sender_id=sender[1] if sender else None,
        private=draft.private,
        content_type=draft.content_type,
        content_attributes=attributes,
        source_id=draft.source_id,
        processed_content=_processed(draft),
        attachments=[_attachment(store, blob) for blob in draft.blobs],
    )
    store.add_message(message)
    return message


def _processed(draft: Draft) -> str | None:
    """`ensure_processed_message_content` in message.rb."""
    mail = draft.content_attributes.get("email")
    for part in ("text_content", "html_content"):
        content = mail.get(part) if isinstance(mail, dict) else None
        if isinstance(content, dict) and content.get("quoted") is not None:
            return str(content["quoted"])
    return draft.content


def _expanded(store: Store, conversation: Conversation, draft: Draft) -> str | None:
    """What goes out, notes included, has its Liquid variables filled in, but for code
    (liquidable.rb). Only some variables are known here; others are empty."""
    if draft.content is None or draft.message_type not in {"outgoing", "template"}:
        return draft.content
    contact = store.contacts.get(conversation.contact_id)
    known = {"contact.name": contact.name, "contact.email": contact.email}
    return _LIQUID.sub(lambda m: known.get(m[1]) or "" if m[1] else m[0], draft.content)


def _attachment(store: Store, blob: Blob) -> Attachment:
    store.last_attachment_id += 1
    return Attachment(store.last_attachment_id, blob.key, file_type(blob.content_type))


def file_type(content_type: str) -> str:
    """Chatwoot goes by the declared type of the part alone (file_type_helper.rb)."""
    if content_type in _IMAGES:
        return "image"
    if content_type in _VIDEOS:
        return "video"
    return "audio" if content_type.startswith("audio/") else "file"


def _with_reply(store: Store, conversation: Conversation, attributes: JSON) -> JSON:
    """Fill in both keys of a reply, from a target in the same conversation; else both are null."""
    wanted, external = attributes.get("in_reply_to"), attributes.get("in_reply_to_external_id")
    if not wanted and not external:
        return attributes
    for message in store.messages_of(conversation):
        if str(message.id) == str(wanted) if wanted else message.source_id == external:
            found = {"in_reply_to": message.id, "in_reply_to_external_id": message.source_id}
            return {**attributes, **found}
    return {**attributes, "in_reply_to": None, "in_reply_to_external_id": None}


def _after_incoming(store: Store, conversation: Conversation) -> None:
    blocked = store.contacts.get(conversation.contact_id).blocked
    if not blocked and conversation.status in {"resolved", "snoozed"}:
        inbox = store.inboxes.get(conversation.inbox_id)
        to_bot = conversation.status == "resolved" and inbox.bot_id is not None
        status = "pending" if to_bot else "open"
        change_unnoted(store, conversation, status=status, snoozed_until=None)
        note(store, conversation, REOPENED)
    if conversation.waiting_since is None:
        change(store, conversation, waiting_since=store.now())


def _after_outgoing(store: Store, conversation: Conversation, message: Message) -> None:
    if message.sender_type == "AgentBot":
        change(store, conversation, waiting_since=None)
    if message.sender_type == "User":
        first = conversation.first_reply_created_at or message.created_at
        change(store, conversation, first_reply_created_at=first, waiting_since=None)


def announce_message(store: Store, name: str, message: Message) -> None:
    """No webhook tells of an activity."""
    if message.message_type == "activity":
        return
    store.emit(Event(name, message.account_id, message.inbox_id, message.id))


def update_status(store: Store, message: Message, status: str, error: str | None = None) -> None:
    """Any change goes except `read` to `delivered`; unknown names are ignored without a word.

    Raises RecordInvalid while the conversation is flooded.
    """
    if status not in STATUSES or (message.status == "read" and status == "delivered"):
        return
    attributes = {k: v for k, v in message.content_attributes.items() if k != "external_error"}
    if status == "failed":
        attributes["external_error"] = error
    elif "external_error" in message.content_attributes:
        attributes["external_error"] = None
    if (status, attributes) == (message.status, message.content_attributes):
        return
    check_flood(store, store.conversations.get(message.conversation_id))
    message.status, message.content_attributes = status, attributes
    _updated(store, message)


def delete_message(store: Store, message: Message) -> None:
    """The row stays, with a notice instead of its content; the source id is kept."""
    message.content = message.processed_content = "This message was deleted"
    message.content_type = "text"
    message.content_attributes = {"deleted": True}
    message.attachments = []
    _updated(store, message)


def retry_message(store: Store, message: Message) -> None:
    """The Retry button: on an API inbox it delivers nothing, it only changes the row, twice.

    Raises RecordInvalid while the conversation is flooded.
    """
    update_status(store, message, "sent")
    message.content_attributes = {}
    _updated(store, message)


def mark_read(store: Store, conversation: Conversation) -> None:
    """The contact has seen the conversation: all that was sent to it is read."""
    conversation.contact_last_seen_at = store.now()
    for message in store.messages_of(conversation):
        if message.message_type != "incoming" and message.status in {"sent", "delivered"}:
            message.status = "read"
            _updated(store, message)


def submit_values(store: Store, message: Message, values: JSON) -> None:
    """The customer has answered what a message asks; a later answer replaces the first."""
    message.content_attributes = {**message.content_attributes, "submitted_values": values}
    _updated(store, message)


def page(
    store: Store, conversation: Conversation, before: int | None, after: int | None
) -> list[Message]:
    """Ascending: the latest 20; 20 before an id; 100 after one; 1000 from one to before another."""
    rows = store.messages_of(conversation)
    if before is not None and after is not None:
        return [row for row in rows if after <= row.id < before][:1000]
    if after is not None:
        return [row for row in rows if row.id > after][:100]
    return [row for row in rows if before is None or row.id < before][-20:]


def _updated(store: Store, message: Message) -> None:
    message.updated_at = store.now()
    announce_message(store, "message_updated", message)
