"""How long Chatwoot lets a text be, and texts made to fit."""

from __future__ import annotations

from typing import Final

LONGEST_CONTENT: Final = 150_000
"""Characters of a message (`app/models/message.rb`)."""
LONGEST_ATTRIBUTE: Final = 1_500
CUT_NOTE: Final = "\n\n[cut here: the message is longer than Chatwoot takes]"


def fitting(text: str, last: str = "", *, note: str = CUT_NOTE) -> str:
    """`text` and `last`; what is too much for a Chatwoot message is cut off `text`, with a note."""
    room = LONGEST_CONTENT - len(last)
    return (text if len(text) <= room else text[: room - len(note)] + note) + last


def attribute(value: str) -> str:
    """`value` as Chatwoot keeps it in a conversation's additional attributes."""
    return str(value)[:LONGEST_ATTRIBUTE]
