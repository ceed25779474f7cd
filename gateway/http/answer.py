"""A complete answer, and what its status means when the network says nothing better."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.errors import (
    BadCredentials,
    DeliveryError,
    Permanent,
    Retry,
    ServerTrouble,
    Throttled,
    Uncertain,
)

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
UNHEARD = frozenset({502, 504, 520, 524})
"""What a proxy says that has passed a request on and heard nothing of use. The last two are
Cloudflare's: the connection ended without an answer, or none came within its time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer: nothing of it is still on the way."""

    method: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", errors="replace")

    def json(self) -> Any:
        """The body as JSON. If it is not JSON: `Uncertain` after a write, else `ServerTrouble`."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise self.nonsense("it is not JSON") from None

    def json_or_none(self) -> Any:
        """The body as JSON; None if it is not JSON. For errors, which come in any shape."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def field(self, name: str) -> str:
        """The text under `name` in a JSON object. Without one, the same errors as `json`."""
        match self.json():
            case dict() as content if isinstance(content.get(name), str) and content[name]:
                return str(content[name])
        raise self.nonsense(f"it has no {name}")

    def nonsense(self, what: str) -> DeliveryError:
        """The error for an answer of 2xx that does not say what it should."""
        reason = "The other side sent an answer that makes no sense"
        detail = f"{self.method} {self.status}: {what}: {self.text[:200]!r}"
        if self.method in SAFE_METHODS:
            return ServerTrouble(reason, detail=detail)
        return Uncertain(reason, detail=detail)

    @property
    def retry_after(self) -> float | None:
        """Seconds from a Retry-After header that gives a number; None otherwise."""
        try:
            seconds = float(self.headers.get("Retry-After", ""))
        except ValueError:
            return None
        return max(0.0, seconds) if math.isfinite(seconds) else None


Explain: TypeAlias = Callable[[Answer], DeliveryError | None]


def meaning(answer: Answer) -> DeliveryError:
    """The error that a status code means when nothing better is known."""
    status, detail = answer.status, f"{answer.method} {answer.status}: {answer.text[:500]!r}"
    if status == 429:
        return Throttled("Sending too fast", after=answer.retry_after, detail=detail)
    if status in {401, 403}:
        return BadCredentials("The access token or password is rejected", detail=detail)
    if status in UNHEARD and answer.method not in SAFE_METHODS:
        # A proxy speaks here: what stands behind it may have done the work.
        return Uncertain("The proxy got no answer from the server behind it", detail=detail)
    if status >= 500 or status == 408:
        return ServerTrouble(
            "The other side has a problem",
            after=answer.retry_after,
            scope="destination",
            detail=detail,
        )
    if 300 <= status < 400:
        where = answer.headers.get("Location", "elsewhere")
        return Retry(f"The address has moved to {where[:200]}: correct the configuration")
    return Permanent(f"Rejected with status {status}", detail=detail)
