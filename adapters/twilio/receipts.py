"""Twilio's status callbacks.
https://www.twilio.com/docs/messaging/guides/track-outbound-message-status
"""

from __future__ import annotations

from collections.abc import Mapping

from adapters.twilio.errors import reason
from gateway.model import Receipt, Status

FAILED = dict.fromkeys(("failed", "undelivered", "canceled"), Status.FAILED)
STATUSES = {**{status.value: status for status in Status}, **FAILED}


def receipt(form: Mapping[str, str], part: str) -> Receipt | None:
    """What a callback says; None for a status that says nothing new («queued», «sending» …)."""
    status = form.get("MessageStatus", "")
    if status not in STATUSES:
        return None
    why = reason(form.get("ErrorCode", ""), status) if status in FAILED else ""
    return Receipt(STATUSES[status], form["MessageSid"], part, why)
