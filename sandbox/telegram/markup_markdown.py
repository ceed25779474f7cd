"""The Bot API's MarkdownV2. https://core.telegram.org/bots/api#markdownv2-style"""

from __future__ import annotations

import re
from typing import Any

from sandbox.telegram.errors import Refused, bad_request
from sandbox.telegram.units import byte_length, utf16_length

Json = dict[str, Any]

MARKS = {
    "```": "pre",
    "__": "underline",
    "||": "spoiler",
    "*": "bold",
    "_": "italic",
    "~": "strikethrough",
    "`": "code",
    "[": "text_link",
}
TOKEN = re.compile(r"\\[\x01-\x7e]|```|__|\|\||.", re.DOTALL)
LINK_END = re.compile(r"\(((?:\\.|[^\\)])*)\)")
RESERVED = frozenset("_*[]()~`>#+-=|{}.!")


def read_markdown(text: str) -> tuple[str, list[Json]]:
    """The plain text and its entities. Raises `Refused` for marks left open or not escaped."""
    reader = _Markdown(text)
    while token := TOKEN.match(text, reader.place):
        reader.take(token.group())
    if reader.open:
        raise reader.unfinished()
    return reader.plain, sorted(reader.entities, key=lambda entity: int(entity["offset"]))


class _Markdown:
    def __init__(self, source: str) -> None:
        self.source = source
        self.place = 0
        self.plain = ""
        self.entities: list[Json] = []
        self.open: list[tuple[str, Json]] = []
        """Marks not closed yet, each with its entity and, in it, where it began."""

    def take(self, token: str) -> None:
        start, self.place = self.place, self.place + len(token)
        innermost = self.open[-1][0] if self.open else ""
        if token.startswith("\\") and len(token) == 2:
            self.plain += token[1]
        elif innermost in {"`", "```"}:
            self._close() if token == innermost else self._keep(token)
        elif token == innermost:
            self._close()
        elif token == "]" and innermost == "[":
            self._close_link()
        elif token in MARKS:
            self._begin(token, start)
        elif token in RESERVED and not self._quotes(token, start):
            raise _trouble(
                f"Character '{token}' is reserved and must be escaped with the preceding '\\'"
            )
        elif token not in RESERVED:
            self._keep(token)

    def unfinished(self) -> Refused:
        entity = self.open[-1][1]
        return _trouble(
            f"Can't find end of {entity['type'].title().replace('_', '')} entity "
            f"at byte offset {byte_length(self.source[: entity['began']])}"
        )

    def _keep(self, token: str) -> None:
        self.plain += token

    def _begin(self, mark: str, start: int) -> None:
        if any(mark == other for other, _ in self.open):
            raise self.unfinished()
        entity = {"type": MARKS[mark], "offset": utf16_length(self.plain), "began": start}
        self.open.append((mark, entity))

    def _close(self) -> None:
        _, entity = self.open.pop()
        del entity["began"]
        entity["length"] = utf16_length(self.plain) - entity["offset"]
        if entity["length"]:
            self.entities.append(entity)

    def _close_link(self) -> None:
        target = LINK_END.match(self.source, self.place)
        if target is None:
            raise self.unfinished()
        self.open[-1][1]["url"] = re.sub(r"\\(.)", r"\1", target.group(1))
        self.place = target.end()
        self._close()

    def _quotes(self, token: str, start: int) -> bool:
        """A «>» at the beginning of a line opens a quotation; the rest of the line is in it."""
        return token == ">" and (start == 0 or self.source[start - 1] == "\n")


def _trouble(what: str) -> Refused:
    return bad_request(f"can't parse entities: {what}")
