"""What is remembered of a lane: the one place where its fields are named, written and read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, TypeVar

K = TypeVar("K")


def _read_choices(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


def _read_context(text: str) -> dict[str, str]:
    return dict(json.loads(text))


@dataclass(frozen=True, slots=True)
class Survey:
    """A survey that a customer was sent, and how they have answered it."""

    message: int
    """Chatwoot's number of it."""
    conversation: int
    source: str
    """The customer's address in that conversation, as Chatwoot has it."""
    open: bool = True
    """Nothing has been said since: a bare digit answers it."""
    rating: int = 0
    """1 to 5; 0 before it is answered."""
    rated_at: float = 0.0
    """Unix seconds."""


def _read_survey(text: str) -> Survey:
    names = {field.name for field in fields(Survey)}
    return Survey(**{name: value for name, value in json.loads(text).items() if name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What is remembered of a lane, or what is to be remembered from now on.

    None: nothing is remembered, or what is remembered stays. Field by field the hash
    `route:<lane>`; the scripts read and write some of it too.
    """

    conversation: int | None = None
    """in: where the customer's messages go."""
    newest: int | None = None
    """in: the newest message of that conversation that we know of."""
    newer: int | None = None
    """in: a conversation that began later. Written by scripts."""
    looked: int | None = None
    """in: the `newer` that was there to choose when the conversation was chosen."""
    blocked: int | None = None
    """in: when the contact was last seen to be blocked, in Unix seconds; 0 if they are not."""
    brake: str | None = None
    """in: the key of the customer's brake, once it was on. Written by scripts."""
    person: str | None = None
    """in: the fingerprint of what the network told of the person last."""
    name: str | None = None
    """in: the name that we gave the contact."""
    identifier: str | None = None
    """in: the identifier that we gave the contact."""
    subject: str | None = None
    """in: the subject of the customer's newest message that has one."""
    avatar: int | None = None
    """in: when their picture was last looked for, in Unix seconds."""
    choices: tuple[str, ...] | None = None
    """in, out: what the customer may answer with a number now."""
    survey: Survey | None = None
    """in, out: the survey that the customer was sent last."""
    peer: str | None = None
    """out: the address that the contact has, in whose place Chatwoot made one up."""
    changed_peer: str | None = None
    """out: the address that an agent put in the place of the conversation's."""
    thread: str | None = None
    """out: the thread of the customer's newest message."""
    context: Mapping[str, str] | None = None
    """out: the context of the customer's newest message."""

    @classmethod
    def read(cls, stored: Mapping[str, str]) -> Route:
        """From the fields of the hash. Passes over fields that only scripts use."""
        known = {name: read(stored[name]) for name, read in _READ.items() if name in stored}
        return cls(**known)

    def write(self) -> dict[str, str]:
        """The fields of the hash that are to be written."""
        return {name: _text(value) for name, value in self._known().items()}

    def updated(self, newer: Route) -> Route:
        """The same, with all that `newer` says."""
        return replace(self, **newer._known())

    def _known(self) -> dict[str, Any]:
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in named.items() if value is not None}


def merged(*changes: Mapping[K, Route]) -> dict[K, Route]:
    """Changes of several origins as one, lane by lane; the later ones count."""
    routes: dict[K, Route] = {}
    for change in changes:
        for lane, route in change.items():
            routes[lane] = routes.get(lane, Route()).updated(route)
    return routes


_READ: Mapping[str, Callable[[str], Any]] = {
    "conversation": int,
    "newest": int,
    "newer": int,
    "looked": int,
    "blocked": int,
    "brake": str,
    "person": str,
    "name": str,
    "identifier": str,
    "subject": str,
    "avatar": int,
    "choices": _read_choices,
    "survey": _read_survey,
    "peer": str,
    "changed_peer": str,
    "thread": str,
    "context": _read_context,
}


def _text(value: int | str | Survey | tuple[str, ...] | Mapping[str, str]) -> str:
    if isinstance(value, Survey):
        return json.dumps(asdict(value), ensure_ascii=False)
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    held = list(value) if isinstance(value, tuple) else dict(value)
    return json.dumps(held, ensure_ascii=False)
