"""Reading Chatwoot's webhooks.

The payloads are built by `app/listeners/webhook_listener.rb` and `app/models/message.rb`. A reply's
payload also carries its conversation's newest message, which is often another one: only the top
level speaks of the reply itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from gateway.chatwoot.events import (
    AgentStoppedTyping,
    AgentTyping,
    ContactChanged,
    ConversationCreated,
    Event,
    Ignored,
    MarkedFailed,
    MessageDeleted,
    MessageUpdated,
    Reply,
    SentElsewhere,
    StatusChanged,
)
from gateway.chatwoot.fields import Fields, WrongShape
from gateway.chatwoot.replies import as_event, not_for_the_customer
from gateway.chatwoot.values import Contact, Conversation, Message, named_type
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


def _created(fields: Fields) -> Event:
    # The payload is built some time after the event: the message may be deleted by then.
    return _ignored(fields) or _event_about(fields, Message.read_webhook(fields))


def _updated(fields: Fields) -> Event:
    if (ignored := _ignored(fields)) is not None:
        return ignored
    message = Message.read_webhook(fields)
    event = _event_about(fields, message)
    return (
        MessageUpdated(event, message.external_error or None) if isinstance(event, Reply) else event
    )


def _event_about(
    fields: Fields, message: Message
) -> Reply | MessageDeleted | MarkedFailed | SentElsewhere | Ignored:
    return as_event(Conversation.read_webhook(fields.object("conversation")), message)


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
    """Of agents and bots, who have a type here. A contact has none, or that of a contact: that is
    our own word for a customer, which comes back to us."""
    event = fields.text("event")
    kind = fields.optional_object("user").optional_text("type")
    if fields.optional_flag("is_private") or kind in {"", "contact"}:
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


def _ignored(fields: Fields) -> MarkedFailed | Ignored | None:
    """Why a message is not relayed: then nothing else of it need be as expected."""
    ignored = not_for_the_customer(named_type(fields), fields.optional_text("source_id"))
    attributes = fields.optional_object("content_attributes")
    if ignored is None or not attributes.optional_text("external_error"):
        return ignored
    conversation = fields.object("conversation")
    return MarkedFailed(
        fields.integer("id"), conversation.integer("id"), conversation.integer("inbox_id")
    )
