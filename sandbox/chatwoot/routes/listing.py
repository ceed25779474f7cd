"""Lists of conversations (conversation_finder.rb)."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.chatwoot import shapes
from sandbox.chatwoot.parameters import as_id
from sandbox.chatwoot.records import JSON, Conversation
from sandbox.chatwoot.refusals import Unprocessable
from sandbox.chatwoot.routing import Access, Call, Route

PAGE = 25
_BASE = "/api/v1/accounts/{account}/conversations"
_FILTERS: dict[str, Callable[[Conversation], object]] = {
    "status": lambda row: row.status,
    "assignee_id": lambda row: row.assignee_id,
    "inbox_id": lambda row: row.inbox_id,
    "priority": lambda row: row.priority,
    "display_id": lambda row: row.display_id,
    "mail_subject": lambda row: row.additional_attributes.get("mail_subject"),
}


def index(call: Call) -> JSON:
    """Open ones unless `status` says otherwise; `updated_within` gives all at once, unpaged."""
    rows = _found(call)
    shown = rows if call.fields.get("updated_within") else _page(call, rows)
    payload = [shapes.conversation(call.store, row) for row in shown]
    return {"data": {"meta": _counts(call, rows), "payload": payload}}


def meta(call: Call) -> JSON:
    return {"meta": _counts(call, _found(call))}


def filtered(call: Call) -> JSON:
    conditions = call.fields.get("payload") or []
    rows = [row for row in _visible(call) if all(_matches(row, each) for each in conditions)]
    rows.sort(key=lambda row: -row.last_activity_at)
    counts = {key: value for key, value in _counts(call, rows).items() if key != "assigned_count"}
    payload = [shapes.conversation(call.store, row) for row in _page(call, rows)]
    return {"meta": counts, "payload": payload}


def _matches(row: Conversation, condition: JSON) -> bool:
    key = condition.get("attribute_key")
    read = _FILTERS.get(str(key))
    if read is None:
        raise Unprocessable(f"Invalid attribute key - [{key}] should be one of {sorted(_FILTERS)}")
    wanted = {str(value) for value in condition.get("values") or []}
    inside = "all" in wanted or str(read(row)) in wanted
    return inside is (condition.get("filter_operator") != "not_equal_to")


def _visible(call: Call) -> list[Conversation]:
    seen = {inbox.id for inbox in call.store.inboxes if call.sees(inbox)}
    return [row for row in call.store.conversations if row.inbox_id in seen]


def _found(call: Call) -> list[Conversation]:
    rows = _visible(call)
    ask = call.parameters
    status = ask.text("status", "open")
    if status != "all":
        rows = [row for row in rows if row.status == status]
    if inbox_id := ask.text("inbox_id"):
        rows = [row for row in rows if row.inbox_id == as_id(inbox_id)]
    if source_id := ask.text("source_id"):
        places = call.store.contact_inboxes
        rows = [row for row in rows if places.get(row.contact_inbox_id).source_id == source_id]
    if labels := call.fields.get("labels"):
        rows = [row for row in rows if set(row.labels) & set(labels)]
    if within := ask.number("updated_within"):
        rows = [row for row in rows if row.updated_at > call.store.now() - within]
    rows = [row for row in rows if _has_assignee(call, row)]
    return sorted(rows, key=lambda row: -row.last_activity_at)


def _has_assignee(call: Call, row: Conversation) -> bool:
    wanted = call.parameters.text("assignee_type")
    if wanted == "me":
        return row.assignee_id == call.user.id
    if wanted in {"assigned", "unassigned"}:
        return (row.assignee_id is None) is (wanted == "unassigned")
    return True


def _page(call: Call, rows: list[Conversation]) -> list[Conversation]:
    start = (max(1, call.parameters.number("page") or 1) - 1) * PAGE
    return rows[start : start + PAGE]


def _counts(call: Call, rows: list[Conversation]) -> JSON:
    unassigned = sum(row.assignee_id is None for row in rows)
    return {
        "mine_count": sum(row.assignee_id == call.user.id for row in rows),
        "assigned_count": len(rows) - unassigned,
        "unassigned_count": unassigned,
        "all_count": len(rows),
    }


ROUTES = (
    Route("GET", _BASE, Access.USER, index),
    Route("GET", _BASE + "/meta", Access.USER, meta),
    Route("POST", _BASE + "/filter", Access.USER, filtered),
)
