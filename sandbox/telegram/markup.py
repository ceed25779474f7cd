"""Reads a text with its markup as the Bot API does, and refuses what the Bot API refuses.

https://core.telegram.org/bots/api#formatting-options
The old «Markdown» mode is not spoken: new bots are told not to use it.
"""

from __future__ import annotations

from typing import Any

from sandbox.telegram.errors import bad_request
from sandbox.telegram.markup_html import TAGS, read_html
from sandbox.telegram.markup_markdown import read_markdown
from sandbox.telegram.units import utf16_length

__all__ = ["read", "utf16_length"]

Json = dict[str, Any]

ENTITY_TYPES = frozenset(TAGS.values()) | {
    "expandable_blockquote", "text_mention", "custom_emoji", "mention", "hashtag", "cashtag",
    "bot_command", "url", "email", "phone_number",
}  # fmt: skip


def read(text: str, parse_mode: str, entities: list[Json] | None) -> tuple[str, list[Json]]:
    """The plain text and its entities. Raises `Refused` for markup that makes no sense."""
    mode = parse_mode.lower()
    if mode == "html":
        return read_html(text)
    if mode == "markdownv2":
        return read_markdown(text)
    if mode:
        raise bad_request("unsupported parse_mode")
    return text, _checked(text, entities) if entities else []


def _checked(text: str, entities: list[Json]) -> list[Json]:
    try:
        shown = [_entity(text, entity) for entity in entities]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise bad_request("can't parse entities JSON object") from None
    return sorted((entity for entity in shown if entity), key=lambda entity: int(entity["offset"]))


def _entity(text: str, entity: Json) -> Json:
    """One entity; empty if it covers nothing, which Telegram silently drops."""
    offset, length = int(entity["offset"]), int(entity["length"])
    if entity["type"] not in ENTITY_TYPES:
        raise ValueError(entity["type"])
    units = text.encode("utf-16-le")
    if offset < 0 or length <= 0 or offset * 2 >= len(units):
        return {}
    length = min(length, len(units) // 2 - offset)
    _refuse_half_symbol(units, offset, "entity begins")
    _refuse_half_symbol(units, offset + length, f"entity beginning at UTF-16 offset {offset} ends")
    return entity | {"offset": offset, "length": length}


def _refuse_half_symbol(units: bytes, place: int, what: str) -> None:
    """A place in UTF-16 code units must not lie between the two halves of a surrogate pair."""
    following = units[place * 2 : place * 2 + 2]
    if following and 0xDC00 <= int.from_bytes(following, "little") <= 0xDFFF:
        byte = len(units[: place * 2].decode("utf-16-le", "ignore").encode())
        raise bad_request(f"{what} in a middle of a UTF-16 symbol at byte offset {byte}")
