"""The Telegram stand-in, driven by the real python-telegram-bot."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests
from flask import Flask, request
from telegram import Bot, MessageEntity, ReplyParameters, Update, UserProfilePhotos
from telegram.constants import ChatAction, ParseMode
from telegram.error import (
    BadRequest,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)

from sandbox.faults import Fault, Kind
from sandbox.telegram import TelegramStandIn
from sandbox.telegram.files import Upload
from sandbox.web import WebServer

T = TypeVar("T")
ANNA = 4711


@pytest.fixture
def telegram() -> Iterator[TelegramStandIn]:
    with TelegramStandIn(push_delays=(0.02, 0.1)) as stand_in:
        stand_in.greet(ANNA, first_name="Anna", username="anna_k", language_code="de")
        yield stand_in


def drive(telegram: TelegramStandIn, work: Callable[[Bot], Awaitable[T]], token: str = "") -> T:
    """Let a bot work on the stand-in, as a bot of the library does on Telegram."""

    async def run() -> T:
        async with Bot(token or telegram.token, base_url=f"{telegram.url}/bot") as bot:
            return await work(bot)

    return asyncio.run(run())


def call(telegram: TelegramStandIn, method: str, **parameters: Any) -> Any:
    return requests.post(f"{telegram.url}/bot{telegram.token}/{method}", json=parameters).json()


class Webhook:
    """The bot's own server: notes the updates, and answers what it is told to answer."""

    def __init__(self) -> None:
        self.got: queue.Queue[Update] = queue.Queue()
        self.secrets: list[str | None] = []
        self.statuses: list[int] = []
        app = Flask("webhook")
        app.add_url_rule("/hook", "hook", self._take, methods=["POST"])
        self.server = WebServer(app)

    def _take(self) -> tuple[str, int]:
        self.secrets.append(request.headers.get("X-Telegram-Bot-Api-Secret-Token"))
        self.got.put(Update.de_json(request.get_json(), None))
        return "", self.statuses.pop(0) if self.statuses else 200

    def texts(self, count: int) -> list[str]:
        updates = [self.got.get(timeout=10) for _ in range(count)]
        return [
            str(update.effective_message and update.effective_message.text) for update in updates
        ]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    webhook = Webhook()
    webhook.server.start()
    yield webhook
    webhook.server.stop()


def test_the_bot_learns_who_it_is(telegram: TelegramStandIn) -> None:
    me = drive(telegram, lambda bot: bot.get_me())
    assert (me.username, me.is_bot) == ("support_bot", True)
    assert telegram.token.startswith(f"{me.id}:")


def test_a_wrong_token_is_refused(telegram: TelegramStandIn) -> None:
    answer = requests.get(f"{telegram.url}/bot1:no/getMe")
    assert answer.status_code == 401
    assert answer.json() == {"ok": False, "error_code": 401, "description": "Unauthorized"}
    with pytest.raises(InvalidToken):
        drive(telegram, lambda bot: bot.get_me(), token="1:no")


def test_profile_photos_are_shown_newest_first(telegram: TelegramStandIn) -> None:
    def shown(limit: int) -> UserProfilePhotos:
        return drive(telegram, lambda bot: bot.get_user_profile_photos(ANNA, limit=limit))

    assert shown(1).total_count == 0
    for data in (b"old", b"new"):
        telegram.customer_shows(ANNA, Upload(data, "", "image/jpeg"))
    assert (shown(1).total_count, len(shown(1).photos), len(shown(5).photos)) == (2, 1, 2)
    small, large = shown(1).photos[0]
    assert small.width < large.width
    assert telegram.files.find(large.file_id).content == b"new"
    with pytest.raises(BadRequest, match="User not found"):
        drive(telegram, lambda bot: bot.get_user_profile_photos(5))


def test_an_unknown_method_is_not_found(telegram: TelegramStandIn) -> None:
    assert call(telegram, "sendPigeon")["error_code"] == 404
    assert requests.get(f"{telegram.url}/nothing").json()["description"] == "Not Found"


def test_updates_stay_until_a_higher_offset_confirms_them(telegram: TelegramStandIn) -> None:
    first = telegram.customer_says(ANNA, "one")
    telegram.customer_says(ANNA, "two", reply_to=first)

    async def work(bot: Bot) -> list[tuple[Update, ...]]:
        once = await bot.get_updates()
        again = await bot.get_updates(offset=once[0].update_id)
        rest = await bot.get_updates(offset=once[0].update_id + 1, limit=1)
        return [once, again, rest, await bot.get_updates(offset=once[1].update_id + 1)]

    once, again, rest, none = drive(telegram, work)
    assert [update.message and update.message.text for update in once] == ["one", "two"]
    assert [update.update_id for update in again] == [update.update_id for update in once]
    assert rest == once[1:]
    assert none == ()
    answer = once[1].message
    assert answer is not None
    assert answer.reply_to_message is not None
    assert answer.reply_to_message.message_id == first
    assert answer.chat.type == "private"
    assert answer.from_user is not None
    assert (answer.from_user.first_name, answer.from_user.language_code) == ("Anna", "de")


def test_a_long_poll_wakes_for_a_message(telegram: TelegramStandIn) -> None:
    got: list[Any] = []
    poll = threading.Thread(target=lambda: got.append(call(telegram, "getUpdates", timeout=20)))
    poll.start()
    telegram.customer_says(ANNA, "hello")
    poll.join(10)
    assert got[0]["result"][0]["message"]["text"] == "hello"


def test_the_older_of_two_polls_ends_with_a_conflict(telegram: TelegramStandIn) -> None:
    got: queue.Queue[Any] = queue.Queue()

    def poll() -> None:
        got.put(call(telegram, "getUpdates", timeout=20))

    polls = [threading.Thread(target=poll) for _ in range(2)]
    for thread in polls:
        thread.start()
    conflict = got.get(timeout=10)
    assert conflict["error_code"] == 409
    assert "terminated by other getUpdates" in conflict["description"]
    telegram.customer_says(ANNA, "hello")
    assert got.get(timeout=10)["ok"] is True


def test_no_polling_beside_a_webhook(telegram: TelegramStandIn) -> None:
    async def work(bot: Bot) -> None:
        await bot.set_webhook("http://127.0.0.1:1/hook")
        await bot.get_updates()

    with pytest.raises(Conflict, match="webhook is active"):
        drive(telegram, work)


def test_the_webhook_gets_updates_in_order_until_it_takes_them(
    telegram: TelegramStandIn, webhook: Webhook
) -> None:
    webhook.statuses = [500, 403, 200]
    for text in ("one", "two"):
        telegram.customer_says(ANNA, text)
    drive(
        telegram,
        lambda bot: bot.set_webhook(f"{webhook.server.url}/hook", secret_token="s-1"),
    )
    assert webhook.texts(4) == ["one", "one", "one", "two"]
    assert set(webhook.secrets) == {"s-1"}


def test_an_edit_reaches_the_webhook(telegram: TelegramStandIn, webhook: Webhook) -> None:
    drive(telegram, lambda bot: bot.set_webhook(f"{webhook.server.url}/hook"))
    message = telegram.customer_says(ANNA, "wrogn")
    telegram.customer_says(ANNA, "wrong", edit_of=message)
    webhook.got.get(timeout=10)
    update = webhook.got.get(timeout=10)
    assert update.edited_message is not None
    assert (update.edited_message.message_id, update.edited_message.text) == (message, "wrong")
    assert update.edited_message.edit_date is not None


def test_the_state_of_the_webhook_is_told(telegram: TelegramStandIn) -> None:
    async def work(bot: Bot) -> Any:
        await bot.set_webhook(
            "http://127.0.0.1:1/hook", allowed_updates=["message"], max_connections=7
        )
        telegram.customer_says(ANNA, "hello")
        while not (info := await bot.get_webhook_info()).last_error_message:
            await asyncio.sleep(0.01)
        return info

    info = drive(telegram, work)
    assert info.url == "http://127.0.0.1:1/hook"
    assert (info.pending_update_count, info.max_connections) == (1, 7)
    assert info.allowed_updates == ("message",)


def test_unwanted_kinds_are_not_queued_and_pending_ones_can_be_dropped(
    telegram: TelegramStandIn,
) -> None:
    async def work(bot: Bot) -> int:
        await bot.get_updates(allowed_updates=["edited_message"])
        telegram.customer_says(ANNA, "not wanted")
        await bot.get_updates(allowed_updates=[])
        telegram.customer_says(ANNA, "dropped")
        assert telegram.updates.pending() == 1
        await bot.delete_webhook(drop_pending_updates=True)
        return len(await bot.get_updates())

    assert drive(telegram, work) == 0


def test_a_bad_webhook_secret_is_refused(telegram: TelegramStandIn) -> None:
    with pytest.raises(BadRequest, match="unallowed characters"):
        drive(telegram, lambda bot: bot.set_webhook("http://127.0.0.1:1/", secret_token="ü"))


def test_the_bot_answers_with_entities_and_a_reply(telegram: TelegramStandIn) -> None:
    asked = telegram.customer_says(ANNA, "where?")
    feed = telegram.subscribe()
    sent = drive(
        telegram,
        lambda bot: bot.send_message(
            ANNA,
            "😀 there",
            entities=[MessageEntity("bold", 3, 5)],
            reply_parameters=ReplyParameters(asked),
        ),
    )
    assert sent.parse_entity(sent.entities[0]) == "there"
    assert sent.reply_to_message is not None
    assert sent.reply_to_message.message_id == asked
    event = feed.get(timeout=5)
    assert (event["type"], event["chat"], event["message"]["text"]) == ("message", ANNA, "😀 there")
    assert telegram.messages(ANNA)[-1]["message_id"] == sent.message_id


@pytest.mark.parametrize("style", ["query", "form", "multipart", "json"])
def test_parameters_come_in_every_form(telegram: TelegramStandIn, style: str) -> None:
    telegram.customer_says(ANNA, "hello")
    url = f"{telegram.url}/bot{telegram.token}/sendMessage"
    given = {"chat_id": str(ANNA), "text": "hi"}
    answer = {
        "query": lambda: requests.get(url, params=given),
        "form": lambda: requests.post(url, data=given),
        "multipart": lambda: requests.post(
            url, files={name: (None, text) for name, text in given.items()}
        ),
        "json": lambda: requests.post(url, json={"chat_id": ANNA, "text": "hi"}),
    }[style]()
    assert answer.json()["result"]["text"] == "hi"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"text": ""}, "message text is empty"),
        ({"text": " \n"}, "text must be non-empty"),
        ({"text": "a" * 4097}, "message is too long"),
        ({"text": "😀" * 2049}, "message is too long"),
        ({"chat_id": 99}, "chat not found"),
        ({"chat_id": "x"}, "chat not found"),
        ({"chat_id": ""}, "chat_id is empty"),
        ({"parse_mode": "BBCode"}, "unsupported parse_mode"),
        ({"parse_mode": "HTML", "text": "a < b"}, 'Unsupported start tag "" at byte offset 2'),
        ({"parse_mode": "HTML", "text": "<h1>a</h1>"}, 'Unsupported start tag "h1"'),
        ({"parse_mode": "HTML", "text": "<b>a"}, 'end tag corresponding to start tag "b"'),
        ({"parse_mode": "HTML", "text": "<b><i>a</b>"}, 'expected "</i>", found "</b>"'),
        ({"parse_mode": "HTML", "text": "a</b>"}, "Unexpected end tag at byte offset 1"),
        ({"parse_mode": "MarkdownV2", "text": "1.5"}, "Character '.' is reserved"),
        ({"parse_mode": "MarkdownV2", "text": "é *a"}, "end of Bold entity at byte offset 3"),
        ({"parse_mode": "MarkdownV2", "text": "[a] b"}, "end of TextLink entity"),
        ({"entities": [{"type": "fat", "offset": 0, "length": 1}]}, "can't parse entities"),
        ({"entities": "{"}, "can't parse entities"),
        (
            {"text": "😀", "entities": [{"type": "bold", "offset": 1, "length": 1}]},
            "begins in a middle of a UTF-16 symbol",
        ),
        ({"reply_parameters": {"message_id": 999}}, "message to be replied not found"),
    ],
)
def test_what_telegram_refuses(
    telegram: TelegramStandIn, wanted: dict[str, Any], said: str
) -> None:
    telegram.customer_says(ANNA, "hello")
    answer = call(telegram, "sendMessage", **({"chat_id": ANNA, "text": "hi"} | wanted))
    assert answer["error_code"] == 400
    assert said in answer["description"]
    assert answer["description"].startswith("Bad Request: ")
    assert len(telegram.messages(ANNA)) == 1


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        (ParseMode.HTML, 'a &lt; b <b>x</b> <a href="https://a.example/">c</a> &amp;'),
        (ParseMode.MARKDOWN_V2, r"a < b *x* [c](https://a.example/) &"),
    ],
)
def test_markup_becomes_entities(telegram: TelegramStandIn, mode: str, text: str) -> None:
    telegram.customer_says(ANNA, "hello")
    sent = drive(telegram, lambda bot: bot.send_message(ANNA, text, parse_mode=mode))
    assert sent.text == "a < b x c &"
    assert [(one.type, one.offset, one.length, one.url) for one in sent.entities] == [
        ("bold", 6, 1, None),
        ("text_link", 8, 1, "https://a.example/"),
    ]


def test_the_longest_text_passes(telegram: TelegramStandIn) -> None:
    telegram.customer_says(ANNA, "hello")
    assert call(telegram, "sendMessage", chat_id=ANNA, text="😀" * 2048)["ok"] is True


def test_a_reply_to_a_missing_message_is_allowed_on_request(telegram: TelegramStandIn) -> None:
    telegram.customer_says(ANNA, "hello")
    reply = ReplyParameters(999, allow_sending_without_reply=True)
    sent = drive(telegram, lambda bot: bot.send_message(ANNA, "hi", reply_parameters=reply))
    assert sent.reply_to_message is None


def test_a_blocked_bot_cannot_write(telegram: TelegramStandIn) -> None:
    telegram.customer_says(ANNA, "hello")
    telegram.block(ANNA)
    with pytest.raises(Forbidden, match="bot was blocked by the user"):
        drive(telegram, lambda bot: bot.send_message(ANNA, "hi"))
    telegram.unblock(ANNA)
    assert drive(telegram, lambda bot: bot.send_message(ANNA, "hi")).text == "hi"


def test_throttled_on_request(telegram: TelegramStandIn) -> None:
    telegram.customer_says(ANNA, "hello")
    telegram.throttle(7)
    with pytest.raises(RetryAfter) as caught:
        drive(telegram, lambda bot: bot.send_message(ANNA, "hi"))
    assert "7" in str(caught.value)
    assert drive(telegram, lambda bot: bot.send_message(ANNA, "hi")).text == "hi"


def test_one_message_a_second_to_a_chat() -> None:
    with TelegramStandIn(chat_interval=60) as telegram:
        telegram.customer_says(ANNA, "hello")
        telegram.customer_says(99, "hello")
        assert call(telegram, "sendMessage", chat_id=ANNA, text="a")["ok"] is True
        second = call(telegram, "sendMessage", chat_id=ANNA, text="b")
        assert (second["error_code"], second["parameters"]) == (429, {"retry_after": 60})
        assert call(telegram, "sendMessage", chat_id=99, text="a")["ok"] is True
        assert len(telegram.messages(ANNA)) == 2


def test_an_answer_lost_after_the_effect(telegram: TelegramStandIn) -> None:
    telegram.customer_says(ANNA, "hello")
    telegram.faults.add(Fault(Kind.LOSE, path="/bot*/sendMessage"))
    with pytest.raises(NetworkError):
        drive(telegram, lambda bot: bot.send_message(ANNA, "hi"))
    assert [message["text"] for message in telegram.messages(ANNA)] == ["hello", "hi"]


def test_messages_can_be_deleted_once(telegram: TelegramStandIn) -> None:
    telegram.customer_says(ANNA, "hello")

    async def work(bot: Bot) -> None:
        sent = await bot.send_message(ANNA, "oops")
        await bot.delete_message(ANNA, sent.message_id)
        await bot.delete_message(ANNA, sent.message_id)

    with pytest.raises(BadRequest, match="Message to delete not found"):
        drive(telegram, work)
    assert [message["text"] for message in telegram.messages(ANNA)] == ["hello"]


def test_typing_is_shown(telegram: TelegramStandIn) -> None:
    telegram.customer_says(ANNA, "hello")
    feed = telegram.subscribe()
    drive(telegram, lambda bot: bot.send_chat_action(ANNA, ChatAction.TYPING))
    assert feed.get(timeout=5) == {"type": "action", "chat": ANNA, "action": "typing"}
    with pytest.raises(TelegramError, match="Wrong parameter action"):
        drive(telegram, lambda bot: bot.send_chat_action(ANNA, "juggling"))


def test_a_restart_remembers(tmp_path: Path) -> None:
    path = tmp_path / "telegram.json"
    with TelegramStandIn(state_file=path) as first:
        first.greet(ANNA, first_name="Anna")
        hello = first.customer_says(ANNA, "hello")
        call(first, "sendMessage", chat_id=ANNA, text="hi")
        first.block(ANNA)
    with TelegramStandIn(state_file=path) as second:
        assert second.token == first.token
        assert second.chats() == first.chats()
        assert [message["text"] for message in second.messages(ANNA)] == ["hello", "hi"]
        assert call(second, "sendMessage", chat_id=ANNA, text="hi")["error_code"] == 403
        waiting = call(second, "getUpdates")["result"]
        assert [update["message"]["message_id"] for update in waiting] == [hello]
        assert second.customer_says(ANNA, "again") > hello + 1
        assert call(second, "getUpdates")["result"][1]["update_id"] == waiting[0]["update_id"] + 1
