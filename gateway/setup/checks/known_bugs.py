"""Known bugs of Chatwoot's releases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from gateway.adapter import Finding

SIGNS_WEBHOOKS: Final = (4, 13)
REFUSES_PRIVATE_ADDRESSES: Final = (4, 14)
DRAWS_DELIVERED_RIGHT: Final = (4, 11)


def known_bugs(version: str, *, private: bool) -> Iterator[Finding]:
    """The release, and each of its bugs. `private`: public_url is a private address."""
    number = _number(version)
    if number is None:
        cure = "Ignore this if replies arrive. Known releases have numbers like 4.13.0."
        yield Finding.note("version", f"version «{version}» is unknown", cure)
        return
    yield Finding.good("version", f"Chatwoot {version} answers")
    if number < DRAWS_DELIVERED_RIGHT:
        yield Finding.note(
            "delivered",
            "this Chatwoot shows the «sending» clock beside delivered replies",
            # https://github.com/chatwoot/chatwoot/issues/13576
            "Tell your agents, or update Chatwoot to 4.11 or newer.",
        )
    if number < SIGNS_WEBHOOKS:
        yield Finding.note(
            "signature",
            "this Chatwoot does not sign its webhooks: only the secret address protects them",
            "Keep that address private. Chatwoot 4.13 and newer sign.",
        )
    if number >= REFUSES_PRIVATE_ADDRESSES and private:
        yield Finding.note(
            "private address",
            "this Chatwoot does not call private addresses unless allowed to, and public_url is "
            "one; we cannot see whether it is allowed to",
            # https://github.com/chatwoot/chatwoot/pull/14548
            "If replies turn red with «has no public ip addresses», set in Chatwoot's environment "
            "SAFE_FETCH_ALLOW_PRIVATE_NETWORK=true and restart it; or let the gateway listen, with "
            'events = "websocket" in [chatwoot.NAME].',
        )


def _number(version: str) -> tuple[int, int] | None:
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else None
