"""Messages that only Chatwoot's own widget draws, as text that every network can carry.

Bots, rules and integrations send choices, cards, forms and articles. Their parts are in
`content_attributes.items`; which keys each kind has is in `content_attribute_validator.rb`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

Item = Mapping[str, object]

MARKDOWN_SIGNS = re.compile(r"([\\`*_~\[\]<>#+\-.!()|])")
BELOW = "\n\n"
ANSWER = re.compile(r"\s*(\d{1,3})\s*[.)]?\s*")


def items_in(attributes: Mapping[str, object]) -> tuple[Item, ...]:
    """The parts of a message, from its content attributes; other shapes than objects are left out.

    Chatwoot checks which keys there are, not what stands in them.
    """
    items = attributes.get("items")
    if not isinstance(items, list):
        return ()
    return tuple(item for item in items if isinstance(item, dict))


def readable(content: str, content_type: str, items: Sequence[Item]) -> str:
    """The message as Markdown: its text, below it what the widget would draw, and at the end a list
    of its choices."""
    drawn = _DRAWN[content_type](items) if content_type in _DRAWN else ""
    listed = numbered(choices(content_type, items))
    return BELOW.join(text for text in (content, drawn, listed) if text.strip())


def choices(content_type: str, items: Sequence[Item]) -> tuple[str, ...]:
    """What the customer may choose from, in the order in which `readable` numbers it."""
    return tuple(_CHOICES[content_type](items)) if content_type in _CHOICES else ()


def without_list(text: str, offered: Sequence[str]) -> str:
    """A message that `readable` spelled out, less the list of its choices. All of it if there is
    nothing beside the list, or if another release of the gateway has written the list otherwise."""
    return text.removesuffix(BELOW + numbered(offered)) if offered else text


def with_choice(text: str, offered: Sequence[str]) -> str:
    """A customer's text; the number of an option that was offered is followed by its title."""
    answer = ANSWER.fullmatch(text)
    if answer is None or not 1 <= int(answer[1]) <= len(offered):
        return text
    return f"{text.strip()} ({offered[int(answer[1]) - 1]})"


def numbered(offered: Sequence[str]) -> str:
    """Choices as lines of Markdown, for networks without buttons."""
    return "\n".join(f"{n}. {_literal(choice)}" for n, choice in enumerate(offered, start=1))


def _titles(items: Sequence[Item]) -> Iterator[str]:
    for item in items:
        yield _text(item, "title") or _text(item, "value") or "…"


def _postbacks(items: Sequence[Item]) -> Iterator[str]:
    """The actions of cards that lead nowhere: pressing one in the widget says something."""
    for item in items:
        title = _text(item, "title") if len(items) > 1 else ""
        for action in _actions(item):
            if (label := _text(action, "text")) and not _text(action, "uri"):
                yield f"{title}: {label}" if title else label


def _cards(items: Sequence[Item]) -> str:
    return "\n\n".join("\n".join(_card(item)) for item in items)


def _card(item: Item) -> Iterator[str]:
    if title := _text(item, "title"):
        yield f"**{_literal(title)}**"
    if description := _text(item, "description"):
        yield _literal(description)
    if picture := _text(item, "media_url"):
        yield _link("", picture)
    for action in _actions(item):
        if address := _text(action, "uri"):
            yield _link(_text(action, "text"), address)


def _actions(item: Item) -> Iterator[Item]:
    actions = item.get("actions")
    for action in actions if isinstance(actions, list) else []:
        if isinstance(action, dict):
            yield action


def _form(items: Sequence[Item]) -> str:
    return "\n".join(f"- {_field(item)}" for item in items)


def _field(item: Item) -> str:
    names = (_text(item, key) for key in ("label", "title", "placeholder", "name"))
    name = next((text for text in names if text), "…")
    options = ", ".join(_options(item.get("options")))
    return _literal(f"{name} ({options})" if options else name)


def _options(options: object) -> Iterator[str]:
    for option in options if isinstance(options, list) else []:
        if isinstance(option, dict):
            yield _text(option, "label") or _text(option, "value")
        elif isinstance(option, str):
            yield option


def _articles(items: Sequence[Item]) -> str:
    return "\n\n".join("\n".join(_article(item)) for item in items)


def _article(item: Item) -> Iterator[str]:
    yield _link(_text(item, "title"), _text(item, "link"))
    if description := _text(item, "description"):
        yield _literal(description)


_DRAWN: Mapping[str, Callable[[Sequence[Item]], str]] = {
    "cards": _cards,
    "form": _form,
    "article": _articles,
}


_CHOICES: Mapping[str, Callable[[Sequence[Item]], Iterator[str]]] = {
    "input_select": _titles,
    "cards": _postbacks,
}


def _link(label: str, address: str) -> str:
    bare = "".join(address.split()).replace("<", "%3C").replace(">", "%3E")
    return f"[{_literal(label)}](<{bare}>)" if bare else _literal(label)


def _literal(text: str) -> str:
    """Plain text as Markdown that reads the same."""
    return MARKDOWN_SIGNS.sub(r"\\\1", text)


def _text(item: Item, key: str) -> str:
    """What stands under a key, on one line; empty if it is neither a text nor a number."""
    value = item.get(key)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    return " ".join(str(value).split())
