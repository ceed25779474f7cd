"""Agents' Markdown becomes plain text with spans, and pieces that fit."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model import Span, Style
from gateway.text import Rich, render, split, utf16_length

ALL = frozenset(Style)
NONE: frozenset[Style] = frozenset()


def styled(rich: Rich) -> list[tuple[str, str, str]]:
    """Each span as (style, the text it covers, address)."""
    return [
        (span.style.value, rich.text[span.offset : span.offset + span.length], span.url)
        for span in rich.spans
    ]


@pytest.mark.parametrize(
    "typed",
    [
        "a < b & c > d",
        "snake_case_name and __init",
        "2 * 3 * 4 = 24",
        "&amp; &lt;b&gt; &#42;",
        "<b>not bold</b> <script>x</script>",
        "[foo]: http://example.com",
        "f[0](x)",
        "up\n---",
        "---",
        "***",
        "```",
        "one\ntwo\n\nthree\n\n\n\nfour",
        "C:\\dir\\file",
        "$_ @_ #1 ~5 km^2",
        "1990. A year",
        "7) seven",
        "+ 5 points",
        "https://example.com/a_b_c?x=1&y=2",
        "😀 e\u0301 \u202bעברית\u202c",
    ],
)
@pytest.mark.parametrize("styles", [NONE, ALL], ids=["plain", "all"])
def test_what_is_typed_literally_comes_out_as_typed(typed: str, styles: frozenset[Style]) -> None:
    assert render(typed, styles).text == typed


def test_every_style_becomes_a_span() -> None:
    rich = render(
        "**b** *i* ~~s~~ `x < y` [l](https://e.com/?a=1&b=2)\n\n```\ncode *x*\n```\n\n> quoted", ALL
    )
    assert rich.text == "b i s x < y l\n\ncode *x*\n\nquoted"
    assert styled(rich) == [
        ("bold", "b", ""),
        ("italic", "i", ""),
        ("strike", "s", ""),
        ("code", "x < y", ""),
        ("link", "l", "https://e.com/?a=1&b=2"),
        ("code_block", "code *x*", ""),
        ("quote", "quoted", ""),
    ]


def test_styles_nest() -> None:
    rich = render("> **bold [*both*](https://e.com)**", ALL)
    assert styled(rich) == [
        ("quote", "bold both", ""),
        ("bold", "bold both", ""),
        ("link", "both", "https://e.com"),
        ("italic", "both", ""),
    ]


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("**b** *i* `c`", "b i c"),
        ("~~50~~ 40", "~~50~~ 40"),
        ("# Title\ntext", "Title\ntext"),
        ("[here](https://e.com/x)", "here (https://e.com/x)"),
        ("[e.com/x](https://e.com/x/)", "e.com/x"),
        ("<https://e.com>", "https://e.com"),
        ("[a@e.com](mailto:a@e.com)", "a@e.com"),
        ("[](https://e.com)", "https://e.com"),
        ("![cat](https://e.com/cat.png)", "cat (https://e.com/cat.png)"),
        ("* a\n* b", "- a\n- b"),
        ("1. a\n2. b\n   more\n   - c", "1. a\n2. b\n   more\n   - c"),
        ("> a\n> b", "> a\n> b"),
        ("> a\n\nb", "> a\n\nb"),
        ("```sh\nls \\\n  -l\n```", "ls \\\n  -l"),
        ("snake\\_case 2\\*3", "snake_case 2*3"),
    ],
)
def test_styles_that_a_network_lacks_stay_readable(typed: str, plain: str) -> None:
    rich = render(typed, NONE)
    assert (rich.text, rich.spans) == (plain, ())


def test_the_editors_backslash_before_a_line_break_goes() -> None:
    assert render("one\\\ntwo\\\n\\\nthree\\\n\nfour", NONE).text == "one\ntwo\n\nthree\n\nfour"


def test_inner_quotations_are_marked_with_signs() -> None:
    rich = render("> a\n>> b", ALL)
    assert styled(rich) == [("quote", "a\n> b", "")]


def test_spans_move_with_the_indentation_before_them() -> None:
    assert styled(render("- x\n- **y**\n  **z**", ALL)) == [("bold", "y", ""), ("bold", "z", "")]


def test_absurd_nesting_is_not_cut_off() -> None:
    assert "treasure" in render(">" * 400 + " treasure", ALL).text
    assert "treasure" in render("- " * 400 + "treasure", ALL).text
    assert "treasure" in render("[" * 400 + "treasure" + "]" * 400, ALL).text
    assert "treasure" in render("*" * 400 + "treasure" + "*" * 400, ALL).text


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab \n*_`~[]()<>#-+1.\\!😀é", max_size=80))
def test_no_letter_is_ever_lost(typed: str) -> None:
    for styles in (ALL, NONE):
        rich = render(typed, styles)
        kept = rich.text + "".join(span.url for span in rich.spans)
        for letter in "ab😀é":
            assert kept.count(letter) + kept.count("%") >= typed.count(letter) or "```" in typed
        for span in rich.spans:
            assert span.length > 0
            assert 0 <= span.offset <= span.offset + span.length <= len(rich.text)


def measure(text: str, unit: str) -> int:
    return utf16_length(text) if unit == "utf16" else len(text)


@settings(max_examples=150, deadline=None)
@given(
    st.text(alphabet="ab. \n!😀e\u0301\u200d🇩👍🏽", max_size=120),
    st.integers(2, 40),
    st.sampled_from(["characters", "utf16"]),
    st.lists(st.tuples(st.integers(0, 110), st.integers(1, 40)), max_size=4),
)
def test_pieces_fit_and_lose_nothing(
    text: str, limit: int, unit: str, marks: list[tuple[int, int]]
) -> None:
    spans = tuple(Span(Style.BOLD, o, n) for o, n in marks if o + n <= len(text))
    whole = Rich(text, spans)
    pieces = split(whole, limit, unit)
    assert all(measure(piece.text, unit) <= limit for piece in pieces)
    assert re.sub(r"\s", "", "".join(p.text for p in pieces)) == re.sub(r"\s", "", text)
    assert bold_letters(pieces) == bold_letters([whole])


def bold_letters(pieces: list[Rich]) -> str:
    covered = ""
    for piece in pieces:
        within = {i for s in piece.spans for i in range(s.offset, s.offset + s.length)}
        covered += "".join(c for i, c in enumerate(piece.text) if i in within and not c.isspace())
    return covered


@pytest.mark.parametrize(
    ("text", "limit", "pieces"),
    [
        ("one two\n\nthree four", 12, ["one two", "three four"]),
        ("one two\nthree four", 12, ["one two", "three four"]),
        ("One two. Three four.", 12, ["One two.", "Three four."]),
        ("one two three", 9, ["one two", "three"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("x\n\nlong words follow here", 14, ["x\n\nlong words", "follow here"]),
        ("a\n    b", 3, ["a", "  ", "b"]),
    ],
)
def test_cuts_are_made_at_the_best_place(text: str, limit: int, pieces: list[str]) -> None:
    found = [piece.text for piece in split(Rich(text), limit, "characters")]
    assert found == [piece for piece in pieces if piece.strip()]


@pytest.mark.parametrize("grapheme", ["e\u0301", "👍🏽", "👩\u200d🚀", "🇩🇪", "❤\ufe0f", "각"])
def test_what_a_reader_sees_as_one_character_is_not_cut(grapheme: str) -> None:
    pieces = split(Rich("x" + grapheme * 12), 9, "utf16")
    assert len(pieces) > 1
    for piece in pieces:
        assert piece.text.removeprefix("x") == grapheme * piece.text.count(grapheme)


def test_utf16_counts_an_emoji_twice() -> None:
    assert [p.text for p in split(Rich("😀😀😀"), 4, "utf16")] == ["😀😀", "😀"]
    assert [p.text for p in split(Rich("😀😀😀"), 4, "characters")] == ["😀😀😀"]


def test_a_link_goes_on_in_the_next_piece() -> None:
    pieces = split(render("[one two](https://e.com)", ALL), 4, "characters")
    assert [styled(piece) for piece in pieces] == [
        [("link", "one", "https://e.com")],
        [("link", "two", "https://e.com")],
    ]


def test_no_limit_means_one_piece_and_an_impossible_one_is_refused() -> None:
    assert split(Rich("x" * 9999), None, "characters") == [Rich("x" * 9999)]
    with pytest.raises(ValueError, match="shorter than 2"):
        split(Rich("x"), 1, "utf16")


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ("- one\n\ntwo", "- one\n\ntwo"),
        ("* one\n\n* two\n\n\nthree", "- one\n- two\n\n\nthree"),
        ("1. a\n2. b\n\nc", "1. a\n2. b\n\nc"),
        ("- a\n  - b\n\nc", "- a\n  - b\n\nc"),
        ("> - a\n\nb", "- a\n\nb"),
        ("- one\n\n- \n\ntwo", "- one\n- \n\ntwo"),
        ("one\\\ntwo\\\n\\\nthree", "one\ntwo\n\nthree"),
        ("- one\\\n  more\n\ntwo", "- one\n  more\n\ntwo"),
        ("- one\n\ntwo\\\nthree", "- one\n\ntwo\nthree"),
    ],
)
def test_what_the_dashboards_editor_stores_keeps_its_lines(stored: str, read: str) -> None:
    assert render(stored, ALL).text == read
