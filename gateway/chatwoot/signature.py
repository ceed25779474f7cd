"""Checking that a webhook comes from Chatwoot (4.13 and newer sign those of API inboxes).

`lib/webhooks/trigger.rb`: the signature is the HMAC-SHA256, with the inbox's secret as it is shown,
of the time stamp, a dot, and the body byte for byte.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from pydantic import SecretStr

from gateway.errors import Forbidden

LONGEST_AGE = 300.0
"""Seconds between our clock and the time stamp, either way. It is made anew for each sending."""


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Iterable[SecretStr], now: float
) -> None:
    """Raise `Forbidden` unless `body` is freshly signed with one of `secrets` (none: never).

    `headers`: names in lower case. `now`: Unix seconds.
    """
    signature = headers.get("x-chatwoot-signature", "")
    timestamp = headers.get("x-chatwoot-timestamp", "")
    if not signature or not timestamp:
        raise Forbidden("the webhook is not signed")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
        raise Forbidden("the webhook's time stamp is not in Unix seconds")
    # Every secret is tried, so that the time taken tells nothing.
    matches = [_is_signed(signature, timestamp, body, secret) for secret in secrets]
    if not any(matches):
        raise Forbidden("the webhook's signature is wrong")
    if abs(now - int(timestamp)) > LONGEST_AGE:
        raise Forbidden("the webhook's time stamp is too far from our clock: compare the clocks")


def _is_signed(signature: str, timestamp: str, body: bytes, secret: SecretStr) -> bool:
    key = secret.get_secret_value().encode()
    if not key:
        return False
    expected = (
        "sha256=" + hmac.new(key, f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    )
    return hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode())
