"""What came of each step: as recorded at a running Chatwoot, or taken of another one now."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).parent / "recordings"


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook as it came: `to` is the path that it was sent to, header names are small."""

    to: str
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def event(self) -> str:
        return str(self.body["event"])


@dataclass(frozen=True, slots=True)
class Visit:
    """An answer and the webhooks that left because of it. `body` is None if it was not JSON."""

    title: str
    status: int
    body: Any
    webhooks: tuple[Webhook, ...]


def recorded(version: str) -> list[Visit]:
    """The tour of a Chatwoot of that release, as it was on 2026-11-28."""
    packed = (RECORDINGS / f"{version}.json.gz").read_bytes()
    return [_visit(step) for step in json.loads(gzip.decompress(packed))["steps"]]


def _visit(step: dict[str, Any]) -> Visit:
    body = step["answer"]["body"]
    empty = isinstance(body, dict) and list(body) == ["not json"]
    webhooks = (
        Webhook(told["to"], {k.lower(): v for k, v in told["headers"].items()}, told["body"])
        for told in step["webhooks"]
    )
    status = step["answer"]["status"]
    return Visit(step["title"], status, None if empty else body, tuple(webhooks))


def place_in(value: Any, path: str) -> Any:
    """What stands at a dotted path, such as `payload.contact.id`."""
    for key in path.split("."):
        value = value[key]
    return value


def filled(value: Any, kept: Mapping[str, Any]) -> Any:
    """`value` with each text `$name` replaced by what is kept under the name."""
    if isinstance(value, dict):
        return {key: filled(inner, kept) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, kept) for inner in value]
    if isinstance(value, str) and value.startswith("$"):
        return kept[value[1:]]
    return value


def filled_path(path: str, kept: Mapping[str, Any]) -> str:
    return re.sub(r"\$(\w+)", lambda name: str(kept[name[1]]), path)
