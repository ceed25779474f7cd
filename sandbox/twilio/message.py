"""A text message, and its shape in Twilio's JSON.

https://www.twilio.com/docs/messaging/api/message-resource
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

API_VERSION = "2010-04-01"
GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà^{}\\[~]|€"
)


@dataclass(frozen=True, slots=True)
class Media:
    """A file that came with a message. https://www.twilio.com/docs/messaging/api/media-resource"""

    sid: str
    content_type: str
    data: str
    """In base64."""


@dataclass(frozen=True, slots=True)
class Message:
    """Either way: `direction` is «inbound» or «outbound-api». Times are Unix seconds."""

    sid: str
    account_sid: str
    direction: str
    from_: str
    to: str
    body: str
    status: str
    created: float
    updated: float
    sent: float | None = None
    messaging_service_sid: str | None = None
    status_callback: str = ""
    error_code: int | None = None
    error_message: str | None = None
    media: tuple[Media, ...] = ()

    @property
    def segments(self) -> int:
        """How many SMS the text takes: 160 or 70 characters in one, 153 or 67 in several."""
        single, several = (160, 153) if GSM_7.issuperset(self.body) else (70, 67)
        length = len(self.body.encode("utf-16-le")) // 2
        return 1 if length <= single else math.ceil(length / several)

    @property
    def uri(self) -> str:
        return f"/{API_VERSION}/Accounts/{self.account_sid}/Messages/{self.sid}.json"

    def shown(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "account_sid": self.account_sid,
            "api_version": API_VERSION,
            "body": self.body,
            "date_created": _rfc2822(self.created),
            "date_sent": None if self.sent is None else _rfc2822(self.sent),
            "date_updated": _rfc2822(self.updated),
            "direction": self.direction,
            "error_code": self.error_code,
            "error_message": self.error_message,
            "from": self.from_ or None,
            "messaging_service_sid": self.messaging_service_sid,
            "num_media": str(len(self.media)),
            "num_segments": str(self.segments if self.from_ else 0),
            "price": None,
            "price_unit": "USD",
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": {"media": self.uri.removesuffix(".json") + "/Media.json"},
            "to": self.to,
            "uri": self.uri,
        }

    @property
    def day(self) -> str:
        """The day (UTC) on which it was sent or, until then, made: what DateSent compares."""
        return datetime.fromtimestamp(self.sent or self.created, UTC).date().isoformat()


def _rfc2822(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(seconds), UTC))
