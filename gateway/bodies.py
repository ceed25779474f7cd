"""How messages are written down while they wait.

The form is frozen across releases: a worker of an older version may find what a newer one wrote. A
body of a version that is not known is left where it is; readers of a new version ship one release
before its writers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from gateway.chatwoot.files import LinkedFile
from gateway.model import Addressee, Attachment, Inbound, Person

VERSION = "1"
LATER = ("quoted",)
"""Fields that the first readers do not know: left out where they say nothing."""


class UnknownVersion(Exception):
    """Written by a newer release: this one must leave it alone."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An agent's reply, as it waits for its way out."""

    message: int
    conversation: int
    peer: str
    text: str
    """Markdown, as the agent wrote it."""
    reply_to: str = ""
    """The network's id of the customer's message that it answers."""
    sender: str = ""
    automatic: bool = False
    """No agent wrote it."""
    written_at: float = 0.0
    """Unix seconds, by Chatwoot's clock."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Of the conversation, as Chatwoot keeps them: the thread and context, if our own memory of
    them is lost."""
    choices: tuple[str, ...] = ()
    """What it lets the customer choose from."""
    files: tuple[LinkedFile, ...] = ()
    contact: int = 0
    """Chatwoot's id of the contact."""
    to: Addressee | None = None
    """The same contact, as Chatwoot knew it when the reply was written."""


@dataclass(frozen=True, slots=True)
class NoteText:
    """A private note on its way to a conversation."""

    conversation: int
    text: str
    in_reply_to: int = 0
    """The Chatwoot message that it is about; 0 for none."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """A reply that is to be taken back."""

    peer: str


def write(value: Inbound | Reply | NoteText | Deletion) -> str:
    known = _fields_of(value)
    known.pop("press", None)  # worth nothing by the time at which a body is read
    for name in LATER:
        if not known.get(name):
            known.pop(name, None)
    return json.dumps(known, default=_fields_of, ensure_ascii=False, separators=(",", ":"))


def _fields_of(value: Any) -> dict[str, Any]:
    """Of a dataclass that `json` meets, at any depth; `asdict` would copy all that is in it."""
    if isinstance(value, Mapping):
        return dict(value)
    return {field.name: getattr(value, field.name) for field in fields(value)}


def read_inbound(body: str, version: str) -> Inbound:
    """Raises `UnknownVersion`."""
    known = _load(body, version)
    person = Person(**known.pop("person"))
    attachments = tuple(Attachment(**each) for each in known.pop("attachments", ()))
    return Inbound(person=person, attachments=attachments, **known)


def read_reply(body: str, version: str) -> Reply:
    """Raises `UnknownVersion`."""
    known = _load(body, version)
    to = known.pop("to", None)
    known["choices"] = tuple(known.get("choices", ()))
    known["files"] = _linked(known.get("files"))
    # A newer release may have written more, of which this one can do without.
    mine = {each.name: known[each.name] for each in fields(Reply) if each.name in known}
    return Reply(**mine, to=Addressee(**to) if to else None)


def read_note(body: str, version: str) -> NoteText:
    """Raises `UnknownVersion`."""
    return NoteText(**_load(body, version))


def read_deletion(body: str, version: str) -> Deletion:
    """Raises `UnknownVersion`."""
    return Deletion(**_load(body, version))


def _linked(files: object) -> tuple[LinkedFile, ...]:
    """Earlier releases wrote down only how many there were."""
    return tuple(LinkedFile(**each) for each in files) if isinstance(files, list) else ()


def _load(body: str, version: str) -> dict[str, Any]:
    if version != VERSION:
        raise UnknownVersion(version)
    known: dict[str, Any] = json.loads(body)
    return known
