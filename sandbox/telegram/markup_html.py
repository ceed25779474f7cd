"""The Bot API's HTML. https://core.telegram.org/bots/api#html-style"""

from __future__ import annotations

from html import unescape
from html.parser import HTMLParser
from typing import Any

from sandbox.telegram.errors import Refused, bad_request
from sandbox.telegram.units import byte_length, utf16_length

Json = dict[str, Any]

TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "a": "text_link",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
}


def read_html(text: str) -> tuple[str, list[Json]]:
    """The plain text and its entities. Raises `Refused` for tags that Telegram does not take."""
    parser = _Html(text)
    parser.feed(text)
    parser.close()
    if parser.open:
        tag = parser.open[-1][0]
        raise parser.trouble(f'Can\'t find end tag corresponding to start tag "{tag}"')
    return parser.plain, sorted(parser.entities, key=lambda entity: int(entity["offset"]))


class _Html(HTMLParser):
    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=False)
        self.source = source
        self.plain = ""
        self.entities: list[Json] = []
        self.open: list[tuple[str, Json]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag not in TAGS or (tag == "span" and attributes.get("class") != "tg-spoiler"):
            raise self.trouble(f'Unsupported start tag "{tag}" at byte offset {self.at()}')
        entity: Json = {"type": TAGS[tag], "offset": utf16_length(self.plain)}
        if tag == "a":
            entity["url"] = attributes.get("href") or ""
        self.open.append((tag, entity))

    def handle_endtag(self, tag: str) -> None:
        if not self.open:
            raise self.trouble(f"Unexpected end tag at byte offset {self.at()}")
        expected, entity = self.open.pop()
        if tag != expected:
            raise self.trouble(
                f"Unmatched end tag at byte offset {self.at()}, "
                f'expected "</{expected}>", found "</{tag}>"'
            )
        entity["length"] = utf16_length(self.plain) - entity["offset"]
        if entity["length"]:
            self.entities.append(entity)

    def handle_data(self, data: str) -> None:
        if "<" in data:
            raise self.trouble(f'Unsupported start tag "" at byte offset {self.at()}')
        self.plain += data

    def handle_entityref(self, name: str) -> None:
        known = name in {"lt", "gt", "amp", "quot"}
        self.plain += unescape(f"&{name};") if known else f"&{name};"

    def handle_charref(self, name: str) -> None:
        self.plain += unescape(f"&#{name};")

    def handle_comment(self, data: str) -> None:
        raise self.trouble(f'Unsupported start tag "!--" at byte offset {self.at()}')

    def handle_decl(self, decl: str) -> None:
        raise self.trouble(f'Unsupported start tag "!{decl}" at byte offset {self.at()}')

    def at(self) -> int:
        """Where the parser stands, in bytes."""
        line, column = self.getpos()
        lines = self.source.split("\n")
        return byte_length("\n".join([*lines[: line - 1], lines[line - 1][:column]]))

    @staticmethod
    def trouble(what: str) -> Refused:
        return bad_request(f"can't parse entities: {what}")
