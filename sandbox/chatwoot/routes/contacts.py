"""Contacts and their places in inboxes (contacts_controller.rb, contact_inboxes_controller.rb)."""

from __future__ import annotations

import uuid

from sandbox.chatwoot import contacts, shapes
from sandbox.chatwoot.messages import announce_message
from sandbox.chatwoot.parameters import as_id
from sandbox.chatwoot.records import JSON
from sandbox.chatwoot.refusals import ServerError
from sandbox.chatwoot.routing import Access, Answer, Call, Route
from sandbox.chatwoot.shapes_of_inboxes import inbox_row, inbox_slim
from sandbox.server import Reply

_BASE = "/api/v1/accounts/{account}/contacts"
_ONE = _BASE + "/{contact}"


def create(call: Call) -> JSON:
    """500 if the source id is taken: the whole create rolls back, and nothing names the other."""
    inbox = call.inbox(call.fields["inbox_id"]) if call.fields.get("inbox_id") else None
    contact = contacts.create_contact(call.store, call.account.id, call.fields)
    place: JSON = {"inbox": None, "source_id": None}
    if inbox:
        try:
            row = contacts.attach(
                call.store, contact, inbox, call.parameters.text("source_id") or None
            )
        except ServerError:
            del call.store.contacts.rows[contact.id]  # rolled back; the id is used up all the same
            raise
        place = {"inbox": inbox_row(inbox), "source_id": row.source_id}
    body = shapes.contact_with_inboxes(call.store, contact)
    return {"payload": {"contact": body, "contact_inbox": place}}


def show(call: Call) -> JSON:
    contact = call.contact(call.path["contact"])
    if call.parameters.text("include_contact_inboxes", "true") == "false":
        return {"payload": shapes.contact(call.store, contact)}
    return {"payload": shapes.contact_with_inboxes(call.store, contact)}


def update(call: Call) -> JSON:
    contacts.update_contact(call.store, call.contact(call.path["contact"]), call.fields)
    return show(call)


def delete(call: Call) -> None:
    contacts.delete_contact(call.store, call.contact(call.path["contact"]))


def destroy_custom_attributes(call: Call) -> JSON:
    contact = call.contact(call.path["contact"])
    gone = call.fields.get("custom_attributes") or []
    kept = {key: value for key, value in contact.custom_attributes.items() if key not in gone}
    contact.custom_attributes = kept
    contacts.announce_contact(call.store, contact, [])
    return show(call)


def find_by_source(call: Call) -> Answer:
    """Who is this source id in my inbox? 404 with an empty body if nobody."""
    inbox = call.inbox(call.fields.get("inbox_id"))
    row = call.store.contact_inbox(inbox.id, call.parameters.text("source_id"))
    if row is None:
        return Reply(404)
    return shapes.contact_with_inboxes(call.store, call.store.contacts.get(row.contact_id))


def attach(call: Call) -> JSON:
    contact = call.contact(call.path["contact"])
    inbox = call.inbox(call.fields.get("inbox_id"))
    source_id = call.parameters.text("source_id") or None
    row = contacts.attach(call.store, contact, inbox, source_id)
    row.hmac_verified = row.hmac_verified or call.fields.get("hmac_verified") is True
    return shapes.place(call.store, row)


def contactable_inboxes(call: Call) -> JSON:
    """Where the contact has no place yet, a random source id is invented and not stored."""
    contact = call.contact(call.path["contact"])
    known = {row.inbox_id: row.source_id for row in call.store.contact_inboxes_of(contact)}
    found = [
        {"inbox": inbox_slim(inbox), "source_id": known.get(inbox.id) or str(uuid.uuid4())}
        for inbox in call.store.inboxes
        if call.sees(inbox)
    ]
    return {"payload": found}


def conversations(call: Call) -> JSON:
    """The latest 20, of every status and inbox that the caller can see."""
    contact = call.contact(call.path["contact"])
    rows = [
        row
        for row in call.store.conversations
        if row.contact_id == contact.id and call.sees(call.store.inboxes.get(row.inbox_id))
    ]
    rows.sort(key=lambda row: -row.last_activity_at)
    return {"payload": [shapes.conversation(call.store, row) for row in rows[:20]]}


def merge(call: Call) -> JSON:
    base = call.contact(as_id(call.fields.get("base_contact_id")))
    mergee = call.contact(as_id(call.fields.get("mergee_contact_id")))
    if base is not mergee:
        for message in contacts.merge_contacts(call.store, base, mergee):
            announce_message(call.store, "message_updated", message)
    return shapes.contact(call.store, base)


ROUTES = (
    Route("POST", _BASE, Access.USER, create),
    Route("GET", _ONE, Access.USER, show),
    Route("PUT", _ONE, Access.USER, update),
    Route("PATCH", _ONE, Access.USER, update),
    Route("DELETE", _ONE, Access.ADMINISTRATOR, delete),
    Route("POST", _ONE + "/destroy_custom_attributes", Access.USER, destroy_custom_attributes),
    Route("POST", _ONE + "/contact_inboxes", Access.USER, attach),
    Route("GET", _ONE + "/contactable_inboxes", Access.USER, contactable_inboxes),
    Route("GET", _ONE + "/conversations", Access.USER, conversations),
    Route("POST", "/api/v1/accounts/{account}/contact_inboxes/filter", Access.USER, find_by_source),
    Route("POST", "/api/v1/accounts/{account}/actions/contact_merge", Access.USER, merge),
)
