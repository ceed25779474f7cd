"""What is known of Chatwoot's releases that the gateway's user should know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from gateway.adapter import Finding

SIGNS_WEBHOOKS: Final = (4, 13)
REFUSES_PRIVATE_ADDRESSES: Final = (4, 14)
DRAWS_DELIVERED_RIGHT: Final = (4, 11)


def known_faults(version: str, *, private: bool) -> Iterator[Finding]:
    """The release, and each of its faults. `private`: our public address is a private one."""
    number = _number(version)
    if number is None:
        cure = "Go on if replies arrive; the releases that we know are called 4.13.0, say."
        yield Finding.note("version", f"the version «{version}» is not known", cure)
        return
    yield Finding.good("version", f"Chatwoot {version} answers")
    if number < DRAWS_DELIVERED_RIGHT:
        yield Finding.note(
            "delivered",
            "this Chatwoot draws the clock of «sending» beside replies that were delivered",
            # https://github.com/chatwoot/chatwoot/issues/13576
            "Tell your agents, or bring Chatwoot to 4.11 or newer.",
        )
    if number < SIGNS_WEBHOOKS:
        yield Finding.note(
            "signature",
            "this Chatwoot does not sign what it sends: only the secret in the address protects it",
            "Keep that address private. Chatwoot 4.13 and newer sign.",
        )
    if number >= REFUSES_PRIVATE_ADDRESSES and private:
        yield Finding.note(
            "private address",
            "this Chatwoot refuses to call private addresses unless it is allowed, and public_url "
            "is one; whether it is allowed cannot be seen from here",
            # https://github.com/chatwoot/chatwoot/pull/14548
            "If replies turn red with «has no public ip addresses», set in Chatwoot's environment "
            "SAFE_FETCH_ALLOW_PRIVATE_NETWORK=true and restart it; or let the gateway listen, with "
            'events = "websocket" in [chatwoot.NAME].',
        )


def _number(version: str) -> tuple[int, int] | None:
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else None
