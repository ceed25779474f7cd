"""How Telegram counts."""

from __future__ import annotations


def utf16_length(text: str) -> int:
    """Lengths and offsets are UTF-16 code units: an emoji counts twice.

    https://core.telegram.org/bots/api#messageentity
    """
    return len(text.encode("utf-16-le")) // 2


def byte_length(text: str) -> int:
    """Places in error messages are bytes of UTF-8."""
    return len(text.encode())
