"""What a step of the tour is made of, and the steps that are taken often."""

from __future__ import annotations

import base64
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


PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAEklEQVR4nGP4z8CAB+GTG8HSALfKY52fTcuYAAAA"
    "AElFTkSuQmCC"
)
PDF = b"%PDF-1.4 x"
CONTACTS = ACCOUNT + "/contacts"
TALKS = ACCOUNT + "/conversations"
TALK = TALKS + "/$talk"
MESSAGES = TALK + "/messages"


def incoming(content: str, **more: Any) -> dict[str, Any]:
    return {"content": content, "message_type": "incoming", **more}


def outgoing(content: str, **more: Any) -> dict[str, Any]:
    return {"content": content, "message_type": "outgoing", **more}


def made_contact(title: str, keep: str = "", **fields: Any) -> Step:
    place = {keep: "payload.contact.id"} if keep else {}
    return Step(title, "POST", CONTACTS, fields, keep=place)


def begun(title: str, keep: str = "", **fields: Any) -> Step:
    return Step(title, "POST", TALKS, fields, keep={keep: "id"} if keep else {})


def said(title: str, body: dict[str, Any], keep: str = "", who: str = "administrator") -> Step:
    return Step(title, "POST", MESSAGES, body, who=who, keep={keep: "id"} if keep else {})


def equal(key: str, value: Any) -> dict[str, Any]:
    condition = {"attribute_key": key, "filter_operator": "equal_to", "values": [value]}
    return {"payload": [{**condition, "query_operator": None}]}
