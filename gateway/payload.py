"""Reading JSON that a stranger wrote, so that whatever it contains can be stored."""

from __future__ import annotations

import json
import re
from typing import Any

from gateway.errors import Malformed

ESCAPE = re.compile(
    r"\\\\"  # an escaped backslash: what follows it is not an escape
    r"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
"""The escapes of JSON that may be half of a surrogate pair (RFC 8259, sections 7 and 8.2)."""


def read_json(body: bytes) -> Any:
    """`body`, UTF-8, as JSON. Raises `Malformed`, with what is wrong and none of the content.

    JSON may escape half of a surrogate pair, which is not a character, and which neither Redis nor
    Chatwoot can keep: it becomes U+FFFD.
    """
    try:
        text = body.decode("utf-8-sig")
        if "\\ud" in text or "\\uD" in text:
            text = ESCAPE.sub(_whole, text)
        return json.loads(text)
    except RecursionError:
        raise Malformed("the body is not JSON: it is nested too deep") from None
    except ValueError as error:
        raise Malformed(f"the body is not JSON: {error}") from error


def _whole(escape: re.Match[str]) -> str:
    return r"\ufffd" if escape["half"] else escape[0]
