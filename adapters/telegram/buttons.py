"""Buttons below a message, and what pressing one of them says.

https://core.telegram.org/bots/api#inlinekeyboardbutton
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from telegram import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message
from telegram.constants import InlineKeyboardButtonLimit

from gateway.model import Button, ButtonLimits

LIMITS = ButtonLimits(most=30, label=40)
"""Telegram itself takes a hundred, in a keyboard of about 10,000 bytes; a longer label is cut off
on the customer's screen."""
CHOSEN = "✓ "


def keyboard(buttons: Sequence[Button]) -> InlineKeyboardMarkup | None:
    """One below the other; None for no buttons."""
    rows = [[_button(each.label, f"{each.number} {each.label}")] for each in buttons]
    return InlineKeyboardMarkup(rows) if rows else None


def chosen(data: str, label: str) -> InlineKeyboardMarkup:
    """What is left of a keyboard when one of its buttons was pressed: that one, marked. Pressing
    it again says the same."""
    return InlineKeyboardMarkup([[_button(f"{CHOSEN}{label}", data)]])


def number_of(query: CallbackQuery) -> str:
    """Which button it was: ids are logged, and labels are between the customer and the agent. Of
    one that another program has sent, whatever it carried."""
    number, space, _ = (query.data or "").partition(" ")
    return number if space and number.isdecimal() else query.data or ""


def label_of(query: CallbackQuery) -> str:
    """What the customer read on the button. Of a message that Telegram no longer shows to bots
    (https://core.telegram.org/bots/api#inaccessiblemessage), as much as the button carried."""
    shown = next((each.text for each in _buttons(query) if each.callback_data == query.data), "")
    return shown.removeprefix(CHOSEN) or (query.data or "").partition(" ")[2]


def _buttons(query: CallbackQuery) -> Iterator[InlineKeyboardButton]:
    message = query.message
    if isinstance(message, Message) and message.reply_markup:
        for row in message.reply_markup.inline_keyboard:
            yield from row


def _button(label: str, data: str) -> InlineKeyboardButton:
    most = InlineKeyboardButtonLimit.MAX_CALLBACK_DATA  # in bytes
    return InlineKeyboardButton(label, callback_data=data.encode()[:most].decode(errors="ignore"))
