"""How messages are written down while they wait.

The form is frozen across releases: a worker of an older version may find what a newer one wrote.
It passes over fields that it does not know, and leaves a body of an unknown version where it is;
readers of a new version ship one release before its writers. docs/STORED_DATA.md has the rules.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar, cast

from gateway.chatwoot.events import Reply
from gateway.chatwoot.files import LinkedFile
from gateway.model import Addressee, Attachment, Inbound, Person, Unread

VERSION = "1"

Value = TypeVar(
    "Value",
    Person,
    Attachment,
    Inbound,
    LinkedFile,
    Addressee,
    Reply,
    Unread,
    "NoteText",
    "Deletion",
)


class UnknownVersion(Exception):
    """Written by a newer release, in a form or of a kind that this one must leave alone."""


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


def write(value: Inbound | Reply | Unread | NoteText | Deletion) -> str:
    known = _fields_of(value)
    known.pop("press", None)  # worth nothing by the time at which a body is read
    return json.dumps(known, default=_fields_of, ensure_ascii=False, separators=(",", ":"))


def _fields_of(value: Any) -> dict[str, Any]:
    """Of a dataclass that `json` meets, at any depth; `asdict` would copy all that is in it."""
    if isinstance(value, Mapping):
        return dict(value)
    return {field.name: getattr(value, field.name) for field in fields(value)}


def read_inbound(body: str, version: str) -> Inbound:
    """Raises `UnknownVersion`."""
    known = _load(body, version)
    known["person"] = _make(Person, known["person"])
    known["attachments"] = tuple(_make(Attachment, each) for each in known.get("attachments", ()))
    return _make(Inbound, known)


def read_reply(body: str, version: str) -> Reply:
    """Raises `UnknownVersion`."""
    known = _load(body, version)
    to = known.get("to")
    known["to"] = _make(Addressee, to) if to else None
    known["choices"] = tuple(known.get("choices", ()))
    known["files"] = tuple(_make(LinkedFile, each) for each in known.get("files", ()))
    return _make(Reply, known)


def read_note(body: str, version: str) -> NoteText:
    """Raises `UnknownVersion`."""
    return _make(NoteText, _load(body, version))


def read_unread(body: str, version: str) -> Unread:
    """Raises `UnknownVersion`."""
    return _make(Unread, _load(body, version))


def read_deletion(body: str, version: str) -> Deletion:
    """Raises `UnknownVersion`."""
    return _make(Deletion, _load(body, version))


def _make(kind: type[Value], known: Mapping[str, Any]) -> Value:
    """A value of its fields; others were added by a newer release, which can do without them."""
    names = {each.name for each in fields(cast(Any, kind))}
    return kind(**{name: value for name, value in known.items() if name in names})


def _load(body: str, version: str) -> dict[str, Any]:
    if version != VERSION:
        raise UnknownVersion(version)
    known: dict[str, Any] = json.loads(body)
    return known
