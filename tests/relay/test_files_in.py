"""Customers' files into Chatwoot: with their message, or with a line that says why not."""

from __future__ import annotations

import base64
import json
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.chatwoot.client import CUT_NOTE, LONGEST_CONTENT, Chatwoot
from gateway.chatwoot.multipart import Form
from gateway.chatwoot.values import Message
from gateway.config.values import GatewaySettings
from gateway.errors import Permanent, ServerTrouble, Unknown, Unreachable
from gateway.model import Attachment, File
from gateway.relay.retry_policy import REFUSALS
from gateway.relay.to_chatwoot.files import CONTINUED
from tests.relay.house import House, webhook

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
def shelf(house: House, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    shelf = Shelf()
    monkeypatch.setattr(house.network, "open", shelf.open)
    return shelf


def shown(house: House) -> list[tuple[str, list[str]]]:
    """Each message of the customer: its text and the names of its files."""
    return [
        (message["content"], [_name(each) for each in message.get("attachments", [])])
        for message in house.chatwoot.messages(1)
        if message["message_type"] == 0
    ]


def _name(attachment: dict[str, Any]) -> str:
    return str(attachment["data_url"]).rpartition("/")[2]


def test_a_photo_arrives_with_its_text(house: House, shelf: Shelf) -> None:
    house.customer_writes("my cat", attachments=(CAT,))
    house.drain()
    assert shown(house) == [("my cat", ["cat.png"])]
    [blob] = house.chatwoot.store.blobs.values()
    assert (blob.content_type, blob.size) == ("image/png", len(PNG))
    assert list(house.deliveries.scratch.path.iterdir()) == []


def test_a_photo_without_a_word_arrives(house: House, shelf: Shelf) -> None:
    house.customer_writes("", number=1, attachments=(CAT,))
    house.drain()
    assert shown(house) == [("", ["cat.png"])]


def test_a_reply_with_a_photo_is_threaded(house: House, shelf: Shelf) -> None:
    house.customer_writes("first", number=1)
    house.drain()
    house.customer_writes("second", reply_to="1", attachments=(CAT,))
    house.drain()
    first, second = house.chatwoot.messages(1)
    assert second["content_attributes"]["in_reply_to"] == first["id"]
    assert second["attachments"]


def test_a_file_that_is_gone_is_said_to_be(house: House, shelf: Shelf) -> None:
    gone = Attachment("2", "dog.jpg", "image/jpeg")
    house.customer_writes("two", attachments=(CAT, gone))
    house.drain()
    words = "two\n[dog.jpg could not be fetched: the file is gone]"
    assert shown(house) == [(words, ["cat.png"])]


def test_a_fault_of_the_adapter_costs_the_file_only(house: House, shelf: Shelf) -> None:
    shelf.errors = [KeyError("oops")]
    house.customer_writes("look", attachments=(CAT,))
    house.drain()
    [(text, files)] = shown(house)
    assert files == []
    assert text.startswith("look\n[cat.png could not be fetched: the gateway has a fault")


@pytest.mark.parametrize("told", [10_000_000_000, None])
def test_a_file_too_large_is_not_posted(house: House, shelf: Shelf, told: int | None) -> None:
    class Endless(bytes):
        def __getitem__(self, _: object) -> bytes:  # type: ignore[override]
            return bytes(30 * 1024 * 1024)

    shelf.files["1"] = Endless()
    film = Attachment("1", "film.mp4", "video/mp4", told)
    house.customer_writes("look", attachments=(film,))
    house.drain()
    assert shown(house) == [("look\n[film.mp4 could not be fetched: larger than 40 MB]", [])]
    assert bool(shelf.opened) is (told is None)


def test_a_passing_trouble_is_waited_for_and_does_not_blame_chatwoot(
    house: House, shelf: Shelf
) -> None:
    shelf.errors = [Unreachable("nobody there")]
    house.customer_writes("look", attachments=(CAT,))
    house.drain()
    assert house.chatwoot.conversations() == [] or shown(house) == []
    assert not house.store.hget("gw:gate:chatwoot/main", "failures")
    house.drain_until(lambda: house.count("delivered_in"))
    assert shown(house) == [("look", ["cat.png"])]


def test_a_lasting_trouble_does_not_hold_the_message_up(house: House, shelf: Shelf) -> None:
    shelf.errors = [ServerTrouble("busy")] * 10
    house.customer_writes("look", attachments=(CAT,))
    house.customer_writes("are you there?")
    house.drain_until(lambda: house.count("delivered_in") == 2)
    assert shown(house) == [
        ("look\n[cat.png could not be fetched: busy]", []),
        ("are you there?", []),
    ]


def test_more_files_than_a_message_takes_follow_in_another(house: House, shelf: Shelf) -> None:
    many = tuple(Attachment("1", f"{n}.png", "image/png") for n in range(20))
    house.customer_writes("all my cats", number=1, attachments=many)
    house.drain()
    (first, files), (second, more) = shown(house)
    assert (first, len(files)) == ("all my cats", 15)
    assert (second, len(more)) == ("(files 16 to 20 of 20, continued)", 5)
    sources = [message["source_id"] for message in house.chatwoot.messages(1)]
    assert sources == ["gw:cards:1", "gw:cards:1~share2"]


def test_what_was_posted_is_not_posted_again_when_the_rest_fails(
    house: House, shelf: Shelf
) -> None:
    house.customer_writes("before")
    house.drain()
    many = tuple(Attachment("1", f"{n}.png", "image/png") for n in range(20))
    shelf.errors = [*[None] * 15, ServerTrouble("busy")]
    house.customer_writes("all my cats", number=1, attachments=many)
    house.drain_until(lambda: house.count("delivered_in") == 2)
    assert [len(files) for _, files in shown(house)] == [0, 15, 5]


def test_an_answer_lost_after_the_effect_makes_no_double(house: House, shelf: Shelf) -> None:
    house.customer_writes("first")
    house.drain()
    house.chatwoot.fault("lose", method="POST", path=MESSAGES)
    house.chatwoot.fault("drop", method="GET", path=MESSAGES)
    house.customer_writes("second", attachments=(CAT,))
    house.drain_until(lambda: house.count("delivered_in") == 2)
    assert house.count("uncertain") == 1
    assert shown(house) == [("first", []), ("second", ["cat.png"])]


def test_an_upload_that_always_breaks_off_does_not_hold_its_lane_up_for_ever(
    house: House, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = Chatwoot.create_message

    def behind_a_limit(self: Chatwoot, conversation: int, text: str, **more: Any) -> Message:
        if more.get("files"):
            raise Unknown("The connection was broken off")
        return post(self, conversation, text, **more)

    monkeypatch.setattr(Chatwoot, "create_message", behind_a_limit)
    house.customer_writes("first")
    house.drain()
    house.customer_writes("my cat", attachments=(CAT,))
    house.customer_writes("after it")
    for number in range(REFUSALS + 1):
        house.customer_writes(f"other {number}", peer="p2")
        house.drain(threads=1)
        house.make_due()
    house.drain(threads=1)
    assert shown(house) == [("first", []), ("after it", [])]
    [letter] = house.dead.list()
    assert letter.id == "i:cards:my cat"
    assert any("could not be shown here" in note for note in house.notes())


def test_an_upload_that_breaks_off_while_chatwoot_is_away_is_not_refused(
    house: House, shelf: Shelf
) -> None:
    house.customer_writes("first")
    house.drain()
    house.chatwoot.fault("drop", times=None)
    house.customer_writes("my cat", attachments=(CAT,))
    for _ in range(REFUSALS + 1):
        house.drain()
        house.make_due()
    house.chatwoot.clear_faults()
    house.drain_until(lambda: house.count("delivered_in") == 2)
    assert shown(house) == [("first", []), ("my cat", ["cat.png"])]
    assert list(house.dead.list()) == []


def test_what_the_server_before_chatwoot_refuses_arrives_without_the_file(
    house: House, shelf: Shelf
) -> None:
    house.customer_writes("first")
    house.drain()
    house.chatwoot.fault("status", method="POST", path=MESSAGES, status=413)
    house.customer_writes("second", attachments=(CAT,))
    house.drain()
    [_, (text, files)] = shown(house)
    assert files == []
    assert text.startswith("second\n[cat.png could not be fetched: more than")


def test_a_bad_name_is_mended(house: House, shelf: Shelf) -> None:
    house.customer_writes("x", attachments=(Attachment("1", '../../a"b\r\nX: y.png', "image/png"),))
    house.drain()
    assert shown(house) == [("x", ["a_b__X_%20y.png"])]


def test_files_do_not_fill_the_memory(house: House, shelf: Shelf) -> None:
    """A form is read from the disk block by block."""

    with house.deliveries.scratch.room() as room:
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


def long_text(house: House, **more: Any) -> str:
    """A text that no message of Chatwoot can hold; the customer writes it."""
    text = "".join(f"{n} šťö 漢 😀\n" for n in range(20_000))
    house.customer_writes(text, number=1, **more)
    return text


def stored(house: House, name: str) -> str:
    [blob] = [each for each in house.chatwoot.store.blobs.values() if each.name == name]
    return base64.b64decode(blob.data).decode()


def test_a_text_longer_than_a_message_is_continued_in_a_file(house: House) -> None:
    text = long_text(house)
    house.drain()
    [(content, files)] = shown(house)
    assert len(content) == LONGEST_CONTENT
    assert content.endswith(CONTINUED)
    assert text.startswith(content.removesuffix(CONTINUED))
    assert files == ["message.txt"]
    assert stored(house, "message.txt") == text
    assert list(house.deliveries.scratch.path.iterdir()) == []


def test_chatwoots_longest_message_fits_into_a_webhook(house: House) -> None:
    house.customer_writes("<" * LONGEST_CONTENT)
    house.drain()
    [message] = house.chatwoot.messages(1)
    told = json.dumps(webhook(house.chatwoot, 1, message["id"], "message_created"))
    told = told.replace("<", r"\u003c")  # as Rails writes it
    assert told.count(r"\u003c") >= 3 * LONGEST_CONTENT
    assert len(told) < GatewaySettings.model_fields["body_limit"].default


def test_a_text_as_long_as_a_message_needs_no_file(house: House) -> None:
    house.customer_writes("x" * LONGEST_CONTENT, number=1)
    house.drain()
    assert shown(house) == [("x" * LONGEST_CONTENT, [])]


def test_the_file_of_a_long_text_is_one_of_fifteen(house: House, shelf: Shelf) -> None:
    text = long_text(
        house, attachments=tuple(Attachment("1", f"{n}.png", "image/png") for n in range(15))
    )
    house.drain()
    (first, files), (second, more) = shown(house)
    assert first.endswith(CONTINUED)
    assert files == ["message.txt", *(f"{n}.png" for n in range(14))]
    assert (second, more) == ("(file 15 of 15, continued)", ["14.png"])
    assert stored(house, "message.txt") == text


def test_room_is_kept_for_the_file_of_a_text_that_a_quoted_line_makes_too_long(
    house: House, shelf: Shelf
) -> None:
    many = tuple(Attachment("1", f"{n}.png", "image/png") for n in range(15))
    house.customer_writes("x" * LONGEST_CONTENT, number=1, attachments=many, quoted="that")
    house.drain()
    assert [len(files) for _, files in shown(house)] == [15, 1]


def test_what_is_said_of_a_file_is_not_cut_off_a_long_text(house: House, shelf: Shelf) -> None:
    gone = tuple(Attachment("2", f"{n}.png", "image/png") for n in range(15))
    text = "x" * (LONGEST_CONTENT - 10)
    house.customer_writes(text, number=1, attachments=gone)
    house.drain()
    [(content, files)] = shown(house)
    assert len(content) == LONGEST_CONTENT
    assert content.endswith("[14.png could not be fetched: the file is gone]")
    assert CONTINUED in content
    assert files == ["message.txt"]
    assert stored(house, "message.txt") == text


def test_a_long_text_whose_answer_was_lost_is_there_once(house: House) -> None:
    house.customer_writes("first")
    house.drain()
    house.chatwoot.fault("lose", method="POST", path=MESSAGES)
    text = long_text(house)
    house.drain_until(lambda: house.count("delivered_in") == 2)
    [_, (content, files)] = shown(house)
    assert content.endswith(CONTINUED)
    assert files == ["message.txt"]
    assert stored(house, "message.txt") == text


def test_where_no_file_is_taken_a_long_text_is_cut(house: House, shelf: Shelf) -> None:
    house.customer_writes("first")
    house.drain()
    house.chatwoot.fault("status", method="POST", path=MESSAGES, status=413, times=2)
    long_text(house, attachments=(CAT,))
    house.drain()
    [_, (content, files)] = shown(house)
    assert len(content) == LONGEST_CONTENT
    assert CUT_NOTE in content
    assert "[cat.png could not be fetched: more than" in content
    assert files == []


def test_a_message_that_is_too_much_even_without_files_is_given_up(
    house: House, shelf: Shelf
) -> None:
    house.customer_writes("first")
    house.drain()
    house.chatwoot.fault("status", method="POST", path=MESSAGES, status=413, times=2)
    house.customer_writes("second", attachments=(CAT,))
    house.drain()
    [letter] = house.dead.list()
    assert letter.reason == "more than the server before Chatwoot takes"
    assert letter.reason in house.notes()[0]
