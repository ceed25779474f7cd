"""Account webhooks (webhooks_controller.rb, webhook.rb)."""

from __future__ import annotations

from urllib.parse import urlsplit

from sandbox.chatwoot.inboxes import new_key
from sandbox.chatwoot.parameters import as_id
from sandbox.chatwoot.records import JSON, Webhook
from sandbox.chatwoot.refusals import NotFound, RecordInvalid
from sandbox.chatwoot.routing import Access, Call, Route

_BASE = "/api/v1/accounts/{account}/webhooks"
_ONE = _BASE + "/{webhook}"
USUAL = (
    "conversation_status_changed",
    "conversation_updated",
    "conversation_created",
    "contact_created",
    "contact_updated",
    "message_created",
    "message_updated",
    "webwidget_triggered",
)
ALLOWED = {
    *USUAL,
    "inbox_created",
    "inbox_updated",
    "conversation_typing_on",
    "conversation_typing_off",
}


def index(call: Call) -> JSON:
    mine = [row for row in call.store.webhooks if row.account_id == call.account.id]
    return {"payload": {"webhooks": [_shown(call, row) for row in mine]}}


def create(call: Call) -> JSON:
    values = _values(call)
    subscriptions = values.get("subscriptions", USUAL)
    _validate(call, {"url": "", **values, "subscriptions": subscriptions}, None)
    row = call.store.webhooks.add(
        account_id=call.account.id,
        url=values["url"],
        secret=new_key(),
        subscriptions=list(subscriptions),
        name=values.get("name"),
        inbox_id=values.get("inbox_id"),
    )
    return {"payload": {"webhook": _shown(call, row)}}


def update(call: Call) -> JSON:
    row = _row(call)
    values = _values(call)
    _validate(call, values, row)
    for name in ("url", "name", "subscriptions", "inbox_id"):
        if name in values:
            setattr(row, name, values[name])
    return {"payload": {"webhook": _shown(call, row)}}


def delete(call: Call) -> None:
    del call.store.webhooks.rows[_row(call).id]


def _row(call: Call) -> Webhook:
    row = call.store.webhooks.get(as_id(call.path["webhook"]))
    if row.account_id != call.account.id:
        raise NotFound
    return row


def _values(call: Call) -> JSON:
    """Flat, or below `webhook`: JSON is wrapped by Rails, a form is not."""
    names = ("url", "name", "subscriptions", "inbox_id")
    flat = {name: call.fields[name] for name in names if name in call.fields}
    return flat or call.parameters.inside("webhook")


def _validate(call: Call, values: JSON, current: Webhook | None) -> None:
    problems = []
    if "url" in values:
        address = urlsplit(str(values["url"]))
        if address.scheme not in {"http", "https"} or not address.netloc:
            problems.append(("url", "Url is invalid"))
        others = (row for row in call.store.webhooks if row is not current)
        if any((row.account_id, row.url) == (call.account.id, values["url"]) for row in others):
            problems.append(("url", "Url has already been taken"))
    chosen = values.get("subscriptions")
    if "subscriptions" in values and (not chosen or set(chosen) - ALLOWED):
        problems.append(("subscriptions", "Subscriptions Invalid events"))
    if problems:
        raise RecordInvalid(*problems)


def _shown(call: Call, row: Webhook) -> JSON:
    shape: JSON = {
        "id": row.id,
        "name": row.name,
        "url": row.url,
        "account_id": row.account_id,
        "subscriptions": row.subscriptions,
    }
    if row.inbox_id is not None and row.inbox_id in call.store.inboxes.rows:
        shape["inbox"] = {
            "id": row.inbox_id,
            "name": call.store.inboxes.get(row.inbox_id).name,
        }
    return {**shape, "secret": row.secret} if call.store.version.signs_webhooks else shape


ROUTES = (
    Route("GET", _BASE, Access.ADMINISTRATOR, index),
    Route("POST", _BASE, Access.ADMINISTRATOR, create),
    Route("PATCH", _ONE, Access.ADMINISTRATOR, update),
    Route("PUT", _ONE, Access.ADMINISTRATOR, update),
    Route("DELETE", _ONE, Access.ADMINISTRATOR, delete),
)
