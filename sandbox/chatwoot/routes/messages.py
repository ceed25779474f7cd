"""Messages (conversations/messages_controller.rb)."""

from __future__ import annotations

from sandbox.chatwoot import messages, shapes
from sandbox.chatwoot.messages import Draft
from sandbox.chatwoot.parameters import as_id
from sandbox.chatwoot.records import JSON, Blob, Bot, Conversation, Upload
from sandbox.chatwoot.refusals import NotFound, RecordInvalid, Unprocessable
from sandbox.chatwoot.routing import Access, Call, Route
from sandbox.chatwoot.times import iso

_BASE = "/api/v1/accounts/{account}/conversations/{conversation}/messages"
_ONE = _BASE + "/{message}"


def create(call: Call) -> JSON:
    """Whatever is wrong is 422 with `error`; only the conversation's absence is 404."""
    row = call.conversation()
    try:
        blobs = blobs_of(call, call.fields.get("attachments"))
        draft = messages.draft_of(call.fields, blobs)
        message = messages.create_message(call.store, row, draft, sender_of(call, row, draft))
    except RecordInvalid as problem:
        raise Unprocessable(f"Validation failed: {problem.text}") from None
    return shapes.message(call.store, message, call.fields.get("echo_id"))


def sender_of(call: Call, row: Conversation, draft: Draft) -> tuple[str, int]:
    """An outgoing message is the named bot's, else the token owner's; others are the contact's."""
    if draft.message_type != "outgoing":
        return ("Contact", row.contact_id)
    if call.fields.get("sender_type") == "AgentBot":
        return ("AgentBot", call.store.bots.get(as_id(call.fields.get("sender_id"))).id)
    if isinstance(call.owner, Bot):
        return ("AgentBot", call.owner.id)
    return ("User", call.user.id)


def blobs_of(call: Call, files: object) -> tuple[Blob, ...]:
    """Uploaded files, and signed ids of files that were uploaded before."""
    if files is None:
        return ()
    if not isinstance(files, list):
        raise Unprocessable("undefined method `each' for attachments")
    return tuple(_blob(call, file) for file in files)


def _blob(call: Call, file: object) -> Blob:
    if isinstance(file, Upload):
        return call.store.keep(file)
    if isinstance(file, str) and file in call.store.blobs:
        return call.store.blobs[file]
    raise Unprocessable("ActiveSupport::MessageVerifier::InvalidSignature")


def index(call: Call) -> JSON:
    row = call.conversation()
    before, after = call.parameters.number("before"), call.parameters.number("after")
    found = messages.page(call.store, row, before, after)
    if call.parameters.text("filter_internal_messages") == "true":
        found = [each for each in found if not each.private and each.message_type != "activity"]
    meta: JSON = {
        "labels": row.labels,
        "additional_attributes": row.additional_attributes,
        "contact": shapes.contact_push(call.store, call.store.contacts.get(row.contact_id)),
        "agent_last_seen_at": iso(row.agent_last_seen_at),
        "assignee_last_seen_at": iso(row.assignee_last_seen_at),
    }
    if row.assignee_id is not None:
        meta["assignee"] = shapes.user_push(call.store.users.get(row.assignee_id))
    return {"meta": meta, "payload": [shapes.message(call.store, each) for each in found]}


def update(call: Call) -> JSON:
    """Only `status` and `external_error` are read."""
    row = call.conversation()
    if call.store.inboxes.get(row.inbox_id).channel_type != "Channel::Api":
        text = "Message status update is only allowed for API inboxes"
        raise Unprocessable(text, status=403)
    message = call.message(row)
    error = call.fields.get("external_error")
    messages.update_status(call.store, message, call.parameters.text("status"), error)
    return shapes.message(call.store, message)


def delete(call: Call) -> JSON:
    message = call.message(call.conversation())
    messages.delete_message(call.store, message)
    return shapes.message(call.store, message)


def retry(call: Call) -> JSON:
    row = call.conversation()
    try:
        message = call.message(row)
    except NotFound:
        raise Unprocessable("Couldn't find Message") from None
    messages.retry_message(call.store, message)
    return shapes.message(call.store, message)


def translate(call: Call) -> JSON:
    """Nobody translates here, as in an installation without Google's service."""
    call.message(call.conversation())
    return {"content": None}


ROUTES = (
    Route("GET", _BASE, Access.USER, index),
    Route("POST", _BASE, Access.BOT, create),
    Route("PATCH", _ONE, Access.USER, update),
    Route("PUT", _ONE, Access.USER, update),
    Route("DELETE", _ONE, Access.USER, delete),
    Route("POST", _ONE + "/retry", Access.USER, retry),
    Route("POST", _ONE + "/translate", Access.USER, translate),
)
