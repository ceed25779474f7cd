"""Lists of contacts: all, by a search, by a filter (contacts/filter_service.rb)."""

from __future__ import annotations

from typing import Any

from sandbox.chatwoot import shapes
from sandbox.chatwoot.contacts import visible_contacts
from sandbox.chatwoot.records import JSON, Contact
from sandbox.chatwoot.refusals import Unprocessable
from sandbox.chatwoot.routing import Access, Call, Route

PAGE = 15
_BASE = "/api/v1/accounts/{account}/contacts"
_COLUMNS = {"name", "phone_number", "email", "identifier"}
_OPERATORS = {
    "equal_to",
    "not_equal_to",
    "contains",
    "does_not_contain",
    "is_present",
    "is_not_present",
}


def index(call: Call) -> JSON:
    return _listed(call, list(visible_contacts(call.store, call.account.id)))


def search(call: Call) -> JSON:
    """Part of a name, an e-mail or a phone number in any case, of an identifier in its own."""
    words = call.parameters.text("q").strip()
    everybody = visible_contacts(call.store, call.account.id)
    found = [row for row in everybody if words and _mentions(row, words)]
    answer = _listed(call, found)
    if call.store.version.searches_everybody:
        shown = len(answer["payload"])
        more = _start(call) + shown < len(found)
        answer["meta"] |= {"count": shown, "has_more": more}
    return answer


def filtered(call: Call) -> JSON:
    conditions = call.fields.get("payload")
    if not isinstance(conditions, list) or not conditions:
        raise Unprocessable("Invalid attribute key - [payload]")
    for condition in conditions:
        _check(condition)
    everybody = visible_contacts(call.store, call.account.id)
    return _listed(call, [row for row in everybody if _all_match(row, conditions)])


def _mentions(row: Contact, words: str) -> bool:
    texts = (row.name, row.email or "", row.phone_number or "")
    return any(words.lower() in text.lower() for text in texts) or words in (row.identifier or "")


def _check(condition: Any) -> None:
    key = condition.get("attribute_key") if isinstance(condition, dict) else None
    if key not in _COLUMNS:
        raise Unprocessable(f"Invalid attribute key - [{key}] should be one of {sorted(_COLUMNS)}")
    if condition.get("filter_operator") not in _OPERATORS:
        raise Unprocessable(f"Invalid operator. The allowed operators for {key} are [equal_to].")
    if "present" not in condition["filter_operator"] and not condition.get("values"):
        raise Unprocessable(f"Invalid value. The values provided for {key} are invalid")


def _all_match(row: Contact, conditions: list[JSON]) -> bool:
    """AND binds closer than OR; each condition names what joins it to the next."""
    groups, together = [], True
    for condition in conditions:
        together = together and _matches(row, condition)
        if str(condition.get("query_operator")).upper() == "OR":
            groups.append(together)
            together = True
    return any([*groups, together])


def _matches(row: Contact, condition: JSON) -> bool:
    key, operator = condition["attribute_key"], condition["filter_operator"]
    stored = (getattr(row, key) or "").lower()
    if "present" in operator:
        return bool(stored) is (operator == "is_present")
    values = condition["values"]
    # Only the first value counts, and a phone number is given one leading plus.
    wanted = str(values[0] if isinstance(values, list) else values).lower()
    if key == "phone_number":
        wanted = "+" + wanted.lstrip("+")
    positive = operator in {"equal_to", "contains"}
    found = wanted in stored if "contain" in operator else wanted == stored
    return found is positive


def _listed(call: Call, rows: list[Contact]) -> JSON:
    asked = call.fields.get("page")
    start = _start(call)
    shown = rows[start : start + PAGE]
    meta = {"count": len(rows), "current_page": 1 if asked is None else str(asked)}
    payload = [shapes.contact_with_inboxes(call.store, row) for row in shown]
    return {"meta": meta, "payload": payload}


def _start(call: Call) -> int:
    return (max(1, call.parameters.number("page") or 1) - 1) * PAGE


ROUTES = (
    Route("GET", _BASE, Access.USER, index),
    Route("GET", _BASE + "/search", Access.USER, search),
    Route("POST", _BASE + "/filter", Access.USER, filtered),
)
