"""How large a customer's message may be, whatever an adapter makes of it."""

from __future__ import annotations

from dataclasses import replace

from gateway.errors import Permanent
from gateway.model import Inbound, Person, Receipt

LONGEST_TEXT = 400_000
"""Characters: more than a message of Chatwoot's holds, so that the rest goes along as a file."""
LONGEST_NAME = 255
LONGEST_ID = 4000
LONGEST_PEER = 1000
LONGEST_CONTEXT = 64_000
CUT = "\n\n(… cut here: the message is longer.)"


def within_limits(item: Inbound | Receipt) -> Inbound | Receipt:
    """The item with texts that are not too long.

    Raises `Permanent` if that would change who it is from, or which it is.
    """
    if isinstance(item, Receipt):
        return item
    _require(item.id, LONGEST_ID, "id")
    _require(item.peer, LONGEST_PEER, "sender's address")
    _require(item.thread, LONGEST_PEER, "thread")
    _require("".join((*item.context, *item.context.values())), LONGEST_CONTEXT, "context")
    if _is_short(item):
        return item
    return replace(
        item,
        text=cut(item.text, LONGEST_TEXT),
        quoted=item.quoted[:LONGEST_TEXT],
        person=_shortened(item.person),
        attributes={name: value[:LONGEST_NAME] for name, value in item.attributes.items()},
    )


def cut(text: str, most: int) -> str:
    """At most `most` characters of a text, and a line if there were more."""
    return text if len(text) <= most else text[:most] + CUT


def _is_short(item: Inbound) -> bool:
    person = item.person
    names = (person.name, person.username, person.language, *item.attributes.values())
    return (
        max(len(item.text), len(item.quoted)) <= LONGEST_TEXT
        and max(map(len, names)) <= LONGEST_NAME
    )


def _shortened(person: Person) -> Person:
    return replace(
        person,
        name=person.name[:LONGEST_NAME],
        username=person.username[:LONGEST_NAME],
        language=person.language[:LONGEST_NAME],
    )


def _require(text: str, most: int, what: str) -> None:
    if len(text) > most:
        raise Permanent(f"Its {what} has {len(text)} characters; at most {most} can be kept")
