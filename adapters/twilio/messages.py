"""A customer's message, whether Twilio brings it or is asked for it."""

from __future__ import annotations

from gateway.model import Attachment, Inbound, Person


def message(
    sid: str, sender: str, body: str, files: tuple[Attachment, ...], sent_at: float | None = None
) -> Inbound:
    """`sender`: a phone number, or a short code or name, which is none."""
    text = body or ("" if files else "(This message has no text.)")
    person = Person(phone=sender if sender.startswith("+") else "")
    return Inbound(sid, sender, text, person, attachments=files, sent_at=sent_at)
