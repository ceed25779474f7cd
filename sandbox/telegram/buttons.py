"""The buttons below a message, and the queries that pressing them raises.

https://core.telegram.org/bots/api#inlinekeyboardmarkup, #callbackquery
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

from sandbox.telegram.errors import Refused, bad_request

Json = dict[str, Any]

MOST_BUTTONS = 100
LONGEST_DATA = 64
"""Bytes."""
LONGEST_MARKUP = 10_000
"""Bytes, about: Telegram tells no number."""


def checked(markup: Any) -> Json | None:
    """A keyboard as the bot gave it; None if it gave none. Raises `Refused` for one that Telegram
    does not take."""
    if markup is None:
        return None
    rows = markup.get("inline_keyboard") if isinstance(markup, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad_request("object expected as reply markup")
    buttons = [_checked(button) for row in rows for button in row]
    if len(buttons) > MOST_BUTTONS or len(json.dumps(markup).encode()) > LONGEST_MARKUP:
        raise bad_request("reply markup is too long")
    return {"inline_keyboard": rows} if buttons else None


def buttons_of(message: Json) -> Iterator[Json]:
    for row in message.get("reply_markup", {}).get("inline_keyboard", []):
        yield from row


class Presses:
    """The presses that wait for the bot's answer: until then their buttons turn."""

    def __init__(self) -> None:
        self._turning: dict[str, tuple[int, Json, str]] = {}
        """The query's id → the chat, the message, and the data of the button."""

    def raise_query(self, user: Json, message: Json, data: str) -> Json:
        """The query that the bot is told of."""
        query = str(secrets.randbits(63))
        self._turning[query] = (user["id"], message, data)
        return {
            "id": query,
            "from": user,
            "message": message,
            "chat_instance": str(-secrets.randbits(62)),
            "data": data,
        }

    def answer_query(self, query: str) -> tuple[int, Json]:
        """The chat and the message of a query that is answered now. Raises `Refused` for one that
        is unknown, or was answered before."""
        if (waiting := self._turning.pop(query, None)) is None:
            raise bad_request(
                "query is too old and response timeout expired or query ID is invalid"
            )
        return waiting[:2]

    def turns(self, chat_id: int, message_id: int, data: str) -> bool:
        """Whether the customer sees this button waiting."""
        waiting = list(self._turning.values())
        return any((chat_id, message_id, data) == (c, m["message_id"], d) for c, m, d in waiting)


def _checked(button: Any) -> Json:
    if not isinstance(button, dict) or not str(button.get("text", "")).strip():
        raise bad_request("can't parse inline keyboard button: text must be non-empty")
    data = button.get("callback_data")
    if data is None and not button.get("url"):
        raise bad_request("Text buttons are unallowed in the inline keyboard")
    if data is not None and not 1 <= len(str(data).encode()) <= LONGEST_DATA:
        raise Refused(400, "Bad Request: BUTTON_DATA_INVALID")
    return button
