"""What customers send that is neither text nor a file, as a line that an agent can read."""

from __future__ import annotations

from typing import Any

from telegram import Message
from telegram.constants import MessageAttachmentType


def as_line(message: Message) -> str:
    """A line for a message without text or file; empty for what Telegram itself reports (a pinned
    message, a changed timer), which no customer wrote."""
    for kind, line in LINES.items():
        if (content := getattr(message, kind)) is not None:
            return str(line(content))
    if message.sticker:
        return message.sticker.emoji or ""
    for kind in MessageAttachmentType:
        if kind not in FILES and getattr(message, kind, None):
            return f"[A Telegram message that cannot be shown here: {kind.replace('_', ' ')}]"
    if message.api_kwargs:  # newer than the library
        return f"[A Telegram message that cannot be shown here: {_names(message.api_kwargs)}]"
    return ""


FILES = frozenset(
    {"animation", "audio", "document", "photo", "sticker", "video", "video_note", "voice"}
)


def _location(location: Any) -> str:
    return f"📍 {_map(location)}"


def _venue(venue: Any) -> str:
    return f"📍 {venue.title}, {venue.address}: {_map(venue.location)}"


def _map(location: Any) -> str:
    latitude, longitude = float(location.latitude), float(location.longitude)
    return f"https://www.openstreetmap.org/?mlat={latitude}&mlon={longitude}"


def _contact(contact: Any) -> str:
    name = " ".join(filter(None, (contact.first_name, contact.last_name)))
    return f"👤 {name}, {contact.phone_number}"


def _poll(poll: Any) -> str:
    return "\n".join([f"📊 {poll.question}", *(f"- {option.text}" for option in poll.options)])


def _dice(dice: Any) -> str:
    return f"{dice.emoji} {dice.value}"


def _names(unknown: Any) -> str:
    return ", ".join(sorted(str(name).replace("_", " ") for name in unknown))


LINES = {
    # A venue is told of as a location too: it is looked for first.
    "venue": _venue,
    "location": _location,
    "contact": _contact,
    "poll": _poll,
    "dice": _dice,
}
