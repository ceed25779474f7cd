"""Buttons on the Telegram stand-in, driven by the real python-telegram-bot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, Message, Update
from telegram.error import BadRequest

from sandbox.telegram import TelegramStandIn

T = TypeVar("T")
ANNA = 4711


@pytest.fixture
def telegram() -> Iterator[TelegramStandIn]:
    with TelegramStandIn() as stand_in:
        stand_in.greet(ANNA, first_name="Anna")
        yield stand_in


def drive(telegram: TelegramStandIn, work: Callable[[Bot], Awaitable[T]]) -> T:
    async def run() -> T:
        async with Bot(telegram.token, base_url=f"{telegram.url}/bot") as bot:
            return await work(bot)

    return asyncio.run(run())


def keyboard(**data: str) -> InlineKeyboardMarkup:
    rows = [[InlineKeyboardButton(label, callback_data=told)] for label, told in data.items()]
    return InlineKeyboardMarkup(rows)


def asks(telegram: TelegramStandIn, markup: InlineKeyboardMarkup) -> Message:
    return drive(telegram, lambda bot: bot.send_message(ANNA, "Sure?", reply_markup=markup))


def labels(telegram: TelegramStandIn) -> list[str]:
    rows = telegram.messages(ANNA)[-1].get("reply_markup", {"inline_keyboard": []})
    return [button["text"] for row in rows["inline_keyboard"] for button in row]


def test_a_press_is_told_and_turns_until_it_is_answered(telegram: TelegramStandIn) -> None:
    asked = asks(telegram, keyboard(Yes="1", No="2"))
    number = telegram.customer_presses(ANNA, asked.message_id, "No")
    assert telegram.presses.turns(ANNA, asked.message_id, "2")

    async def work(bot: Bot) -> Update:
        [update] = await bot.get_updates(allowed_updates=["callback_query"])
        assert await bot.answer_callback_query(number)
        return update

    query = drive(telegram, work).callback_query
    assert query is not None
    assert (query.id, query.data, query.from_user.first_name) == (number, "2", "Anna")
    assert isinstance(query.message, Message)
    assert (query.message.text, query.message.reply_markup) == ("Sure?", asked.reply_markup)
    assert not telegram.presses.turns(ANNA, asked.message_id, "2")
    with pytest.raises(BadRequest, match="Query is too old"):
        drive(telegram, lambda bot: bot.answer_callback_query(number))


def test_a_bot_that_asks_for_no_presses_gets_none(telegram: TelegramStandIn) -> None:
    asked = asks(telegram, keyboard(Yes="1"))
    telegram.updates.allowed = ["message"]
    telegram.customer_presses(ANNA, asked.message_id, "Yes")
    assert drive(telegram, lambda bot: bot.get_updates()) == ()


def test_buttons_change_and_go(telegram: TelegramStandIn) -> None:
    asked = asks(telegram, keyboard(Yes="1", No="2"))

    async def change(bot: Bot, markup: Any) -> Any:
        return await bot.edit_message_reply_markup(ANNA, asked.message_id, reply_markup=markup)

    drive(telegram, lambda bot: change(bot, keyboard(Done="1")))
    assert labels(telegram) == ["Done"]
    with pytest.raises(BadRequest, match="Message is not modified"):
        drive(telegram, lambda bot: change(bot, keyboard(Done="1")))
    drive(telegram, lambda bot: change(bot, None))
    assert labels(telegram) == []
    with pytest.raises(LookupError):
        telegram.customer_presses(ANNA, asked.message_id, "Done")


def test_only_the_bots_own_messages_get_buttons(telegram: TelegramStandIn) -> None:
    hello = telegram.customer_says(ANNA, "hello")

    async def mark(bot: Bot, number: int) -> Any:
        return await bot.edit_message_reply_markup(ANNA, number, reply_markup=keyboard(Yes="1"))

    with pytest.raises(BadRequest, match="can't be edited"):
        drive(telegram, lambda bot: mark(bot, hello))
    with pytest.raises(BadRequest, match="to edit not found"):
        drive(telegram, lambda bot: mark(bot, 999))


@pytest.mark.parametrize(
    ("markup", "why"),
    [
        (keyboard(Yes="ж" * 33), "Button_data_invalid"),
        (keyboard(Yes=""), "Button_data_invalid"),
        (keyboard(**{" ": "1"}), "must be non-empty"),
        (keyboard(**{f"{n}": "1" for n in range(101)}), "Reply markup is too long"),
        (keyboard(**{f"{n:080}": "1" for n in range(100)}), "Reply markup is too long"),
    ],
)
def test_what_telegram_does_not_take(
    telegram: TelegramStandIn, markup: InlineKeyboardMarkup, why: str
) -> None:
    with pytest.raises(BadRequest, match=why):
        asks(telegram, markup)
    assert telegram.messages(ANNA) == []
