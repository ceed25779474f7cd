"""Inboxes and their members (inboxes_controller.rb)."""

from __future__ import annotations

from sandbox.chatwoot import inboxes
from sandbox.chatwoot.records import JSON, Inbox
from sandbox.chatwoot.refusals import RecordInvalid, ServerError
from sandbox.chatwoot.routing import Access, Call, Route
from sandbox.chatwoot.shapes import agent
from sandbox.chatwoot.shapes_of_inboxes import inbox as inbox_shape

_BASE = "/api/v1/accounts/{account}/inboxes"
_ONE = _BASE + "/{inbox}"
_MEMBERS = "/api/v1/accounts/{account}/inbox_members"


def _shown(call: Call, inbox: Inbox) -> JSON:
    """Keys and secrets are for administrators only."""
    shape = inbox_shape(inbox)
    if call.is_administrator:
        shape["hmac_token"] = inbox.hmac_token
        if call.store.version.signs_webhooks:
            shape["secret"] = inbox.secret
    return shape


def index(call: Call) -> JSON:
    seen = [inbox for inbox in call.store.inboxes if call.sees(inbox)]
    return {"payload": [_shown(call, inbox) for inbox in seen]}


def create(call: Call) -> JSON:
    channel = call.fields.get("channel")
    if not isinstance(channel, dict):
        raise ServerError
    if channel.get("type") != "api":
        raise RecordInvalid(("channel", "Channel must exist"))
    inbox = inboxes.create_inbox(call.store, call.account.id, call.fields)
    return _shown(call, inbox)


def show(call: Call) -> JSON:
    return _shown(call, call.inbox(call.path["inbox"]))


def update(call: Call) -> JSON:
    inbox = call.inbox(call.path["inbox"])
    inboxes.update_inbox(call.store, inbox, call.fields)
    return _shown(call, inbox)


def delete(call: Call) -> JSON:
    inboxes.delete_inbox(call.store, call.inbox(call.path["inbox"]))
    return {"message": "Your inbox deletion request will be processed in some time."}


def reset_secret(call: Call) -> JSON:
    inbox = call.inbox(call.path["inbox"])
    inbox.secret = inboxes.new_key()
    return _shown(call, inbox)


def members(call: Call) -> JSON:
    inbox = call.inbox(call.path["inbox"])
    found = [call.store.users.get(user_id) for user_id in inbox.member_ids]
    return {"payload": [agent(user, call.account.id) for user in found]}


def add_members(call: Call) -> JSON:
    inbox = call.inbox(call.fields.get("inbox_id"))
    users = [call.store.users.get(user_id) for user_id in call.fields.get("user_ids") or []]
    inbox.member_ids = sorted({*inbox.member_ids, *(user.id for user in users)})
    return {"payload": [agent(user, call.account.id) for user in users]}


ROUTES = (
    Route("GET", _BASE, Access.USER, index),
    Route("POST", _BASE, Access.ADMINISTRATOR, create),
    Route("GET", _ONE, Access.USER, show),
    Route("PATCH", _ONE, Access.ADMINISTRATOR, update),
    Route("PUT", _ONE, Access.ADMINISTRATOR, update),
    Route("DELETE", _ONE, Access.ADMINISTRATOR, delete),
    Route("POST", _ONE + "/reset_secret", Access.ADMINISTRATOR, reset_secret),
    Route("GET", _MEMBERS + "/{inbox}", Access.USER, members),
    Route("POST", _MEMBERS, Access.ADMINISTRATOR, add_members),
)
