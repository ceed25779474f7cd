"""What a step of the tour is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ADMINISTRATOR, AGENT, BOT, STRANGER, NOBODY = "administrator", "agent", "bot", "wrong", "none"
"""Whose token a request carries; a stranger's is wrong, nobody has none."""

ACCOUNT = "/api/v1/accounts/$account"
PUBLIC = "/public/api/v1/inboxes/$identifier"


@dataclass(frozen=True, slots=True)
class File:
    field: str
    name: str
    kind: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Step:
    """One request.

    `$name` in the path, and a text in the body that is `$name` alone, stand for what an earlier
    step kept under that name, or for an address at the receiver of webhooks.
    """

    title: str
    method: str
    path: str
    body: Any = None
    who: str = ADMINISTRATOR
    files: tuple[File, ...] = ()
    """With files the request is a form, and `body` holds its other fields."""
    keep: Mapping[str, str] = field(default_factory=dict)
    """Name to the place in the answer, such as `payload.contact.id`."""
    keep_told: Mapping[str, str] = field(default_factory=dict)
    """Name to the content type of a message: its id, as this step's webhooks tell it."""
    receiver_answers: int = 200
    only: str = ""
    """Of the messages in the answer those with this content are looked at, no others."""
