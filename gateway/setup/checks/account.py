"""Checks a Chatwoot account: its clock, its job queue, and a feature that doubles mail."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from gateway.adapter import Finding
from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.values import Installation
from gateway.setup.checks.token_rights import Rights

CONTINUITY: Final = "email_continuity_on_api_channel"
WRONG_CLOCK: Final = 60.0
"""Seconds. Signed webhooks are refused when the clocks are five minutes apart."""


def look_at_account(
    installation: Installation, chatwoot: Chatwoot, rights: Rights
) -> Iterator[Finding]:
    """Raises a `DeliveryError` if Chatwoot does not answer."""
    yield _queue(installation)
    yield _clock(installation, time.time())
    if rights.granted:
        yield _continuity(chatwoot.admin.features())


def _queue(installation: Installation) -> Finding:
    if installation.queue_works:
        return Finding.good("queue", "Chatwoot's job queue answers")
    text = "Chatwoot's job queue does not answer: it sends no webhooks"
    return Finding.bad("queue", text, "Check Chatwoot's Redis and its Sidekiq process.")


def _clock(installation: Installation, now: float) -> Finding:
    if installation.time is None:
        return Finding.note(
            "clock", "Chatwoot does not report its time", "Compare the clocks of both machines."
        )
    apart = abs(now - installation.time)
    if apart <= WRONG_CLOCK:
        return Finding.good("clock", "both clocks agree")
    return Finding.bad(
        "clock",
        f"Chatwoot's clock and ours are {apart:.0f} seconds apart",
        "Set both clocks by NTP (timedatectl set-ntp true).",
    )


def _continuity(features: frozenset[str] | None) -> Finding:
    """`app/services/messages/send_email_notification_service.rb`: with this feature Chatwoot itself
    mails a reply to every contact that has an address, two minutes later."""
    off = (
        f"In Chatwoot's Super Admin console, Accounts, switch off {CONTINUITY}; or on its server: "
        f"rails runner 'Account.find(ID).disable_features!(\"{CONTINUITY}\")'."
    )
    if features is None:
        text = f"we cannot see whether Chatwoot also mails replies ({CONTINUITY})"
        return Finding.note("e-mail continuity", text, f"Make sure that it does not. {off}")
    if CONTINUITY in features:
        text = "Chatwoot itself also mails replies to contacts with an address: they arrive twice"
        return Finding.bad("e-mail continuity", text, off)
    return Finding.good("e-mail continuity", "off: Chatwoot mails no replies by itself")
