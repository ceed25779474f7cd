"""What only Telegram has: registering, long polling, taking back; and its stand-in at work."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.telegram import Telegram
from gateway import errors
from gateway.adapter import SecretStr, Site
from gateway.model import Inbound, Part, Place, Style
from gateway.runtime import Runtime
from gateway.text import render
from sandbox.telegram import TelegramStandIn
from tests.adapters.reading import polled, read_all
from tests.adapters.subjects import WEBHOOK, TelegramSubject
from tests.scripted import ScriptedServer, answer, refused_url, silence

OK: dict[str, Any] = {"ok": True, "result": True}


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    runtime = Runtime()
    yield runtime
    runtime.close()


@pytest.fixture
def subject(runtime: Runtime) -> Iterator[TelegramSubject]:
    subject = TelegramSubject(runtime)
    yield subject
    subject.close()


@pytest.fixture
def server(subject: TelegramSubject) -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        subject.prepare(server)
        yield server


def calls(server: ScriptedServer) -> list[str]:
    return [request.path.rpartition("/")[2] for request in server.requests]


def test_typing_is_a_chat_action(subject: TelegramSubject, server: ScriptedServer) -> None:
    server.otherwise = answer(200, OK)
    subject.adapter(server.url).show_typing(Place("42"))
    assert calls(server)[-1] == "sendChatAction"
    assert server.requests[-1].form == {"chat_id": "42", "action": "typing"}


def test_a_press_is_answered_and_the_button_marked(
    subject: TelegramSubject, server: ScriptedServer
) -> None:
    server.otherwise = answer(200, OK)
    adapter = subject.adapter(server.url)
    request = subject.request(subject.cases("parse")["a button"]["request"])
    (press,) = read_all(adapter, adapter.parse(request))
    assert isinstance(press, Inbound)
    subject.adapter(server.url).acknowledge_press(press)
    assert calls(server)[-2:] == ["answerCallbackQuery", "editMessageReplyMarkup"]
    assert server.requests[-2].form == {"callback_query_id": "4382bfdwdsb323b2d9"}
    marked = '{"inline_keyboard": [[{"callback_data": "1 Yes", "text": "\\u2713 Yes"}]]}'
    assert server.requests[-1].form == {"chat_id": "42", "message_id": "7", "reply_markup": marked}


@pytest.mark.parametrize("name", ["done", "gone already", "too late"])
def test_a_message_is_taken_back(
    subject: TelegramSubject, server: ScriptedServer, name: str
) -> None:
    case = subject.cases("delete")[name]
    server.otherwise = answer(case["status"], case["json"])
    adapter = subject.adapter(server.url)
    if "error" in case:
        with pytest.raises(errors.Permanent):
            adapter.delete(Place("42"), "42:7")
    else:
        adapter.delete(Place("42"), "42:7")
    assert server.requests[-1].form == {"chat_id": "42", "message_id": "7"}


def test_the_webhook_is_set_with_its_secret(
    subject: TelegramSubject, server: ScriptedServer
) -> None:
    server.otherwise = answer(200, OK)
    assert subject.adapter(server.url).connect() == "@front_bot: webhook set"
    form = server.requests[-1].form
    assert form["url"] == WEBHOOK
    assert form["secret_token"] == "webhookSecret123"
    assert form["allowed_updates"] == '["message", "edited_message", "callback_query"]'
    assert form["max_connections"] == "1"
    assert form.get("drop_pending_updates", "false") == "false"


def test_the_bot_is_introduced_once(subject: TelegramSubject, server: ScriptedServer) -> None:
    adapter = subject.adapter(server.url)
    for _ in range(3):
        adapter.send(Part("p", "42", "x"))
    assert calls(server) == ["getMe", "sendMessage", "sendMessage", "sendMessage"]
    assert len({request.connection for request in server.requests}) == 1


def test_a_failed_start_is_tried_again(subject: TelegramSubject, server: ScriptedServer) -> None:
    adapter = subject.adapter(server.url)
    introduced = server.always.pop("/getMe")
    server.otherwise = answer(502, b"bad gateway")
    with pytest.raises(errors.Unreachable):
        adapter.send(Part("p", "42", "x"))
    assert calls(server) == ["getMe"], "nothing may be sent by a bot that is not known"
    server.always["/getMe"] = introduced
    server.otherwise = answer(200, subject.accepts())
    assert adapter.send(Part("p", "42", "x")).external_id == "42:7"


def test_nobody_there_after_a_good_start(subject: TelegramSubject, runtime: Runtime) -> None:
    with ScriptedServer() as server:
        subject.prepare(server)
        server.otherwise = answer(200, subject.accepts(), {"Connection": "close"})
        adapter = subject.adapter(server.url)
        adapter.send(Part("p", "42", "x"))
    with pytest.raises(errors.Unreachable):
        adapter.send(Part("p", "42", "x"))


def test_polling_asks_from_the_cursor(subject: TelegramSubject, server: ScriptedServer) -> None:
    update = subject.cases("parse")["text"]["request"]
    server.script = [answer(200, {"ok": True, "result": [{**update, "update_id": 9}]})]
    server.otherwise = answer(200, {"ok": True, "result": []})
    adapter = subject.adapter(server.url)
    first = polled(adapter, None)
    assert [item.id for item in first.items if isinstance(item, Inbound)] == ["42:7"]
    assert first.cursor == "10"
    second = polled(adapter, first.cursor)
    assert (second.items, second.cursor) == ((), "10")
    asked = [request.form for request in server.requests if request.path.endswith("getUpdates")]
    assert [form.get("offset") for form in asked] == [None, "10"]
    assert asked[0]["timeout"] == "20"


@pytest.mark.parametrize("status", [401, 409, 429, 500, 502])
def test_a_poll_that_fails_says_why(
    subject: TelegramSubject, server: ScriptedServer, status: int
) -> None:
    server.otherwise = answer(status, {"ok": False, "description": "no"})
    with pytest.raises((errors.Retry, errors.BadCredentials)):
        subject.adapter(server.url).poll("1")


def test_a_poll_of_nobody_is_unreachable(subject: TelegramSubject) -> None:
    with pytest.raises(errors.Unreachable):
        subject.adapter(refused_url()).poll("1")


def test_a_silent_start_is_no_unknown(subject: TelegramSubject, server: ScriptedServer) -> None:
    server.always["/getMe"] = silence
    with pytest.raises(errors.Unreachable):
        subject.adapter(server.url, deadline=0.4).send(Part("p", "42", "x"))


# ---- with the stand-in


@pytest.fixture
def telegram() -> Iterator[TelegramStandIn]:
    with TelegramStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def bot(telegram: TelegramStandIn, runtime: Runtime) -> Iterator[Telegram]:
    settings: dict[str, Any] = {"adapter": "telegram", "inbox": 1, "mode": "polling"}
    config = Telegram.Config(**settings, token=SecretStr(telegram.token), api_url=telegram.url)
    adapter = Telegram(config, Site("bot", WEBHOOK, "webhookSecret123", runtime))
    yield adapter
    adapter.close()


def test_both_ways_with_the_stand_in(telegram: TelegramStandIn, bot: Telegram) -> None:
    assert "long polling" in bot.connect()
    telegram.greet(42, first_name="Ada", username="ada", language_code="en")
    asked = telegram.customer_says(42, "Hello")
    batch = polled(bot, None)
    (hello,) = batch.items
    assert isinstance(hello, Inbound)
    assert (hello.text, hello.peer, hello.person.username) == ("Hello", "42", "ada")
    rich = render("**a** < b & `c` [l](https://e.com)", frozenset(Style))
    sent = bot.send(Part("9:1", "42", rich.text, rich.spans, reply_to=hello.id))
    said = telegram.messages(42)[-1]
    assert said["text"] == "a < b & c l"
    assert [entity["type"] for entity in said["entities"]] == ["bold", "code", "text_link"]
    assert said["reply_to_message"]["message_id"] == asked
    assert sent.external_id == f"42:{said['message_id']}"
    telegram.customer_says(42, "Hallo", edit_of=asked)
    edited = polled(bot, batch.cursor).items[0]
    assert isinstance(edited, Inbound)
    assert edited.text == "✏️ Hallo"
    assert edited.reply_to == hello.id
    bot.delete(Place("42"), sent.external_id)
    assert said["message_id"] not in [each["message_id"] for each in telegram.messages(42)]


def test_a_blocked_bot(telegram: TelegramStandIn, bot: Telegram) -> None:
    telegram.customer_says(42, "Hello")
    telegram.block(42)
    with pytest.raises(errors.PeerGone):
        bot.send(Part("9:1", "42", "x"))


def test_telegram_slows_down(telegram: TelegramStandIn, bot: Telegram) -> None:
    telegram.customer_says(42, "Hello")
    telegram.throttle(3)
    with pytest.raises(errors.Throttled) as caught:
        bot.send(Part("9:1", "42", "x"))
    assert (caught.value.after, caught.value.scope) == (3, "lane")


def test_polling_waits_for_a_message(telegram: TelegramStandIn, bot: Telegram) -> None:
    telegram.customer_says(42, "one")
    cursor = polled(bot, None).cursor
    threading.Timer(0.3, lambda: telegram.customer_says(42, "two")).start()
    began = time.monotonic()
    batch = polled(bot, cursor)
    assert [item.text for item in batch.items if isinstance(item, Inbound)] == ["two"]
    assert time.monotonic() - began < 10
