"""Pictures and files that come by MMS.
https://www.twilio.com/docs/messaging/guides/webhook-request
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping

from gateway.http import OddAddress, read_address
from gateway.model import Attachment

MOST_MEDIA = 10
DOWNLOAD = 60.0
"""Seconds that fetching a file may take."""


def media(form: Mapping[str, str]) -> tuple[Attachment, ...]:
    """What a message's form names as MediaUrl0, MediaUrl1 …"""
    return tuple(
        attachment(number, url, form.get(f"MediaContentType{number}", ""))
        for number in range(MOST_MEDIA)
        if (url := form.get(f"MediaUrl{number}"))
    )


def attachment(number: int, url: str, kind: str) -> Attachment:
    """A message's file; Twilio knows no names."""
    return Attachment(url, f"media-{number + 1}{mimetypes.guess_extension(kind) or ''}", kind)


def is_twilios(address: str, api_url: str) -> bool:
    """Whoever can write to our store must not learn the password by naming a host of theirs."""
    try:
        url, own = read_address(address), read_address(api_url)
    except OddAddress:
        return False
    secure = url.scheme == "https" and url.host.endswith(".twilio.com")
    return secure or url.origin == own.origin
