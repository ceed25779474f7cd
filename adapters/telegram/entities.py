"""Styled text, between the gateway's spans, Telegram's entities, and an agent's Markdown.

Telegram counts offsets in UTF-16 code units: https://core.telegram.org/bots/api#messageentity.
Entities need no escaping, so nothing that an agent types can make Telegram refuse a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from telegram import MessageEntity

from gateway.model import Span, Style
from gateway.text import utf16_length

ENTITY_TYPES = {
    Style.BOLD: MessageEntity.BOLD,
    Style.ITALIC: MessageEntity.ITALIC,
    Style.STRIKE: MessageEntity.STRIKETHROUGH,
    Style.CODE: MessageEntity.CODE,
    Style.CODE_BLOCK: MessageEntity.PRE,
    Style.QUOTE: MessageEntity.BLOCKQUOTE,
    Style.LINK: MessageEntity.TEXT_LINK,
}
MARKS = {
    MessageEntity.BOLD: ("**", "**"),
    MessageEntity.ITALIC: ("*", "*"),
    MessageEntity.STRIKETHROUGH: ("~~", "~~"),
    MessageEntity.CODE: ("`", "`"),
    MessageEntity.PRE: ("```\n", "\n```"),
}


def as_entities(text: str, spans: Iterable[Span]) -> list[MessageEntity]:
    """`spans` over `text` as Telegram wants them."""
    return [
        MessageEntity(
            ENTITY_TYPES[span.style],
            offset=utf16_length(text[: span.offset]),
            length=utf16_length(text[span.offset : span.offset + span.length]),
            url=span.url or None,
        )
        for span in spans
    ]


def as_markdown(text: str, entities: Sequence[MessageEntity]) -> str:
    """What a customer wrote, as the Markdown that Chatwoot shows to agents."""
    positions = _positions(text)
    opening: dict[int, str] = {}
    closing: dict[int, str] = {}
    # Outer entities first: they open before, and close after, what is inside them.
    for entity in sorted(entities, key=lambda each: (each.offset, -each.length)):
        before, after = _marks(entity)
        start = positions.get(entity.offset)
        end = positions.get(entity.offset + entity.length)
        if before and start is not None and end is not None:
            start, end = _without_outer_space(text, start, end)
            if start < end:
                opening[start] = opening.get(start, "") + before
                closing[end] = after + closing.get(end, "")
    places = range(len(text) + 1)
    return "".join(closing.get(i, "") + opening.get(i, "") + text[i : i + 1] for i in places)


def _marks(entity: MessageEntity) -> tuple[str, str]:
    if entity.type == MessageEntity.TEXT_LINK and entity.url:
        return "[", f"](<{entity.url}>)" if set("() ") & set(entity.url) else f"]({entity.url})"
    return MARKS.get(entity.type, ("", ""))


def _positions(text: str) -> dict[int, int]:
    """Offset in UTF-16 code units → offset in characters. None inside a surrogate pair."""
    positions, units = {}, 0
    for index, character in enumerate(text):
        positions[units] = index
        units += 1 + (character > "\uffff")
    positions[units] = len(text)
    return positions


def _without_outer_space(text: str, start: int, end: int) -> tuple[int, int]:
    """Markdown's marks must touch the words: «** bold **» would show its asterisks."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
