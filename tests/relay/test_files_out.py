"""Agents' files out: with the text where it fits, as links where the network does not take them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.errors import Permanent, Retry
from gateway.lanes import keys
from gateway.model import FileLimits, Part, Sent
from sandbox.chatwoot import Upload
from tests.relay.env import Env, Postcards

PNG = b"\x89PNG" + bytes(500)
CAT = Upload("cat.png", "image/png", PNG)
DOG = Upload("dog.jpg", "image/jpeg", PNG * 2)
LARGE = Upload("film.mp4", "video/mp4", bytes(5000))


class Parcels:
    """What the network got of each part: its text, and the files' names, types and bytes."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.files: list[list[tuple[str, str, bytes]]] = []
        self.errors: list[Exception | None] = []

    @property
    def texts(self) -> list[str]:
        return [part.text for part in self.parts]

    @property
    def names(self) -> list[list[str]]:
        return [[name for name, _, _ in files] for files in self.files]

    def send(self, part: Part) -> Sent:
        if self.errors and (error := self.errors.pop(0)):
            raise error
        self.parts.append(part)
        self.files.append(
            [(file.name, file.content_type, file.path.read_bytes()) for file in part.files]
        )
        return Sent(f"parcel-{part.id}")


@pytest.fixture
def parcels(env: Env, monkeypatch: pytest.MonkeyPatch) -> Parcels:
    parcels = Parcels()
    monkeypatch.setattr(env.network, "send", parcels.send)
    env.customer_writes("hello")
    env.drain()
    return parcels


Takes = Callable[[FileLimits | None], None]


@pytest.fixture
def takes(monkeypatch: pytest.MonkeyPatch) -> Takes:
    def set_to(limits: FileLimits | None) -> None:
        able = replace(Postcards.capabilities, files=limits, text_limit=500)
        monkeypatch.setattr(Postcards, "capabilities", able)

    return set_to


def writes(env: Env, text: str | None, *files: Upload) -> int:
    number = env.chatwoot.agent_reply(1, text, attachments=files)
    env.told(number)
    env.drain()
    return number


def link(env: Env, message: int, n: int = 0) -> str:
    return str(env.shown(message)["attachments"][n]["data_url"])


def left_behind(env: Env) -> list[Path]:
    return list(env.deliveries.scratch.path.iterdir())


def test_a_file_goes_with_its_text_and_is_gone_afterwards(
    env: Env, parcels: Parcels, takes: Takes
) -> None:
    takes(FileLimits(largest=4000, caption=100))
    number = writes(env, "look", CAT)
    assert parcels.texts == ["look"]
    assert parcels.files == [[("cat.png", "image/png", PNG)]]
    assert not parcels.parts[0].files[0].path.exists()
    assert left_behind(env) == []
    assert env.shown(number)["status"] == "sent"


def test_a_file_alone_is_a_message(env: Env, parcels: Parcels, takes: Takes) -> None:
    takes(FileLimits(largest=4000, caption=100))
    writes(env, None, CAT)
    assert (parcels.texts, parcels.names) == ([""], [["cat.png"]])


def test_a_text_too_long_for_a_caption_goes_first(env: Env, parcels: Parcels, takes: Takes) -> None:
    takes(FileLimits(largest=4000, caption=10))
    writes(env, "longer than a caption", CAT, DOG)
    assert parcels.texts == ["longer than a caption", "", ""]
    assert parcels.names == [[], ["cat.png"], ["dog.jpg"]]
    assert [(part.number, part.total) for part in parcels.parts] == [(1, 3), (2, 3), (3, 3)]


def test_files_go_in_groups(env: Env, parcels: Parcels, takes: Takes) -> None:
    takes(FileLimits(largest=4000, per_part=10))
    files = [Upload(f"{n}.png", "image/png", PNG) for n in range(15)]
    writes(env, "look", *files)
    assert parcels.texts == ["look", ""]
    assert [len(names) for names in parcels.names] == [10, 5]


def test_what_the_network_does_not_take_goes_as_a_link(
    env: Env, parcels: Parcels, takes: Takes
) -> None:
    takes(FileLimits(largest=4000, types=frozenset({"image", "video/mp4"})))
    table = Upload("table.csv", "text/csv", b"a,b")
    number = writes(env, "look", CAT, LARGE, table)
    film, csv = link(env, number, 1), link(env, number, 2)
    assert parcels.texts == [f"look\nfilm.mp4: {film}\ntable.csv: {csv}"]
    assert parcels.names == [["cat.png"]]


def test_a_channel_of_text_only_gets_links_and_nothing_is_fetched(
    env: Env, parcels: Parcels, takes: Takes
) -> None:
    takes(None)
    number = writes(env, None, CAT)
    assert parcels.texts == [f"cat.png: {link(env, number)}"]
    assert not [path for _, path in env.chatwoot.requests if "active_storage" in path]
    assert env.notes() == []


def test_a_larger_file_than_the_gateway_fetches_goes_as_a_link(
    env: Env, parcels: Parcels, takes: Takes
) -> None:
    takes(FileLimits(largest=400))
    writes(env, "look", CAT)
    assert parcels.names == [[]]
    assert parcels.texts[0].startswith("look\ncat.png: http")


def test_a_late_file_is_waited_for(env: Env, parcels: Parcels, takes: Takes) -> None:
    takes(FileLimits(largest=4000, caption=100))
    env.chatwoot.delay_files(0.5)
    began = time.monotonic()
    writes(env, "look", CAT)
    assert parcels.parts == []
    env.drain_until(lambda: parcels.parts)
    assert time.monotonic() - began >= 0.4
    assert parcels.files == [[("cat.png", "image/png", PNG)]]
    assert env.store.hget(keys.gate("channel/cards"), "state") in {None, "open"}


def test_a_file_that_never_comes_fails_the_reply(
    env: Env, parcels: Parcels, takes: Takes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.relay.to_network.files.LATE_SECONDS", 0.0)
    takes(FileLimits(largest=4000, caption=100))
    env.chatwoot.delay_files(1000)
    number = writes(env, "look", CAT)
    env.drain_until(lambda: env.shown(number)["status"] == "failed")
    told = env.shown(number)["content_attributes"]["external_error"]
    assert told == "Chatwoot does not deliver cat.png"
    assert left_behind(env) == []


def test_only_what_is_not_done_is_fetched_again(env: Env, parcels: Parcels, takes: Takes) -> None:
    takes(FileLimits(largest=4000, caption=100))
    parcels.errors = [None, Retry("busy")]
    writes(env, "look", CAT, DOG)
    assert parcels.names == [["cat.png"]]
    fetched: list[str] = []
    fetch = env.deliveries.downloads["main"].fetch

    def noted(file: object, *rest: object) -> object:
        fetched.append(file.name)  # type: ignore[attr-defined]
        return fetch(file, *rest)  # type: ignore[arg-type]

    env.deliveries.downloads["main"].fetch = noted  # type: ignore[method-assign,assignment]
    env.drain_until(lambda: len(parcels.parts) == 2)
    assert (parcels.names, fetched) == ([["cat.png"], ["dog.jpg"]], ["dog.jpg"])


def test_the_disk_is_clean_after_a_refusal(env: Env, parcels: Parcels, takes: Takes) -> None:
    takes(FileLimits(largest=4000))
    parcels.errors = [Permanent("No pictures today")]
    number = writes(env, "look", CAT)
    assert env.shown(number)["status"] == "failed"
    assert left_behind(env) == []


def test_a_reply_deleted_while_its_file_was_fetched_is_not_sent(
    env: Env, parcels: Parcels, takes: Takes, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes(FileLimits(largest=4000))
    media = env.deliveries.downloads["main"]
    fetch = media.fetch

    def deleted_meanwhile(*args: object) -> object:
        file = fetch(*args)  # type: ignore[arg-type]
        env.chatwoot.agent_delete(number)
        env.told(number, event="message_updated")
        return file

    monkeypatch.setattr(media, "fetch", deleted_meanwhile)
    number = env.chatwoot.agent_reply(1, "oops", attachments=[CAT])
    env.told(number)
    env.drain()
    assert parcels.parts == []
