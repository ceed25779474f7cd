"""What a message's items may say (Chatwoot's content_attribute_validator.rb)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sandbox.chatwoot.records import JSON
from sandbox.chatwoot.refusals import RecordInvalid

_KEYS = {
    "input_select": {"title", "value"},
    "cards": {"title", "description", "media_url", "actions"},
    "form": {
        "type",
        "placeholder",
        "label",
        "name",
        "options",
        "default",
        "required",
        "pattern",
        "title",
        "pattern_error",
    },
    "article": {"title", "description", "link"},
}
_ACTION_KEYS = {"text", "type", "payload", "uri"}


def check_items(content_type: str, attributes: JSON) -> None:
    """Raises RecordInvalid for items that a message of this type cannot have."""
    if content_type not in _KEYS:
        return
    items = attributes.get("items")
    if not items or not isinstance(items, list):
        raise _invalid("At least one item is required.")
    if not all(isinstance(item, dict) for item in items):
        raise _invalid("Items should be a hash.")
    _check_keys("items ", items, _KEYS[content_type])
    if content_type == "cards":
        actions = [action for item in items for action in item.get("actions") or []]
        _check_keys("actions", actions, _ACTION_KEYS)


def _check_keys(what: str, found: Iterable[dict[str, Any]], allowed: set[str]) -> None:
    wrong = [key for each in found for key in each if key not in allowed]
    if wrong:
        named = ", ".join(f":{key}" for key in dict.fromkeys(wrong))
        raise _invalid(f"contains invalid keys for {what}: [{named}]")


def _invalid(text: str) -> RecordInvalid:
    return RecordInvalid(("content_attributes", f"Content attributes {text}"))
