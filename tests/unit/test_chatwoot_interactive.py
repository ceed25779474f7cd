"""Choices, cards, forms and articles as text, seen as a network without any styling shows them."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import text
from gateway.chatwoot.interactive import (
    Item,
    choices,
    items_in,
    readable,
    with_choice,
    without_list,
)


def seen(content: str, content_type: str, *items: Item) -> str:
    return text.render(readable(content, content_type, items), frozenset()).text


def test_choices_are_numbered() -> None:
    options = ({"title": "Yes", "value": "y"}, {"title": "2 *or* 3_a", "value": "n"})
    assert seen("Sure?", "input_select", *options) == "Sure?\n\n1. Yes\n2. 2 *or* 3_a"
    assert choices("input_select", options) == ("Yes", "2 *or* 3_a")
    assert choices("text", options) == ()


def test_a_choice_without_a_title_shows_its_value() -> None:
    assert seen("", "input_select", {"value": 7}, {"title": None}) == "1. 7\n2. …"


def test_cards_keep_their_links() -> None:
    card = {
        "title": "Blue_one_",
        "description": "A fine #1 thing",
        "media_url": "https://x.example/_a_(b).png",
        "actions": [
            {"type": "link", "text": "Buy", "uri": "https://x.example/buy?a=1&b=2"},
            {"type": "postback", "text": "More", "payload": "MORE"},
        ],
    }
    assert seen("Look", "cards", card, {"title": "Red"}) == (
        "Look\n\nBlue_one_\nA fine #1 thing\nhttps://x.example/_a_(b).png\n"
        "Buy (https://x.example/buy?a=1&b=2)\n\nRed\n\n1. Blue_one_: More"
    )


def test_what_cards_let_a_customer_say_are_choices() -> None:
    cards = [
        {"title": title, "actions": [{"type": "postback", "text": "More", "payload": "M"}]}
        for title in ("Red", "Blue")
    ]
    assert seen("Look", "cards", *cards) == "Look\n\nRed\n\nBlue\n\n1. Red: More\n2. Blue: More"
    assert choices("cards", cards) == ("Red: More", "Blue: More")
    assert choices("cards", cards[:1]) == ("More",)
    assert without_list(readable("Look", "cards", cards), choices("cards", cards)) == (
        "Look\n\n**Red**\n\n**Blue**"
    )


@pytest.mark.parametrize("actions", [None, "x", [None], [{"text": None}], [{"type": "postback"}]])
def test_actions_of_another_shape_are_no_choices(actions: Any) -> None:
    assert choices("cards", [{"title": "Red", "actions": actions}]) == ()
    assert seen("", "cards", {"title": "Red", "actions": actions}) == "Red"


def test_a_form_asks_for_its_fields() -> None:
    fields = (
        {"name": "email", "type": "email", "label": "E-mail", "placeholder": "you@x.example"},
        {"name": "size", "type": "select", "options": [{"label": "S", "value": "s"}, "L"]},
    )
    assert seen("Please:", "form", *fields) == "Please:\n\n- E-mail\n- size (S, L)"


def test_articles_are_links() -> None:
    article = {"title": "How to", "description": "Step by step", "link": "https://x.example/1"}
    assert seen("", "article", article) == "How to (https://x.example/1)\nStep by step"


@pytest.mark.parametrize(
    "attributes", [{}, {"items": None}, {"items": "x"}, {"items": 5}, {"items": [1, None]}]
)
@pytest.mark.parametrize("kind", ["input_select", "cards", "form", "article", "input_csat", "new"])
def test_items_of_another_shape_do_no_harm(kind: str, attributes: dict[str, Any]) -> None:
    items = items_in(attributes)
    assert items == ()
    assert readable("text", kind, items) == "text"


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("1", "1 (Yes)"),
        (" 2. ", "2. (No)"),
        ("2)", "2) (No)"),
        ("3", "3"),
        ("0", "0"),
        ("1 or 2", "1 or 2"),
        ("Yes", "Yes"),
        ("", ""),
    ],
)
def test_a_number_is_followed_by_what_it_stands_for(answer: str, shown: str) -> None:
    assert with_choice(answer, ("Yes", "No")) == shown
    assert with_choice(answer, ()) == answer
