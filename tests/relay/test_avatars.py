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
from gateway.lanes import Backlog, Routes, ids, keys
from gateway.model import Attachment, Place, Portrait
from gateway.relay.background import MOST, Background
from gateway.relay.to_chatwoot.avatars import EVERY
from sandbox.chatwoot.contacts import update_contact
from sandbox.chatwoot.records import Upload
from tests.relay.env import Env, Postcards

LANE = ids.inbound_lane("cards", "p1")
JPEG, OTHER, CHOSEN = (b"\xff\xd8\xff" + bytes([n]) * 500 for n in range(3))


class Faces(Postcards):
    """A network whose people show themselves."""

    pictures: dict[str, bytes]
    content_type = "image/jpeg"
    asked: list[str]
    trouble: list[Exception]

    def portrait(self, place: Place) -> Portrait | None:
        peer = place.peer
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
def faces(env: Env, monkeypatch: pytest.MonkeyPatch) -> Faces:
    monkeypatch.setattr(env.network, "__class__", Faces)
    network = cast(Faces, env.network)
    network.pictures, network.asked, network.trouble = {"p1": JPEG}, [], []
    return network


def wait(found: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not found():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)


def writes(env: Env, text: str) -> None:
    env.customer_writes(text)
    env.drain()
    wait(lambda: env.deliveries.background.idle)


def a_day_later(env: Env) -> None:
    env.store.hset(keys.route(LANE), "avatar", f"{asked_at(env) - EVERY - 60:.0f}")


def asked_at(env: Env, peer: str = "p1") -> float:
    return float(Routes(env.store).get(ids.inbound_lane("cards", peer)).avatar or 0)


def shown(env: Env) -> bytes | None:
    """The picture that agents see with the customer."""
    store = env.chatwoot.store
    with store.reading():
        [contact] = store.contacts
        return None if contact.avatar is None else b64decode(store.blobs[contact.avatar].data)


def agent_chooses(env: Env, picture: bytes | None) -> None:
    store = env.chatwoot.store
    with store.changing():
        [contact] = store.contacts
        if picture is None:
            contact.avatar = None
        else:
            update_contact(store, contact, {"avatar": Upload("me.jpg", "image/jpeg", picture)})


def requests(env: Env) -> int:
    return env.chatwoot.requests.total()


def test_who_writes_first_is_shown_with_their_picture(env: Env, faces: Faces) -> None:
    writes(env, "hello")
    assert shown(env) == JPEG


def test_it_is_looked_for_once_a_day_and_costs_no_call_if_it_is_the_same(
    env: Env, faces: Faces
) -> None:
    writes(env, "one")
    before = requests(env)
    for text in ("two", "three"):
        writes(env, text)
    assert faces.asked == ["p1"]
    a_day_later(env)
    writes(env, "four")
    assert faces.asked == ["p1", "p1"]
    assert requests(env) - before == 3, "one for each message"


def test_a_changed_picture_replaces_ours(env: Env, faces: Faces) -> None:
    writes(env, "one")
    faces.pictures["p1"] = OTHER
    a_day_later(env)
    writes(env, "two")
    assert shown(env) == OTHER


def test_a_picture_that_an_agent_chose_stays(env: Env, faces: Faces) -> None:
    writes(env, "one")
    agent_chooses(env, CHOSEN)
    faces.pictures["p1"] = OTHER
    a_day_later(env)
    writes(env, "two")
    assert shown(env) == CHOSEN


def test_a_picture_that_an_agent_took_away_does_not_come_back(env: Env, faces: Faces) -> None:
    writes(env, "one")
    agent_chooses(env, None)
    a_day_later(env)
    writes(env, "two")
    assert shown(env) is None


def test_a_picture_that_an_agent_chose_before_stays(env: Env, faces: Faces) -> None:
    del faces.pictures["p1"]
    writes(env, "one")
    agent_chooses(env, CHOSEN)
    faces.pictures["p1"] = JPEG
    a_day_later(env)
    writes(env, "two")
    assert shown(env) == CHOSEN


@pytest.mark.parametrize(
    "trouble", [Unreachable("away"), Permanent("gone"), ValueError("secret"), KeyError("x")]
)
def test_trouble_harms_no_message_and_is_left_for_the_next_day(
    env: Env, faces: Faces, trouble: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    faces.trouble = [trouble]
    writes(env, "one")
    writes(env, "two")
    assert env.incoming() == ["one", "two"]
    assert (shown(env), faces.asked) == (None, ["p1"])
    assert [record.message for record in caplog.records].count("avatar_not_set") == 1
    a_day_later(env)
    writes(env, "three")
    assert shown(env) == JPEG


def test_trouble_of_chatwoots_with_it_harms_nothing(env: Env, faces: Faces) -> None:
    env.chatwoot.fault("status", status=500, method="PUT", path="*/contacts/*")
    writes(env, "one")
    assert env.incoming() == ["one"]
    assert shown(env) is None
    assert [g for g in Backlog(env.store).read().gates if g.state != "open"] == []


@pytest.mark.parametrize(
    ("content_type", "picture"),
    [("image/webp", JPEG), ("image/jpeg", b"\xff\xd8\xff" + bytes(15 * 1024 * 1024))],
)
def test_what_chatwoot_does_not_take_is_not_tried_again(
    env: Env,
    faces: Faces,
    content_type: str,
    picture: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Faces, "content_type", content_type)
    faces.pictures["p1"] = picture
    writes(env, "one")
    a_day_later(env)
    before = requests(env)
    writes(env, "two")
    assert shown(env) is None
    assert requests(env) - before == 1
    assert not env.chatwoot.requests["PUT", "/api/v1/accounts/{account}/contacts/{contact}"]


def test_no_message_waits_for_a_network_that_hangs(
    env: Env, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(Faces, "portrait", lambda *_: go_on.wait(30) and None)
    for number in range(MOST + 5):
        env.customer_writes("hello", peer=f"p{number}", number=number)
    try:
        env.drain_until(lambda: len(env.incoming()) == MOST + 5)
        asked = [asked_at(env, f"p{n}") for n in range(MOST + 5)]
        assert asked.count(0) in {4, 5}, "those for whom there was no room are asked the next time"
    finally:
        go_on.set()


def test_a_channel_without_pictures_is_not_asked(env: Env) -> None:
    writes(env, "hello")
    assert not asked_at(env)


def test_a_person_costs_no_call_more_before_the_message_is_there(
    env: Env, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    put = Chatwoot.set_avatar

    def noted(self: Chatwoot, *given: Any) -> Any:
        seen.append(env.incoming())
        return put(self, *given)

    monkeypatch.setattr(Chatwoot, "set_avatar", noted)
    writes(env, "hello")
    assert seen == [["hello"]]


def test_a_piece_of_work_with_a_fault_is_not_the_last(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    background, done = Background(), threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    def fault() -> None:
        raise ZeroDivisionError

    assert background.do(fault)
    wait(lambda: background.idle)
    wait(lambda: background.do(done.set) and done.wait(0.1))
    background.close()
