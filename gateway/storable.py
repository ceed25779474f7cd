"""Texts as Redis and Chatwoot can keep them. Whatever an adapter makes is made so by `model` and
`errors`; nobody else need call this."""

from __future__ import annotations

import re

UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of all that follows."""


def on_one_line(text: str) -> str:
    """A name, so that it can look like nothing but itself beside other texts."""
    return UNSEEN.sub(" ", text).strip() if UNSEEN.search(text) else text


def storable(text: str) -> str:
    """`text` without NULs, which PostgreSQL refuses and Chatwoot would answer 500 to for ever, and
    with a «?» for each half of a surrogate pair, which is not a character: networks that cut texts
    after so many UTF-16 units leave some."""
    kept = text.replace("\0", "")
    return kept if kept.isascii() else kept.encode("utf-8", "replace").decode("utf-8")
