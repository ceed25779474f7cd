"""Surveys: how satisfied the customer was, from 1 to 5 (`input_csat`), as words and as answers.

Chatwoot tells an API inbox of a survey as a sentence with a link to a page, on which the customer
chooses one of five faces.
"""

from __future__ import annotations

import re
from typing import Final

SURVEY: Final = "input_csat"
RATINGS: Final = ("1 😞", "2 😑", "3 😐", "4 😀", "5 😍")
"""The ratings from 1 on, with the faces that Chatwoot's own page and reports show."""

_PAGE = "/survey/responses/"
_QUOTED = r"(?:\n\s*)*(?:[^\n>][^\n]*\n){0,2}[^\n>][^\n]*:(?:\s*\n>[^\n]*)+|(?:\s*\n>[^\n]*)+"
_DIGIT = re.compile(rf"\s*([1-5])\s*[.!)]?[ \t]*(?:{_QUOTED})?\s*")


def page_of(uuid: str) -> str:
    """The path of the page on which a conversation is rated; empty if its uuid is not known."""
    return f"{_PAGE}{uuid}" if uuid else ""


def has_link(text: str) -> bool:
    return _PAGE in text


def rating_pressed(text: str) -> int:
    """Which rating's button says this; 0 for none."""
    return RATINGS.index(text) + 1 if text in RATINGS else 0


def rating_written(text: str) -> int:
    """The rating that a text consists of, whatever a mail program quotes below it; 0 for none."""
    found = _DIGIT.fullmatch(text)
    return int(found[1]) if found else 0
