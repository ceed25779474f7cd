"""Agents write Markdown; networks take plain text with styled stretches, in pieces of a limited
length. Rendering and splitting happen here, once, so that no adapter has to know Markdown.

The dialect is CommonMark (https://spec.commonmark.org/) with strikethrough, less whatever would
swallow something that an agent typed: HTML, character entities, link definitions, rules,
underlined headings and indented code all stay as they were written.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from gateway.model import Span, Style
from gateway.storable import storable

MARKS = {"strong": Style.BOLD, "em": Style.ITALIC, "s": Style.STRIKE}
LISTS = frozenset({"bullet_list", "ordered_list"})
ABSOLUTE_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
UNTOLD_SCHEMES = re.compile(r"^(https?://|mailto:|tel:)", re.IGNORECASE)
DEEPEST = 100
TOO_DEEP = re.compile(rf"^[\s>*+\-\d.)]{{{DEEPEST - 1}}}", re.MULTILINE)
"""A line nested deeper than the parser follows: it would be cut off there."""
DANGLING_BREAK = re.compile(r"(?<!\\)(?:\\\\)*\\$")

SEPARATORS = (
    re.compile(r"\n{2,}"),
    re.compile(r"\n"),
    re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])"),
    re.compile(r"\s+"),
)
"""Where a text may be cut, best first: paragraph, line, sentence, word."""


@dataclass(frozen=True, slots=True)
class Rich:
    """A text and how its stretches are styled."""

    text: str
    spans: tuple[Span, ...] = ()

    @classmethod
    def joined(cls, parts: Iterable[Rich]) -> Rich:
        """One text from several."""
        texts: list[str] = []
        spans: list[Span] = []
        length = 0
        for part in parts:
            texts.append(part.text)
            spans += (replace(span, offset=span.offset + length) for span in part.spans)
            length += len(part.text)
        return cls("".join(texts), tuple(spans))

    def styled(self, style: Style, url: str = "") -> Rich:
        """The same text, all of it also in `style`."""
        if not self.text:
            return self
        return Rich(self.text, (Span(style, 0, len(self.text), url), *self.spans))

    def indented(self, first: str, rest: str) -> Rich:
        """The same text with `first` before its first line and `rest` before every other."""
        starts = [match.end() for match in re.finditer("\n", self.text)]
        text = first + self.text.replace("\n", "\n" + rest)

        def place(offset: int) -> int:
            return offset + len(first) + len(rest) * bisect_right(starts, offset)

        return Rich(
            text,
            tuple(
                replace(
                    span,
                    offset=place(span.offset),
                    length=place(span.offset + span.length - 1) + 1 - place(span.offset),
                )
                for span in self.spans
            ),
        )

    def cut(self, start: int, end: int) -> Rich:
        """The text from `start` to `end`, its spans cut to fit."""
        spans = []
        for span in self.spans:
            left, right = max(span.offset, start), min(span.offset + span.length, end)
            if left < right:
                spans.append(replace(span, offset=left - start, length=right - left))
        return Rich(self.text[start:end], tuple(spans))


def render(markdown: str, styles: frozenset[Style]) -> Rich:
    """What an agent wrote, as plain text with spans in `styles`; other styling becomes readable
    plain text («label (address)», «> » before a quotation). A line break is a line break, and
    Chatwoot's editor's own ones (a backslash before the newline) lose their backslash.
    """
    source = storable(markdown)
    if TOO_DEEP.search(source):
        return Rich(source)
    lines = source.rstrip().count("\n") + 1
    rich = _Renderer(styles, lines).blocks(SyntaxTreeNode(_parser().parse(source)).children)
    # A lone «>» or fence is an empty block to Markdown, and a remark to whoever typed it.
    return rich if rich.text.strip() else Rich(source.strip())


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": DEEPEST})
    parser.enable("strikethrough")
    parser.disable(["html_block", "html_inline", "entity", "reference", "lheading", "code", "hr"])
    return parser


@dataclass(frozen=True, slots=True)
class _Renderer:
    styles: frozenset[Style]
    lines: int
    """How many lines the source has."""

    def blocks(self, nodes: Iterable[SyntaxTreeNode]) -> Rich:
        """Blocks one below the other, with as many blank lines between them as were typed."""
        parts: list[Rich] = []
        below = 0
        for node in nodes:
            top, bottom = node.map or (below, below)
            if node.type in LISTS:
                bottom = _end_of(node)
            if parts:
                parts.append(Rich("\n" * max(1, top - below + 1)))
            parts.append(self._block(node))
            below = bottom
        return Rich.joined(parts)

    def _block(self, node: SyntaxTreeNode) -> Rich:
        match node.type:
            case "heading":
                return self._mark(self._inlines(node.children), Style.BOLD)
            case "fence":
                return self._mark(Rich(node.content.rstrip("\n")), Style.CODE_BLOCK)
            case "blockquote":
                return self._quote(node)
            case "list_item":
                return self._item(node)
            case "paragraph":
                return self._paragraph(node)
            case _:  # a list
                return self.blocks(node.children)

    def _paragraph(self, node: SyntaxTreeNode) -> Rich:
        """The editor may close a paragraph with a break, which Markdown takes for a backslash."""
        content = self._inlines(node.children)
        closed_by_newline = node.map is not None and node.map[1] < self.lines
        if closed_by_newline and DANGLING_BREAK.search(node.children[0].content):
            return content.cut(0, len(content.text) - 1)
        return content

    def _quote(self, node: SyntaxTreeNode) -> Rich:
        if Style.QUOTE not in self.styles:
            return self.blocks(node.children).indented("> ", "> ")
        # No network nests quotations: the inner ones are marked with signs.
        inner = replace(self, styles=self.styles - {Style.QUOTE})
        return inner.blocks(node.children).styled(Style.QUOTE)

    def _item(self, node: SyntaxTreeNode) -> Rich:
        # The editor writes «*» for every bullet; «+» and «-» were typed.
        sign = f"{node.info}{node.markup}".replace("*", "-") + " "
        return self.blocks(node.children).indented(sign, " " * len(sign))

    def _inlines(self, nodes: Iterable[SyntaxTreeNode]) -> Rich:
        return Rich.joined(self._inline(node) for node in nodes)

    def _inline(self, node: SyntaxTreeNode) -> Rich:
        match node.type:
            case "inline":
                return self._inlines(node.children)
            case "softbreak" | "hardbreak":
                return Rich("\n")
            case "code_inline":
                return self._mark(Rich(node.content), Style.CODE)
            case "strong" | "em" | "s":
                return self._emphasis(node)
            case "link" | "image":
                url = node.attrGet("href") or node.attrGet("src") or ""
                return self._link(self._inlines(node.children), str(url))
            case _:
                return Rich(node.content)

    def _emphasis(self, node: SyntaxTreeNode) -> Rich:
        style, content = MARKS[node.type], self._inlines(node.children)
        if style is Style.STRIKE and style not in self.styles:
            # Struck out means «not so»: without any mark it would say the contrary.
            return Rich.joined((Rich("~~"), content, Rich("~~")))
        return self._mark(content, style)

    def _link(self, label: Rich, url: str) -> Rich:
        if not ABSOLUTE_ADDRESS.match(url):
            return Rich.joined((Rich("["), label, Rich(f"]({url})")))
        if not label.text:
            return Rich(url)
        if Style.LINK in self.styles:
            return label.styled(Style.LINK, url)
        if _same_address(label.text, url):
            return label
        return Rich.joined((label, Rich(f" ({url})")))

    def _mark(self, content: Rich, style: Style) -> Rich:
        return content.styled(style) if style in self.styles else content


def _end_of(node: SyntaxTreeNode) -> int:
    """The line below the text of a list: the parser counts blank lines that follow it as well."""
    top, bottom = node.map or (0, 0)
    if node.type not in {*LISTS, "list_item"}:
        return bottom
    return _end_of(node.children[-1]) if node.children else top + 1


def _same_address(label: str, url: str) -> bool:
    bare = (UNTOLD_SCHEMES.sub("", address.strip()).rstrip("/") for address in (label, url))
    return len({address.casefold() for address in bare}) == 1


def utf16_length(text: str) -> int:
    """The length in UTF-16 code units: characters beyond U+FFFF count twice."""
    return len(text) + sum(1 for character in text if character > "\uffff")


def length(text: str, unit: str) -> int:
    """The length in «characters» or «utf16»."""
    return utf16_length(text) if unit == "utf16" else len(text)


def split(rich: Rich, limit: int | None, unit: str) -> list[Rich]:
    """Pieces of at most `limit` units («characters» or «utf16»), cut at the best place there is:
    between paragraphs, lines, sentences, words, characters as a reader sees them. Only white space
    at the cuts is dropped. None for no limit. Raises ValueError for a limit below 2.
    """
    if limit is None:
        return [rich]
    if limit < 2:
        raise ValueError("a text cannot be split into pieces shorter than 2")
    return [rich.cut(start, end) for start, end in _pieces(rich.text, limit, unit)]


def _pieces(text: str, limit: int, unit: str) -> Iterator[tuple[int, int]]:
    start = 0
    while (farthest := _farthest(text, start, limit, unit)) < len(text):
        end, following = _best_cut(text, start, farthest)
        if text[start:end].strip():
            yield start, end
        start = following
    if text[start:].strip() or start == 0:
        yield start, len(text)


def _farthest(text: str, start: int, limit: int, unit: str) -> int:
    """Where a piece from `start` must end at the latest."""
    if unit == "characters":
        return min(start + limit, len(text))
    used, end = 0, start
    while end < len(text) and (used := used + 1 + (text[end] > "\uffff")) <= limit:
        end += 1
    return end


def _best_cut(text: str, start: int, farthest: int) -> tuple[int, int]:
    """Where the piece ends and where the next begins. A good place is preferred in the second half
    of the piece, so that a short first paragraph does not make a piece of its own."""
    for earliest in (start + (farthest - start) // 2, start):
        for separator in SEPARATORS:
            last = None
            for match in separator.finditer(text, start + 1, farthest + 1):
                if earliest < match.start() <= farthest:
                    last = match.start()
            if last is not None:
                return last, _behind(separator, text, last)
    return (cut := _between_graphemes(text, start, farthest)), cut


def _behind(separator: re.Pattern[str], text: str, position: int) -> int:
    """The end of the separator, which may reach beyond the window that it was found in."""
    match = separator.match(text, position)
    return match.end() if match else position


def _between_graphemes(text: str, start: int, farthest: int) -> int:
    for cut in range(farthest, start, -1):
        if not _joined(text, cut):
            return cut
    return farthest  # one single «character» longer than a whole piece


def _joined(text: str, position: int) -> bool:
    """Whether what a reader sees as one character lies on both sides. The parts of Unicode's rules
    (https://unicode.org/reports/tr29/) that people meet: accents, emoji, flags, Hangul."""
    before, after = text[position - 1], text[position]
    if after in "\u200d\u200c" or before == "\u200d" or unicodedata.category(after) in _MARKS:
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":
        return True  # skin tones; the letters of regional flags
    if _is_flag_letter(before) and _is_flag_letter(after):
        return _flag_letters_before(text, position) % 2 == 1
    return (before, after) == ("\r", "\n") or ("\u1160" <= after <= "\u11ff")


_MARKS = frozenset({"Mn", "Me", "Mc"})


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flag_letters_before(text: str, position: int) -> int:
    count = 0
    while count < position and _is_flag_letter(text[position - 1 - count]):
        count += 1
    return count
