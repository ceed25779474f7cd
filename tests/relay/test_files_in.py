"""Customers' files into Chatwoot: with their message, or with a line that says why not."""

from __future__ import annotations

import base64
import json
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.limits import CUT_NOTE, LONGEST_CONTENT
from gateway.chatwoot.multipart import Form
from gateway.chatwoot.values import Message
from gateway.config.values import GatewaySettings
from gateway.errors import Permanent, ServerTrouble, Uncertain, Unreachable
from gateway.lanes import keys
from gateway.model import Attachment, File
from gateway.relay.retry_policy import REFUSALS
from gateway.relay.to_chatwoot.files import CONTINUED
from tests.relay.env import Env, webhook

PNG = b"\x89PNG" + bytes(500)
CAT = Attachment("1", "cat.png", "image/png")
Bytes = Callable[[Attachment], Iterator[bytes]]
MESSAGES = "*/messages"


class Shelf:
    """Where the network keeps its customers' files."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"1": PNG}
        self.errors: list[Exception | None] = []
        self.opened: list[str] = []

    def open(self, attachment: Attachment) -> Iterator[bytes]:
        self.opened.append(attachment.id)
        if self.errors and (error := self.errors.pop(0)):
            raise error
        if attachment.id not in self.files:
            raise Permanent("the file is gone")
        yield self.files[attachment.id][:100]
        yield self.files[attachment.id][100:]


@pytest.fixture
def shelf(env: Env, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    shelf = Shelf()
    monkeypatch.setattr(env.network, "open", shelf.open)
    return shelf


def shown(env: Env) -> list[tuple[str, list[str]]]:
    """Each message of the customer: its text and the names of its files."""
    return [
        (message["content"], [_name(each) for each in message.get("attachments", [])])
        for message in env.chatwoot.messages(1)
        if message["message_type"] == 0
    ]


def _name(attachment: dict[str, Any]) -> str:
    return str(attachment["data_url"]).rpartition("/")[2]


def test_a_photo_arrives_with_its_text(env: Env, shelf: Shelf) -> None:
    env.customer_writes("my cat", attachments=(CAT,))
    env.drain()
    assert shown(env) == [("my cat", ["cat.png"])]
    [blob] = env.chatwoot.store.blobs.values()
    assert (blob.content_type, blob.size) == ("image/png", len(PNG))
    assert list(env.deliveries.scratch.path.iterdir()) == []


def test_a_photo_without_a_word_arrives(env: Env, shelf: Shelf) -> None:
    env.customer_writes("", number=1, attachments=(CAT,))
    env.drain()
    assert shown(env) == [("", ["cat.png"])]


def test_a_reply_with_a_photo_is_threaded(env: Env, shelf: Shelf) -> None:
    env.customer_writes("first", number=1)
    env.drain()
    env.customer_writes("second", reply_to="1", attachments=(CAT,))
    env.drain()
    first, second = env.chatwoot.messages(1)
    assert second["content_attributes"]["in_reply_to"] == first["id"]
    assert second["attachments"]


def test_a_file_that_is_gone_is_said_to_be(env: Env, shelf: Shelf) -> None:
    gone = Attachment("2", "dog.jpg", "image/jpeg")
    env.customer_writes("two", attachments=(CAT, gone))
    env.drain()
    words = "two\n[dog.jpg could not be fetched: the file is gone]"
    assert shown(env) == [(words, ["cat.png"])]


def test_a_fault_of_the_adapter_costs_the_file_only(env: Env, shelf: Shelf) -> None:
    shelf.errors = [KeyError("oops")]
    env.customer_writes("look", attachments=(CAT,))
    env.drain()
    [(text, files)] = shown(env)
    assert files == []
    assert text.startswith("look\n[cat.png could not be fetched: a fault in the gateway")


@pytest.mark.parametrize("told", [10_000_000_000, None])
def test_a_file_too_large_is_not_posted(env: Env, shelf: Shelf, told: int | None) -> None:
    class Endless(bytes):
        def __getitem__(self, _: object) -> bytes:  # type: ignore[override]
            return bytes(30 * 1024 * 1024)

    shelf.files["1"] = Endless()
    film = Attachment("1", "film.mp4", "video/mp4", told)
    env.customer_writes("look", attachments=(film,))
    env.drain()
    assert shown(env) == [("look\n[film.mp4 could not be fetched: larger than 40 MB]", [])]
    assert bool(shelf.opened) is (told is None)


def test_a_passing_trouble_is_waited_for_and_does_not_blame_chatwoot(
    env: Env, shelf: Shelf
) -> None:
    shelf.errors = [Unreachable("nobody there")]
    env.customer_writes("look", attachments=(CAT,))
    env.drain()
    assert env.chatwoot.conversations() == [] or shown(env) == []
    assert not env.store.hget(keys.gate("chatwoot/main"), "failures")
    env.drain_until(lambda: env.count("delivered_in"))
    assert shown(env) == [("look", ["cat.png"])]


def test_a_lasting_trouble_does_not_hold_the_message_up(env: Env, shelf: Shelf) -> None:
    shelf.errors = [ServerTrouble("busy")] * 10
    env.customer_writes("look", attachments=(CAT,))
    env.customer_writes("are you there?")
    env.drain_until(lambda: env.count("delivered_in") == 2)
    assert shown(env) == [
        ("look\n[cat.png could not be fetched: busy]", []),
        ("are you there?", []),
    ]


def test_more_files_than_a_message_takes_follow_in_another(env: Env, shelf: Shelf) -> None:
    many = tuple(Attachment("1", f"{n}.png", "image/png") for n in range(20))
    env.customer_writes("all my cats", number=1, attachments=many)
    env.drain()
    (first, files), (second, more) = shown(env)
    assert (first, len(files)) == ("all my cats", 15)
    assert (second, len(more)) == ("(files 16 to 20 of 20, continued)", 5)
    sources = [message["source_id"] for message in env.chatwoot.messages(1)]
    assert sources == ["gw:cards:1", "gw:cards:1~share2"]


def test_what_was_posted_is_not_posted_again_when_the_rest_fails(env: Env, shelf: Shelf) -> None:
    env.customer_writes("before")
    env.drain()
    many = tuple(Attachment("1", f"{n}.png", "image/png") for n in range(20))
    shelf.errors = [*[None] * 15, ServerTrouble("busy")]
    env.customer_writes("all my cats", number=1, attachments=many)
    env.drain_until(lambda: env.count("delivered_in") == 2)
    assert [len(files) for _, files in shown(env)] == [0, 15, 5]


def test_an_answer_lost_after_the_effect_makes_no_double(env: Env, shelf: Shelf) -> None:
    env.customer_writes("first")
    env.drain()
    env.chatwoot.fault("lose", method="POST", path=MESSAGES)
    env.chatwoot.fault("drop", method="GET", path=MESSAGES)
    env.customer_writes("second", attachments=(CAT,))
    env.drain_until(lambda: env.count("delivered_in") == 2)
    assert env.count("uncertain") == 1
    assert shown(env) == [("first", []), ("second", ["cat.png"])]


def test_an_upload_that_always_breaks_off_does_not_hold_its_lane_up_for_ever(
    env: Env, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = Chatwoot.create_message

    def behind_a_limit(self: Chatwoot, conversation: int, text: str, **more: Any) -> Message:
        if more.get("files"):
            raise Uncertain("The connection was broken off")
        return post(self, conversation, text, **more)

    monkeypatch.setattr(Chatwoot, "create_message", behind_a_limit)
    env.customer_writes("first")
    env.drain()
    env.customer_writes("my cat", attachments=(CAT,))
    env.customer_writes("after it")
    for number in range(REFUSALS + 1):
        env.customer_writes(f"other {number}", peer="p2")
        env.drain(threads=1)
        env.make_due()
    env.drain(threads=1)
    assert shown(env) == [("first", []), ("after it", [])]
    [letter] = env.dead.list()
    assert letter.id == "i:cards:my cat"
    assert any("could not be shown here" in note for note in env.notes())


def test_an_upload_that_breaks_off_while_chatwoot_is_away_is_not_refused(
    env: Env, shelf: Shelf
) -> None:
    env.customer_writes("first")
    env.drain()
    env.chatwoot.fault("drop", times=None)
    env.customer_writes("my cat", attachments=(CAT,))
    for _ in range(REFUSALS + 1):
        env.drain()
        env.make_due()
    env.chatwoot.clear_faults()
    env.drain_until(lambda: env.count("delivered_in") == 2)
    assert shown(env) == [("first", []), ("my cat", ["cat.png"])]
    assert list(env.dead.list()) == []


def test_what_the_server_before_chatwoot_refuses_arrives_without_the_file(
    env: Env, shelf: Shelf
) -> None:
    env.customer_writes("first")
    env.drain()
    env.chatwoot.fault("status", method="POST", path=MESSAGES, status=413)
    env.customer_writes("second", attachments=(CAT,))
    env.drain()
    [_, (text, files)] = shown(env)
    assert files == []
    assert text.startswith("second\n[cat.png could not be fetched: more than")


def test_a_bad_name_is_mended(env: Env, shelf: Shelf) -> None:
    env.customer_writes("x", attachments=(Attachment("1", '../../a"b\r\nX: y.png', "image/png"),))
    env.drain()
    assert shown(env) == [("x", ["a_b__X_%20y.png"])]


def test_files_do_not_fill_the_memory(env: Env, shelf: Shelf) -> None:
    """A form is read from the disk block by block."""

    with env.deliveries.scratch.room() as room:
        path = room / "large"
        with path.open("wb") as out:
            out.truncate(50 * 1024 * 1024)
        form = Form(
            [("content", "x")], "attachments[]", [File("a", "b/c", path.stat().st_size, path)]
        )
        tracemalloc.start()
        try:
            assert sum(len(block) for block in form) == len(form)
            assert tracemalloc.get_traced_memory()[1] < 2 * 1024 * 1024
        finally:
            tracemalloc.stop()


def long_text(env: Env, **more: Any) -> str:
    """A text that no message of Chatwoot can hold; the customer writes it."""
    text = "".join(f"{n} šťö 漢 😀\n" for n in range(20_000))
    env.customer_writes(text, number=1, **more)
    return text


def stored(env: Env, name: str) -> str:
    [blob] = [each for each in env.chatwoot.store.blobs.values() if each.name == name]
    return base64.b64decode(blob.data).decode()


def test_a_text_longer_than_a_message_is_continued_in_a_file(env: Env) -> None:
    text = long_text(env)
    env.drain()
    [(content, files)] = shown(env)
    assert len(content) == LONGEST_CONTENT
    assert content.endswith(CONTINUED)
    assert text.startswith(content.removesuffix(CONTINUED))
    assert files == ["message.txt"]
    assert stored(env, "message.txt") == text
    assert list(env.deliveries.scratch.path.iterdir()) == []


def test_chatwoots_longest_message_fits_into_a_webhook(env: Env) -> None:
    env.customer_writes("<" * LONGEST_CONTENT, number=1)
    env.drain()
    [message] = env.chatwoot.messages(1)
    told = json.dumps(webhook(env.chatwoot, 1, message["id"], "message_created"))
    told = told.replace("<", r"\u003c")  # as Rails writes it
    assert told.count(r"\u003c") >= 3 * LONGEST_CONTENT
    assert len(told) < GatewaySettings.model_fields["body_limit"].default


def test_a_text_as_long_as_a_message_needs_no_file(env: Env) -> None:
    env.customer_writes("x" * LONGEST_CONTENT, number=1)
    env.drain()
    assert shown(env) == [("x" * LONGEST_CONTENT, [])]


def test_the_file_of_a_long_text_is_one_of_fifteen(env: Env, shelf: Shelf) -> None:
    text = long_text(
        env, attachments=tuple(Attachment("1", f"{n}.png", "image/png") for n in range(15))
    )
    env.drain()
    (first, files), (second, more) = shown(env)
    assert first.endswith(CONTINUED)
    assert files == ["message.txt", *(f"{n}.png" for n in range(14))]
    assert (second, more) == ("(file 15 of 15, continued)", ["14.png"])
    assert stored(env, "message.txt") == text


def test_room_is_kept_for_the_file_of_a_text_that_a_quoted_line_makes_too_long(
    env: Env, shelf: Shelf
) -> None:
    many = tuple(Attachment("1", f"{n}.png", "image/png") for n in range(15))
    env.customer_writes("x" * LONGEST_CONTENT, number=1, attachments=many, quoted="that")
    env.drain()
    assert [len(files) for _, files in shown(env)] == [15, 1]


def test_what_is_said_of_a_file_is_not_cut_off_a_long_text(env: Env, shelf: Shelf) -> None:
    gone = tuple(Attachment("2", f"{n}.png", "image/png") for n in range(15))
    text = "x" * (LONGEST_CONTENT - 10)
    env.customer_writes(text, number=1, attachments=gone)
    env.drain()
    [(content, files)] = shown(env)
    assert len(content) == LONGEST_CONTENT
    assert content.endswith("[14.png could not be fetched: the file is gone]")
    assert CONTINUED in content
    assert files == ["message.txt"]
    assert stored(env, "message.txt") == text


def test_a_long_text_whose_answer_was_lost_is_there_once(env: Env) -> None:
    env.customer_writes("first")
    env.drain()
    env.chatwoot.fault("lose", method="POST", path=MESSAGES)
    text = long_text(env)
    env.drain_until(lambda: env.count("delivered_in") == 2)
    [_, (content, files)] = shown(env)
    assert content.endswith(CONTINUED)
    assert files == ["message.txt"]
    assert stored(env, "message.txt") == text


def test_where_no_file_is_taken_a_long_text_is_cut(env: Env, shelf: Shelf) -> None:
    env.customer_writes("first")
    env.drain()
    env.chatwoot.fault("status", method="POST", path=MESSAGES, status=413, times=2)
    long_text(env, attachments=(CAT,))
    env.drain()
    [_, (content, files)] = shown(env)
    assert len(content) == LONGEST_CONTENT
    assert CUT_NOTE in content
    assert "[cat.png could not be fetched: more than" in content
    assert files == []


def test_a_message_that_is_too_much_even_without_files_is_given_up(env: Env, shelf: Shelf) -> None:
    env.customer_writes("first")
    env.drain()
    env.chatwoot.fault("status", method="POST", path=MESSAGES, status=413, times=2)
    env.customer_writes("second", attachments=(CAT,))
    env.drain()
    [letter] = env.dead.list()
    assert letter.reason == "more than the web server in front of Chatwoot accepts"
    assert letter.reason in env.notes()[0]
