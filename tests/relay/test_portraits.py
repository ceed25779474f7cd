"""Customers' own pictures beside their names, without a message that waits for them."""

from __future__ import annotations

import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from gateway.chatwoot.client import Chatwoot
from gateway.errors import Permanent, Unreachable
from gateway.lanes import ids
from gateway.model import Attachment, Portrait
from gateway.relay.background import MOST, Aside
from gateway.relay.to_chatwoot.avatars import EVERY
from sandbox.chatwoot.contacts import update_contact
from sandbox.chatwoot.records import Upload
from tests.relay.house import House, Postcards

LANE = ids.inbound_lane("cards", "p1")
JPEG, OTHER, CHOSEN = (b"\xff\xd8\xff" + bytes([n]) * 500 for n in range(3))


class Faces(Postcards):
    """A network whose people show themselves."""

    pictures: dict[str, bytes]
    content_type = "image/jpeg"
    asked: list[str]
    trouble: list[Exception]

    def portrait(self, peer: str) -> Portrait | None:
        self.asked.append(peer)
        if self.trouble:
            raise self.trouble.pop(0)
        if peer not in self.pictures:
            return None
        version = str(hash(self.pictures[peer]))
        return Portrait(version, Attachment(peer, "face", self.content_type))

    def open(self, attachment: Attachment) -> Iterator[bytes]:
        yield self.pictures[attachment.id]


@pytest.fixture
def faces(house: House, monkeypatch: pytest.MonkeyPatch) -> Faces:
    monkeypatch.setattr(house.network, "__class__", Faces)
    network = cast(Faces, house.network)
    network.pictures, network.asked, network.trouble = {"p1": JPEG}, [], []
    return network


def wait(found: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not found():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)


def writes(house: House, text: str) -> None:
    house.customer_writes(text)
    house.drain()
    wait(lambda: house.deliveries.aside.idle)


def a_day_later(house: House) -> None:
    house.store.hset(f"gw:route:{LANE}", "portrait", f"{asked_at(house) - EVERY - 60:.0f}")


def asked_at(house: House, peer: str = "p1") -> float:
    return float(house.lanes.recall(ids.inbound_lane("cards", peer), "portrait") or 0)


def shown(house: House) -> bytes | None:
    """The picture that agents see with the customer."""
    store = house.chatwoot.store
    with store.reading():
        [contact] = store.contacts
        return None if contact.avatar is None else b64decode(store.blobs[contact.avatar].data)


def agent_chooses(house: House, picture: bytes | None) -> None:
    store = house.chatwoot.store
    with store.changing():
        [contact] = store.contacts
        if picture is None:
            contact.avatar = None
        else:
            update_contact(store, contact, {"avatar": Upload("me.jpg", "image/jpeg", picture)})


def requests(house: House) -> int:
    return house.chatwoot.requests.total()


def test_who_writes_first_is_shown_with_their_picture(house: House, faces: Faces) -> None:
    writes(house, "hello")
    assert shown(house) == JPEG


def test_it_is_looked_for_once_a_day_and_costs_no_call_if_it_is_the_same(
    house: House, faces: Faces
) -> None:
    writes(house, "one")
    before = requests(house)
    for text in ("two", "three"):
        writes(house, text)
    assert faces.asked == ["p1"]
    a_day_later(house)
    writes(house, "four")
    assert faces.asked == ["p1", "p1"]
    assert requests(house) - before == 3, "one for each message"


def test_a_changed_picture_replaces_ours(house: House, faces: Faces) -> None:
    writes(house, "one")
    faces.pictures["p1"] = OTHER
    a_day_later(house)
    writes(house, "two")
    assert shown(house) == OTHER


def test_a_picture_that_an_agent_chose_stays(house: House, faces: Faces) -> None:
    writes(house, "one")
    agent_chooses(house, CHOSEN)
    faces.pictures["p1"] = OTHER
    a_day_later(house)
    writes(house, "two")
    assert shown(house) == CHOSEN


def test_a_picture_that_an_agent_took_away_does_not_come_back(house: House, faces: Faces) -> None:
    writes(house, "one")
    agent_chooses(house, None)
    a_day_later(house)
    writes(house, "two")
    assert shown(house) is None


def test_a_picture_that_an_agent_chose_before_stays(house: House, faces: Faces) -> None:
    del faces.pictures["p1"]
    writes(house, "one")
    agent_chooses(house, CHOSEN)
    faces.pictures["p1"] = JPEG
    a_day_later(house)
    writes(house, "two")
    assert shown(house) == CHOSEN


@pytest.mark.parametrize(
    "trouble", [Unreachable("away"), Permanent("gone"), ValueError("secret"), KeyError("x")]
)
def test_trouble_harms_no_message_and_is_left_for_the_next_day(
    house: House, faces: Faces, trouble: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    faces.trouble = [trouble]
    writes(house, "one")
    writes(house, "two")
    assert house.incoming() == ["one", "two"]
    assert (shown(house), faces.asked) == (None, ["p1"])
    assert [record.message for record in caplog.records].count("portrait_not_shown") == 1
    a_day_later(house)
    writes(house, "three")
    assert shown(house) == JPEG


def test_trouble_of_chatwoots_with_it_harms_nothing(house: House, faces: Faces) -> None:
    house.chatwoot.fault("status", status=500, method="PUT", path="*/contacts/*")
    writes(house, "one")
    assert house.incoming() == ["one"]
    assert shown(house) is None
    assert [g for g in house.lanes.backlog().gates if g.state != "open"] == []


@pytest.mark.parametrize(
    ("content_type", "picture"),
    [("image/webp", JPEG), ("image/jpeg", b"\xff\xd8\xff" + bytes(15 * 1024 * 1024))],
)
def test_what_chatwoot_does_not_take_is_not_tried_again(
    house: House,
    faces: Faces,
    content_type: str,
    picture: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Faces, "content_type", content_type)
    faces.pictures["p1"] = picture
    writes(house, "one")
    a_day_later(house)
    before = requests(house)
    writes(house, "two")
    assert shown(house) is None
    assert requests(house) - before == 1
    assert not house.chatwoot.requests["PUT", "/api/v1/accounts/{account}/contacts/{contact}"]


def test_no_message_waits_for_a_network_that_hangs(
    house: House, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(Faces, "portrait", lambda *_: go_on.wait(30) and None)
    for number in range(MOST + 5):
        house.customer_writes("hello", peer=f"p{number}", number=number)
    try:
        house.drain_until(lambda: len(house.incoming()) == MOST + 5)
        asked = [asked_at(house, f"p{n}") for n in range(MOST + 5)]
        assert asked.count(0) in {4, 5}, "those for whom there was no room are asked the next time"
    finally:
        go_on.set()


def test_a_channel_without_pictures_is_not_asked(house: House) -> None:
    writes(house, "hello")
    assert not asked_at(house)


def test_a_person_costs_no_call_more_before_the_message_is_there(
    house: House, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    put = Chatwoot.set_avatar

    def noted(self: Chatwoot, *given: Any) -> Any:
        seen.append(house.incoming())
        return put(self, *given)

    monkeypatch.setattr(Chatwoot, "set_avatar", noted)
    writes(house, "hello")
    assert seen == [["hello"]]


def test_a_piece_of_work_with_a_fault_is_not_the_last(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside, done = Aside(), threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    def fault() -> None:
        raise ZeroDivisionError

    assert aside.do(fault)
    wait(lambda: aside.idle)
    wait(lambda: aside.do(done.set) and done.wait(0.1))
    aside.close()
