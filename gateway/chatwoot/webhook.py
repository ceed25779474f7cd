"""Reading Chatwoot's webhooks.

The payloads are built by `app/listeners/webhook_listener.rb` and `app/models/message.rb`. A reply's
payload also carries its conversation's newest message, which is often another one: only the top
level speaks of the reply itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from gateway.chatwoot import interactive
from gateway.chatwoot.events import (
    AgentMessage,
    AgentStoppedTyping,
    AgentTyping,
    ContactChanged,
    ConversationCreated,
    Event,
    Ignored,
    MessageDeleted,
    MessageUpdated,
    StatusChanged,
)
from gateway.chatwoot.fields import Fields, WrongShape
from gateway.chatwoot.files import files_in
from gateway.chatwoot.values import OURS, Contact, Kind
from gateway.errors import Malformed

KNOWN_AND_IGNORED = frozenset(
    {
        "conversation_updated",
        "contact_created",
        "contact_updated",
        "inbox_created",
        "inbox_updated",
        "webwidget_triggered",
    }
)

ADDRESSES = frozenset({"phone_number", "email", "identifier"})
"""What of a contact can be an address."""


def read(payload: object) -> Event:
    """What a webhook's body says. Raises `Malformed` if it is not what Chatwoot sends."""
    try:
        fields = Fields.of(payload)
        event = fields.text("event")
        if event in _READERS:
            return _READERS[event](fields)
    except WrongShape as error:
        raise Malformed(f"not a webhook of Chatwoot: {error}") from error
    return Ignored(event if event in KNOWN_AND_IGNORED else "unknown_event")


def plain_breaks(content: str) -> str:
    """`content` without the backslashes that the dashboard's editor puts before line ends."""
    return content.replace("\\\r\n", "\n").replace("\\\n", "\n")


def not_for_the_customer(kind: Kind, source_id: str) -> Ignored | None:
    """Why a message is not relayed; None if it is."""
    if kind is Kind.NOTE:
        return Ignored("private_note")
    if kind not in {Kind.OUTGOING, Kind.TEMPLATE}:
        return Ignored(kind.value)
    return Ignored("own_echo") if source_id.startswith(OURS) else None


def _created(fields: Fields) -> Event:
    if (ignored := _ignored(fields)) is not None:
        return ignored
    # The payload is built some time after the event: the message may be deleted by then.
    return _deleted(fields) or _agent_message(fields)


def _updated(fields: Fields) -> Event:
    if (ignored := _ignored(fields)) is not None:
        return ignored
    if (deleted := _deleted(fields)) is not None:
        return deleted
    error = fields.optional_object("content_attributes").optional_text("external_error")
    return MessageUpdated(_agent_message(fields), error or None)


def _status_changed(fields: Fields) -> Event:
    return StatusChanged(
        conversation=fields.integer("id"),
        status=fields.text("status"),
        inbox=fields.integer("inbox_id"),
        peer=fields.object("contact_inbox").text("source_id"),
    )


def _conversation_created(fields: Fields) -> Event:
    return ConversationCreated(
        conversation=fields.integer("id"),
        inbox=fields.integer("inbox_id"),
        peer=fields.object("contact_inbox").text("source_id"),
    )


def _typing(fields: Fields) -> Event:
    """Of agents and bots, who have a type here. A contact has none: that is our own word for a
    customer, which comes back to us."""
    event = fields.text("event")
    kind = fields.optional_object("user").optional_text("type")
    if fields.optional_flag("is_private") or not kind:
        return Ignored(event)
    conversation = fields.object("conversation")
    typing = AgentTyping if event == "conversation_typing_on" else AgentStoppedTyping
    return typing(
        conversation=conversation.integer("id"),
        inbox=conversation.integer("inbox_id"),
        peer=conversation.object("contact_inbox").text("source_id"),
    )


def _contact_updated(fields: Fields) -> Event:
    """Of each message that a customer writes one of these comes, since it says when they were last
    seen: whatever changes no address, or cannot be read, is ignored."""
    try:
        before = {
            name: change.object(name).optional_text("previous_value")
            for change in fields.optional_objects("changed_attributes")
            for name in ADDRESSES & change.values.keys()
        }
        if not before:
            return Ignored("contact_updated")
        contact, account = Contact.read(fields), fields.object("account").integer("id")
    except WrongShape:
        return Ignored("contact_updated")
    earlier = replace(
        contact.addressee,
        phone=before.get("phone_number", contact.phone),
        email=before.get("email", contact.email),
        identifier=before.get("identifier", contact.identifier),
    )
    return ContactChanged(account, contact, earlier)


_READERS: Mapping[str, Callable[[Fields], Event]] = {
    "message_created": _created,
    "message_updated": _updated,
    "conversation_status_changed": _status_changed,
    "conversation_created": _conversation_created,
    "conversation_typing_on": _typing,
    "conversation_typing_off": _typing,
    "contact_updated": _contact_updated,
}


def _ignored(fields: Fields) -> Ignored | None:
    return not_for_the_customer(_kind(fields), fields.optional_text("source_id"))


def _kind(fields: Fields) -> Kind:
    word = fields.text("message_type")
    if fields.optional_flag("private"):
        return Kind.NOTE
    try:
        return Kind(word)
    except ValueError:
        raise WrongShape("message_type: none that Chatwoot has") from None


def _deleted(fields: Fields) -> MessageDeleted | None:
    """Known by the attribute: the text that stands there instead is translated."""
    if not fields.optional_object("content_attributes").optional_flag("deleted"):
        return None
    conversation = fields.object("conversation")
    return MessageDeleted(
        id=fields.integer("id"),
        conversation=conversation.integer("id"),
        inbox=conversation.integer("inbox_id"),
        peer=conversation.object("contact_inbox").text("source_id"),
    )


def _agent_message(fields: Fields) -> AgentMessage:
    conversation = fields.object("conversation")
    attributes = fields.optional_object("content_attributes")
    sender = fields.optional_object("sender")
    content_type = fields.optional_text("content_type") or "text"
    items = interactive.items_in(attributes.values)
    return AgentMessage(
        id=fields.integer("id"),
        conversation=conversation.integer("id"),
        inbox=conversation.integer("inbox_id"),
        peer=conversation.object("contact_inbox").text("source_id"),
        contact=Contact.read(conversation.object("meta").object("sender")),
        content=interactive.readable(
            plain_breaks(fields.optional_text("content")), content_type, items
        ),
        content_type=content_type,
        choices=interactive.choices(content_type, items),
        created_at=_unix_seconds(fields.text("created_at")),
        sender=sender.optional_text("name"),
        is_template=_kind(fields) is Kind.TEMPLATE,
        is_automatic=sender.optional_text("type") != "user",
        in_reply_to=attributes.optional_integer("in_reply_to"),
        in_reply_to_external_id=attributes.optional_text("in_reply_to_external_id"),
        attachments=files_in(fields),
        attributes=dict(conversation.optional_object("additional_attributes").texts()),
    )


def _unix_seconds(time: str) -> float:
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        raise WrongShape("created_at: expected a time in ISO 8601") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
