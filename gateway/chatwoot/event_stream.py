"""Reads what Chatwoot's event stream tells.

The frames are built by `app/listeners/action_cable_listener.rb` with the shapes of the API, not of
webhooks: `message_type` is a number, `created_at` counts seconds, attachments stand inside. A
message brings only the customer's address of its conversation: whoever wants the rest, as for a
reply, has to ask Chatwoot (`ReplyTold.event`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from gateway.chatwoot.events import (
    AgentStoppedTyping,
    AgentTyping,
    ConversationCreated,
    Event,
    Ignored,
    MarkedFailed,
    MessageDeleted,
    MessageUpdated,
    Reply,
    StatusChanged,
)
from gateway.chatwoot.fields import Fields, WrongShape
from gateway.chatwoot.replies import as_event, not_for_the_customer
from gateway.chatwoot.values import Contact, Conversation, Message
from gateway.errors import Malformed


@dataclass(frozen=True, slots=True)
class ReplyTold:
    """A reply was written, or its failure has changed. Its conversation is known in short only."""

    message: Message
    inbox: int
    peer: str
    is_new: bool
    """It was written just now; else Chatwoot marked it as failed, or is not marking it any more."""

    def event(self, conversation: Conversation) -> Event:
        """What a webhook would have told. `conversation`: the message's, as the API shows it."""
        event = as_event(replace(conversation, source_id=self.peer), self.message)
        if self.is_new or not isinstance(event, Reply):
            return event
        return MessageUpdated(event, self.message.external_error or None)


@dataclass(frozen=True, slots=True)
class ConversationTold:
    """A conversation as it is now, and what happened in it, if that is of interest."""

    conversation: Conversation
    event: Event


@dataclass(frozen=True, slots=True)
class ContactTold:
    """A contact as Chatwoot knows them now. What has changed is not told."""

    contact: Contact


Told: TypeAlias = (
    ReplyTold | ConversationTold | ContactTold | MessageDeleted | MarkedFailed | Ignored
)


def read(frame: Fields, account: int, inboxes: Collection[int]) -> Told:
    """What a frame tells of these inboxes of the account.

    A user who works in several accounts is told of all of them, whichever we subscribed to. Raises
    `Malformed` if Chatwoot sends no frames like it.
    """
    try:
        name = frame.text("event")
        if name not in _READERS:
            return Ignored(name if name in KNOWN_AND_IGNORED else "unknown_event")
        data = frame.object("data")
        if data.optional_integer("account_id") not in {None, account}:
            return Ignored("another_account")
        return _READERS[name](data, name, inboxes)
    except WrongShape as error:
        raise Malformed(f"not a frame of Chatwoot's event stream: {error}") from error


KNOWN_AND_IGNORED = frozenset(
    {
        "presence.update",
        "first.reply.created",
        "conversation.read",
        "conversation.mentioned",
        "assignee.changed",
        "team.changed",
        "notification.created",
        "notification.updated",
        "notification.deleted",
        "contact.merged",
        "contact.deleted",
        "account.cache_invalidated",
    }
)

OTHER_INBOX = Ignored("another_inbox")


def _message(data: Fields, name: str, inboxes: Collection[int]) -> Told:
    if (inbox := data.integer("inbox_id")) not in inboxes:
        return OTHER_INBOX
    message = Message.read(data)
    if (ignored := not_for_the_customer(message.message_type, message.source_id)) is not None:
        failed = message.is_failed and not message.deleted
        return MarkedFailed(message.id, message.conversation_id, inbox) if failed else ignored
    peer = data.object("conversation").object("contact_inbox").text("source_id")
    if message.deleted:
        return MessageDeleted(message.id, message.conversation_id, inbox, peer)
    is_new = name == "message.created"
    if not is_new and not _failure_changed(data):
        return Ignored("message_updated")
    return ReplyTold(message, inbox, peer, is_new)


def _failure_changed(data: Fields) -> bool:
    """Whether Chatwoot began or ceased to show the message as failed. Most updates do neither: our
    own statuses, marks that it was read, the sender of a merged contact."""
    if "previous_changes" not in data.values:
        return True
    changes = data.object("previous_changes").values
    return _has_failed(changes.get("status")) or _names_an_error(changes.get("content_attributes"))


def _has_failed(change: object) -> bool:
    return isinstance(change, list) and "failed" in change


def _names_an_error(change: object) -> bool:
    """`change`: the attributes before, and after."""
    return isinstance(change, list) and any(
        isinstance(attributes, Mapping) and "external_error" in attributes for attributes in change
    )


def _conversation(data: Fields, name: str, inboxes: Collection[int]) -> Told:
    inbox = data.integer("inbox_id")
    if inbox not in inboxes:
        return OTHER_INBOX
    conversation = Conversation.read_webhook(data)
    peer = conversation.source_id
    event: Event = Ignored(name)
    if name == "conversation.created":
        event = ConversationCreated(conversation.id, inbox, peer)
    elif name == "conversation.status_changed":
        event = StatusChanged(conversation.id, conversation.status, inbox, peer)
    return ConversationTold(conversation, event)


def _typing(data: Fields, name: str, inboxes: Collection[int]) -> Told:
    """Of agents and bots. That a contact types is our own word for a customer, which comes back."""
    told = _conversation(data.object("conversation"), name, inboxes)
    kind = data.optional_object("user").optional_text("type")
    if not isinstance(told, ConversationTold) or data.optional_flag("is_private"):
        return told
    if kind in {"", "contact"}:
        return told
    typing = AgentTyping if name == "conversation.typing_on" else AgentStoppedTyping
    here = told.conversation
    return replace(told, event=typing(here.id, here.inbox_id, here.source_id))


def _contact(data: Fields, _name: str, _inboxes: Collection[int]) -> Told:
    return ContactTold(Contact.read(data))


_READERS: Mapping[str, Callable[[Fields, str, Collection[int]], Told]] = {
    "message.created": _message,
    "message.updated": _message,
    "conversation.created": _conversation,
    "conversation.updated": _conversation,
    "conversation.status_changed": _conversation,
    "conversation.contact_changed": _conversation,
    "conversation.typing_on": _typing,
    "conversation.typing_off": _typing,
    "contact.created": _contact,
    "contact.updated": _contact,
}
