"""A mail's subject where an agent looks: as a line above the text, not in a field that no
dashboard shows."""

from __future__ import annotations

import re

from gateway.lanes.route import Route
from gateway.model import Inbound

_ADDED = re.compile(
    r"^(?:(?:re|aw|sv|vs|antw|ynt|odp|rép|res|ref|fwd?|wg|tr|rv|enc|doorst|回复|回覆|答复|转发|轉寄)"
    r"\s*(?:\[\d+\]|\(\d+\))?\s*[:：]\s*)+",
    re.IGNORECASE,
)
"""What mail programs of several countries put before the subject of an answer, or of what they
forward."""
_TITLE = "Subject: "


def with_subject(route: Route, message: Inbound, text: str) -> str:
    """`text`, below the message's subject if that is news: in a conversation that begins, or is
    found anew, and where it has changed."""
    if not message.subject or _says(text, message.subject):
        return text
    known = route.subject if route.conversation is not None else None
    if known is not None and _bare(known) == _bare(message.subject):
        return text
    return f"{_TITLE}{message.subject}\n\n{text}".strip()


def _bare(subject: str) -> str:
    """What a subject is about, whatever a mail program has put before it."""
    return _ADDED.sub("", " ".join(subject.split())).casefold()


def _says(text: str, subject: str) -> bool:
    """Whether the text begins with the subject by itself."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    told, wanted = _bare(first.strip().removeprefix(_TITLE)), _bare(subject)
    return bool(re.match(rf"{re.escape(wanted)}(?!\w)", told))
