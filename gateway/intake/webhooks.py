"""A webhook that nobody could read, written down so that a person can have it read again."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode

from gateway.errors import Malformed
from gateway.model import Unread, WebRequest


def as_unread(fingerprint: str, request: WebRequest) -> Unread:
    """Without its headers: they hold secrets, and it was verified before."""
    kept = {
        "method": request.method,
        "url": request.url,
        "query": dict(request.query),
        "form": _form(request),
        "body": b64encode(request.body).decode(),
    }
    return Unread(f"webhook:{fingerprint}", json.dumps(kept))


def _form(request: WebRequest) -> dict[str, str]:
    """Its fields, as far as they can be read: the body is kept in any case."""
    try:
        return dict(request.form)
    except Malformed:
        return {}


def as_request(unread: Unread) -> WebRequest:
    """Raises ValueError if it was too large to be kept whole."""
    kept = json.loads(unread.content)
    return WebRequest(
        method=kept["method"],
        url=kept["url"],
        headers={},
        query=kept["query"],
        form=kept["form"],
        body=b64decode(kept["body"]),
    )
