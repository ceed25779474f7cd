"""What Twilio calls us with: signed forms, with customers' messages and the status of ours.

https://www.twilio.com/docs/usage/webhooks/webhooks-security,
https://www.twilio.com/docs/messaging/guides/webhook-request,
https://www.twilio.com/docs/messaging/guides/track-outbound-message-status
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from adapters.twilio.errors import reason
from gateway.model import Attachment, Inbound, Person, Receipt, Status

DEFAULT_PORTS = {"https": ":443", "http": ":80"}
FAILED = dict.fromkeys(("failed", "undelivered", "canceled"), Status.FAILED)
STATUSES = {**{status.value: status for status in Status}, **FAILED}


def signatures(key: bytes, address: str, form: Mapping[str, str]) -> Iterator[str]:
    """Those that are right: Twilio signs some calls with the port in the address, some without."""
    url = urlsplit(address)
    fields = "".join(name + form[name] for name in sorted(form))
    bare = url.netloc.removesuffix(f":{url.port}")
    for netloc in (url.netloc, bare, bare + DEFAULT_PORTS.get(url.scheme, "")):
        signed = (url._replace(netloc=netloc).geturl() + fields).encode(errors="replace")
        yield b64encode(hmac.digest(key, signed, "sha1")).decode()


def message(
    sid: str, sender: str, body: str, files: tuple[Attachment, ...], sent_at: float | None = None
) -> Inbound:
    """A customer's message, whether Twilio brings it or is asked for it.

    `sender`: a phone number; or a short code or a name, which nobody can be called by.
    """
    text = body or ("" if files else "(This message has no text.)")
    person = Person(phone=sender if sender.startswith("+") else "")
    return Inbound(sid, sender, text, person, attachments=files, sent_at=sent_at)


def receipt(form: Mapping[str, str], part: str) -> Receipt | None:
    """What a callback says; None for a status that says nothing new («queued», «sending» …)."""
    status = form.get("MessageStatus", "")
    if status not in STATUSES:
        return None
    why = reason(form.get("ErrorCode", ""), status) if status in FAILED else ""
    return Receipt(STATUSES[status], form["MessageSid"], part, why)
