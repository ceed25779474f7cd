"""A bot's question as Telegram's buttons, and the customer's press as an answer in Chatwoot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import redis

from adapters.telegram import Telegram
from gateway.adapter import SecretStr
from gateway.config import Channel
from gateway.lanes import CursorMove, KeyValues, Locks, keys
from gateway.model import only_items
from sandbox.chatwoot import ChatwootStandIn
from sandbox.telegram import TelegramStandIn
from tests.adapters.reading import polled
from tests.relay.env import Env, opened, settings_for

ADA = 42
DOORS = [{"title": title, "value": f"a very long value, never shown: {title}"} for title in "AB"]


@dataclass
class Line:
    """A customer's phone, a gateway that polls, and Chatwoot."""

    env: Env
    telegram: TelegramStandIn

    def poll(self) -> None:
        """Fetch and store what there is, as the clock does."""
        env, channel = self.env, self.env.channel
        assert Locks(env.store).lock(keys.lock_poller(channel.name), "clock", seconds=60)
        adapter = env.deliveries.adapters[channel.name]
        batch = polled(adapter, KeyValues(env.store).get(keys.cursor(channel.name)))
        env.intake.take(
            channel, only_items(batch.items), move=CursorMove(channel.name, "clock", batch.cursor)
        )

    def asks(self) -> dict[str, Any]:
        """A bot asks; what the customer then sees."""
        number = self.env.chatwoot.interactive_reply(1, "Which door?", "input_select", DOORS)
        self.env.told(number)
        self.env.drain()
        return {**self.telegram.messages(ADA)[-1], "number": number}

    def buttons(self, asked: dict[str, Any]) -> list[str]:
        [now] = [
            each
            for each in self.telegram.messages(ADA)
            if each["message_id"] == asked["message_id"]
        ]
        return [button["text"] for [button] in now["reply_markup"]["inline_keyboard"]]

    def presses(self, asked: dict[str, Any], label: str) -> None:
        self.telegram.customer_presses(ADA, asked["message_id"], label)
        self.poll()


@pytest.fixture
def line(redis_url: str, store: redis.Redis) -> Iterator[Line]:
    with ChatwootStandIn() as chatwoot, TelegramStandIn() as telegram:
        inbox = chatwoot.add_inbox("Bot", None)
        settings = settings_for(chatwoot, inbox, redis_url)
        config = Telegram.Config(
            adapter="telegram",
            inbox=inbox,
            settle=0.0,
            mode="polling",
            token=SecretStr(telegram.token),
            api_url=telegram.url,
        )
        channel = Channel("cards", config, Telegram, settings.accounts["main"])
        with opened(replace(settings, channels={"cards": channel}), chatwoot, store) as env:
            line = Line(env, telegram)
            telegram.greet(ADA, first_name="Ada")
            telegram.customer_says(ADA, "hello")
            line.poll()
            env.drain()
            yield line


def test_a_question_becomes_buttons_and_a_press_its_answer(line: Line) -> None:
    asked = line.asks()
    assert asked["text"] == "Which door?"
    assert line.buttons(asked) == ["A", "B"]
    line.presses(asked, "B")
    line.env.drain_until(lambda: line.buttons(asked) == ["✓ B"])
    assert not line.telegram.presses.turns(ADA, asked["message_id"], "2 B")
    assert line.env.incoming() == ["hello", "B"]
    answer = line.env.chatwoot.messages(1)[-1]
    assert answer["content_attributes"]["in_reply_to"] == asked["number"]


def test_pressing_twice_is_one_answer_and_no_button_turns_for_ever(line: Line) -> None:
    asked = line.asks()
    for label in ("B", "B"):
        line.telegram.customer_presses(ADA, asked["message_id"], label)
    line.poll()
    line.env.drain_until(lambda: line.buttons(asked) == ["✓ B"])
    line.presses(asked, "✓ B")
    line.env.drain_until(lambda: not line.telegram.presses.turns(ADA, asked["message_id"], "2 B"))
    assert line.env.incoming() == ["hello", "B"]


def test_an_old_question_can_still_be_answered(line: Line) -> None:
    old = line.asks()
    new = line.asks()
    line.presses(old, "A")
    line.env.drain_until(lambda: line.buttons(old) == ["✓ A"])
    assert line.buttons(new) == ["A", "B"]
    answer = line.env.chatwoot.messages(1)[-1]
    assert answer["content"] == "A"
    assert answer["content_attributes"]["in_reply_to"] == old["number"]


def test_a_question_that_was_taken_back_meanwhile_can_have_been_answered(line: Line) -> None:
    asked = line.asks()
    line.telegram.customer_presses(ADA, asked["message_id"], "A")
    line.telegram.bot_deletes(ADA, asked["message_id"])
    line.poll()
    line.env.drain_until(lambda: not line.telegram.presses.turns(ADA, asked["message_id"], "1 A"))
    assert line.env.incoming() == ["hello", "A"]


def test_a_press_that_is_answered_late_is_marked_all_the_same(line: Line) -> None:
    asked = line.asks()
    number = line.telegram.customer_presses(ADA, asked["message_id"], "B")
    line.telegram.presses.answer_query(number)  # Telegram has given up on it
    line.poll()
    line.env.drain_until(lambda: line.buttons(asked) == ["✓ B"])
    assert line.env.incoming() == ["hello", "B"]
