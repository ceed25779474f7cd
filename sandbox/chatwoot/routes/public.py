"""The public client API: no token, the contact's source id is the key (public/api/v1/inboxes)."""

from __future__ import annotations

import hashlib
import hmac

from sandbox.chatwoot import contacts, conversations, messages, payloads, shapes
from sandbox.chatwoot.messages import Draft, create_message
from sandbox.chatwoot.records import (
    JSON,
    MESSAGE_TYPES,
    Contact,
    ContactInbox,
    Conversation,
    Inbox,
    Message,
)
from sandbox.chatwoot.refusals import NotFound, ServerError, Unprocessable
from sandbox.chatwoot.routes.messages import blobs_of
from sandbox.chatwoot.routing import Access, Call, Route
from sandbox.chatwoot.shapes_of_inboxes import working_week
from sandbox.chatwoot.status import set_status
from sandbox.chatwoot.times import iso, unix

_INBOX = "/public/api/v1/inboxes/{identifier}"
_CONTACT = _INBOX + "/contacts/{source}"
_TALK = _CONTACT + "/conversations/{conversation}"
SURVEY_OPEN = 14 * 86400
"""Seconds."""


def _inbox(call: Call) -> Inbox:
    for inbox in call.store.inboxes:
        if inbox.identifier == call.path["identifier"]:
            return inbox
    raise NotFound


def _place(call: Call) -> ContactInbox:
    row = call.store.contact_inbox(_inbox(call).id, call.path["source"])
    if row is None:
        raise NotFound
    return row


def _conversation(call: Call) -> Conversation:
    """In older releases any conversation of the contact will do, even one in another inbox."""
    number = call.path["conversation"]
    display_id = int(number) if number.isdigit() else 0
    row = call.store.conversation(_inbox(call).account_id, display_id)
    place = _place(call)
    apart = call.store.version.keeps_places_apart and row.contact_inbox_id != place.id
    if apart or row.contact_id != place.contact_id:
        raise NotFound
    return row


def _check_identity(call: Call, inbox: Inbox) -> None:
    """A wrong or missing hash is an uncaught error in Chatwoot: 500, not 401."""
    given = call.fields.get("identifier_hash")
    if given is None and not inbox.hmac_mandatory:
        return
    identifier = call.parameters.text("identifier").encode()
    right = hmac.new(inbox.hmac_token.encode(), identifier, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(right, str(given)):
        raise ServerError


def show_inbox(call: Call) -> JSON:
    inbox = _inbox(call)
    return {
        "identifier": inbox.identifier,
        "identity_validation_enabled": inbox.hmac_mandatory,
        "name": inbox.name,
        "timezone": "UTC",
        "working_hours": working_week(),
        "working_hours_enabled": False,
        "csat_survey_enabled": False,
        "greeting_enabled": False,
    }


def create_contact(call: Call) -> JSON:
    """A known source id gives its contact unchanged; else a contact is found by its addresses."""
    inbox = _inbox(call)
    _check_identity(call, inbox)
    source_id = call.parameters.text("source_id") or None
    row = call.store.contact_inbox(inbox.id, source_id) if source_id else None
    if row is None:
        contact = _known(call, inbox) or contacts.create_contact(
            call.store, inbox.account_id, {"name": "Quiet Visitor", **call.fields}
        )
        row = contacts.attach(call.store, contact, inbox, source_id)
    return _contact(call, row)


def _known(call: Call, inbox: Inbox) -> Contact | None:
    for name in ("identifier", "email", "phone_number"):
        value = call.parameters.text(name)
        for contact in call.store.contacts:
            if value and contact.account_id == inbox.account_id and getattr(contact, name) == value:
                return contact
    return None


def show_contact(call: Call) -> JSON:
    _check_identity(call, _inbox(call))
    return _contact(call, _place(call))


def update_contact(call: Call) -> JSON:
    """Answers with the bare row."""
    _check_identity(call, _inbox(call))
    contact = call.store.contacts.get(_place(call).contact_id)
    values = {key: value for key, value in call.fields.items() if key != "identifier"}
    contacts.update_contact(call.store, contact, values)
    return _contact_row(call, contact)


def _contact(call: Call, row: ContactInbox) -> JSON:
    contact = call.store.contacts.get(row.contact_id)
    return {
        "source_id": row.source_id,
        "pubsub_token": row.pubsub_token,
        "id": contact.id,
        "name": contact.name,
        "email": contact.email,
        "phone_number": contact.phone_number,
    }


def _contact_row(call: Call, contact: Contact) -> JSON:
    return {
        "id": contact.id,
        "name": contact.name,
        "middle_name": "",
        "last_name": "",
        "email": contact.email,
        "phone_number": contact.phone_number,
        "identifier": contact.identifier,
        "additional_attributes": contact.additional_attributes,
        "custom_attributes": contact.custom_attributes,
        "contact_type": "lead" if contact.is_known else "visitor",
        "company_id": None,
        "country_code": None,
        "location": None,
        "label_list": [],
        "blocked": contact.blocked,
        "account_id": contact.account_id,
        "last_activity_at": iso(contact.last_activity_at),
        "created_at": iso(contact.created_at),
        "updated_at": iso(contact.updated_at),
    }


def create_conversation(call: Call) -> JSON:
    custom = {"custom_attributes": call.fields.get("custom_attributes") or {}}
    return _shown(call, conversations.open_conversation(call.store, _place(call), custom))


def list_conversations(call: Call) -> list[JSON]:
    place = _place(call)
    mine = [row for row in call.store.conversations if row.contact_inbox_id == place.id]
    return [_shown(call, row) for row in mine]


def show_conversation(call: Call) -> JSON:
    return _shown(call, _conversation(call))


def resolve(call: Call) -> JSON:
    """Resolves; there is no way back from here."""
    row = _conversation(call)
    set_status(call.store, row, "resolved")
    return _shown(call, row)


def toggle_typing(call: Call) -> None:
    """The one who types is the contact: the only way to show a customer typing."""
    row = _conversation(call)
    contact = call.store.contacts.get(row.contact_id)
    shape = payloads.contact_webhook(call.store, contact)
    conversations.announce_typing(call.store, row, call.parameters.text("typing_status"), shape)


def update_last_seen(call: Call) -> None:
    messages.mark_read(call.store, _conversation(call))


def list_messages(call: Call) -> list[JSON]:
    spoken = _spoken(call, _conversation(call))
    before = call.parameters.number("before")
    return [_message(call, row) for row in spoken if before is None or row.id < before][-20:]


def create_public_message(call: Call) -> JSON:
    row = _conversation(call)
    blobs = blobs_of(call, call.fields.get("attachments"))
    draft = Draft(call.fields.get("content"), "incoming", blobs=blobs)
    return _message(call, create_message(call.store, row, draft, None))


def update_message(call: Call) -> JSON:
    """The customer's answer to what a message asks. A survey can be answered for two weeks."""
    row = _conversation(call)
    message = call.message(row)
    locked = call.store.now() - message.created_at > SURVEY_OPEN
    if message.content_type == "input_csat" and locked:
        raise Unprocessable("You cannot update the CSAT survey after 14 days")
    values = call.fields.get("submitted_values")
    if values:
        messages.submit_values(call.store, message, values)
    return _message(call, message)


def _spoken(call: Call, row: Conversation) -> list[Message]:
    everything = call.store.messages_of(row)
    return [each for each in everything if not each.private and each.message_type != "activity"]


def _shown(call: Call, row: Conversation) -> JSON:
    return {
        "id": row.display_id,
        "uuid": row.uuid,
        "inbox_id": row.inbox_id,
        "contact_last_seen_at": unix(row.contact_last_seen_at),
        "status": row.status,
        "agent_last_seen_at": unix(row.agent_last_seen_at),
        "messages": [_message(call, each) for each in _spoken(call, row)],
        "contact": _contact_row(call, call.store.contacts.get(row.contact_id)),
    }


def _message(call: Call, row: Message) -> JSON:
    optional = {
        "attachments": shapes.attachments(call.store, row),
        "sender": shapes.sender_push(call.store, row),
    }
    shape = {
        "id": row.id,
        "content": row.content,
        "message_type": MESSAGE_TYPES.index(row.message_type),
        "content_type": row.content_type,
        "content_attributes": row.content_attributes,
        "created_at": unix(row.created_at),
        "conversation_id": call.store.conversations.get(row.conversation_id).display_id,
        **{key: value for key, value in optional.items() if value},
    }
    return dict(payloads.without_presence(shape))


ROUTES = (
    Route("GET", _INBOX, Access.PUBLIC, show_inbox),
    Route("POST", _INBOX + "/contacts", Access.PUBLIC, create_contact),
    Route("GET", _CONTACT, Access.PUBLIC, show_contact),
    Route("PATCH", _CONTACT, Access.PUBLIC, update_contact),
    Route("POST", _CONTACT + "/conversations", Access.PUBLIC, create_conversation),
    Route("GET", _CONTACT + "/conversations", Access.PUBLIC, list_conversations),
    Route("GET", _TALK, Access.PUBLIC, show_conversation),
    Route("POST", _TALK + "/toggle_status", Access.PUBLIC, resolve),
    Route("POST", _TALK + "/toggle_typing", Access.PUBLIC, toggle_typing),
    Route("POST", _TALK + "/update_last_seen", Access.PUBLIC, update_last_seen),
    Route("GET", _TALK + "/messages", Access.PUBLIC, list_messages),
    Route("POST", _TALK + "/messages", Access.PUBLIC, create_public_message),
    Route("PATCH", _TALK + "/messages/{message}", Access.PUBLIC, update_message),
    Route("PUT", _TALK + "/messages/{message}", Access.PUBLIC, update_message),
)
