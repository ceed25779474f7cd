"""No single thing stops a stream: what cannot be read is set aside, and a person may have it read
again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import pytest
import redis

from gateway.clock.channel_poller import ChannelPoller
from gateway.config import Channel
from gateway.errors import Permanent, Unreachable
from gateway.intake.limits import CUT, LONGEST_PEER, LONGEST_TEXT
from gateway.intake.reading import ATTEMPTS, KEPT, LARGEST, Reading
from gateway.intake.webhooks import as_unread
from gateway.lanes import keys
from gateway.lanes.set_aside import SetAside
from gateway.model import Batch, Inbound, Receipt, Unread, WebRequest
from gateway.runtime import Runtime
from gateway.setup.checks.set_aside import look_at_set_aside
from tests.relay.env import Env, Postcards
from tests.waiting import until


class Pile(Postcards):
    """Brings what lies on it, again and again until the cursor moves; reads as the content says."""

    pile: list[Any]
    polled: list[float]
    mended = False

    def poll(self, cursor: str | None) -> Batch:
        self.polled.append(time.monotonic())
        start = int(cursor or 0)
        return Batch(tuple(self.pile[start:]), str(len(self.pile)))

    def parse(self, request: WebRequest) -> Iterable[Inbound | Receipt | Unread]:
        if request.body == b"whole" and not self.mended:
            raise KeyError("whole")
        yield from self.pile

    def read(self, unread: Unread) -> Iterator[Inbound]:
        match unread.content:
            case "raises" if not self.mended:
                raise RecursionError("too deep")
            case "hangs":
                threading.Event().wait(20)
            case "network away" if not self.mended:
                raise Unreachable("nobody answered")
            case "refused":
                raise Permanent("the network refuses it")
        yield Inbound(unread.id, "ann", f"{unread.id} {unread.content[:20]}".strip())


@pytest.fixture
def pile(env: Env) -> Pile:
    channel = replace(env.channel, adapter=Pile)
    adapter = Pile(channel.config, env.settings.site(channel, Runtime()))
    adapter.errors, adapter.after, adapter.sent, adapter.polled = [], [], [], []
    return adapter


@contextmanager
def polling(env: Env, pile: Pile, *, patience: float = 20.0) -> Iterator[ChannelPoller]:
    stop = threading.Event()
    poller = ChannelPoller(channel_of(env), pile, env.store, env.intake, stop)
    poller._reading = Reading(env.store, patience=patience)
    thread = threading.Thread(target=poller.run)
    thread.start()
    try:
        yield poller
    finally:
        stop.set()
        thread.join()


def channel_of(env: Env) -> Channel:
    return replace(env.channel, adapter=Pile)


def things(*contents: str) -> list[Any]:
    return [Unread(str(number), content) for number, content in enumerate(contents)]


def set_aside(env: Env) -> dict[str, str]:
    return {letter.id: letter.reason for letter in env.dead.list()}


def shown(env: Env, number: int) -> list[str]:
    """Drain until so many messages are in Chatwoot."""
    env.drain_until(lambda: len(env.incoming()) >= number)
    return env.incoming()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("raises", "RecursionError"),
        ("hangs", "more than 0.5 s"),
        ("refused", "the network refuses it"),
        ("x" * (LARGEST + 1), "too large"),
    ],
    ids=["raises", "hangs", "refused", "large"],
)
def test_the_others_arrive(
    env: Env, pile: Pile, content: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    pile.pile = things("fine", content, "too")
    with polling(env, pile, patience=0.5):
        until(lambda: env.store.get(keys.cursor("cards")) == "3")
    assert shown(env, 2) == ["0 fine", "2 too"]
    [(name, why)] = set_aside(env).items()
    assert name == "u:cards:1"
    assert reason in why
    assert env.count("set_aside") == 1
    assert [r.message for r in caplog.records].count("set_aside") == 1
    assert len(cast(str, env.store.hget(keys.message(name), "body"))) < 2 * KEPT
    assert not env.store.exists(keys.reading("cards"))


def test_what_ends_the_process_is_passed_by_in_the_end(env: Env, pile: Pile) -> None:
    pile.pile = things("deadly", "fine")
    for _ in range(ATTEMPTS):  # as a process that is killed leaves it
        SetAside(env.store).begin("cards", "0")
    with polling(env, pile):
        until(lambda: env.store.get(keys.cursor("cards")) == "2")
    assert shown(env, 1) == ["1 fine"]
    assert f"{ATTEMPTS} times" in set_aside(env)["u:cards:0"]


def test_a_network_that_fails_in_the_middle_holds_up_nothing_before_it(
    env: Env, pile: Pile
) -> None:
    pile.pile = things("fine", "network away", "too")
    with polling(env, pile):
        assert shown(env, 1) == ["0 fine"]
        until(lambda: env.store.get(keys.cursor("cards")) == "3")
    assert len(pile.polled) >= ATTEMPTS
    assert shown(env, 2) == ["0 fine", "2 too"]
    assert set_aside(env) == {"u:cards:1": "nobody answered"}


@pytest.mark.parametrize("brought", [{"id": "1"}, None, Inbound("1", "p" * 2000, "x")])
def test_a_poll_that_brings_nonsense_goes_on(env: Env, pile: Pile, brought: Any) -> None:
    pile.pile = [Inbound("0", "ann", "fine"), brought, Inbound("2", "ann", "too")]
    with polling(env, pile):
        until(lambda: env.store.get(keys.cursor("cards")) == "3")
    assert shown(env, 2) == ["fine", "too"]
    assert len(set_aside(env)) == 1


def test_polls_that_bring_nothing_keep_a_second_between_them(env: Env, pile: Pile) -> None:
    pile.pile = []
    with polling(env, pile):
        until(lambda: len(pile.polled) == 4)
    gaps = [later - earlier for earlier, later in zip(pile.polled, pile.polled[1:], strict=False)]
    assert min(gaps) >= 0.9


def test_so_do_polls_that_bring_the_same_again(
    env: Env, pile: Pile, monkeypatch: pytest.MonkeyPatch
) -> None:
    pile.pile = things("fine")

    def stuck(self: Pile, cursor: str | None) -> Batch:
        self.polled.append(time.monotonic())
        return Batch(tuple(self.pile), "0")

    monkeypatch.setattr(Pile, "poll", stuck)
    with polling(env, pile):
        until(lambda: len(pile.polled) == 4)
    assert pile.polled[3] - pile.polled[1] >= 1.8


@pytest.mark.parametrize("cursor", [None, 7])
def test_a_cursor_is_a_text(cursor: Any) -> None:
    with pytest.raises(TypeError, match=r"Batch\.cursor must be a str"):
        Batch((), cursor)


def test_a_person_has_it_read_again(env: Env, pile: Pile, monkeypatch: pytest.MonkeyPatch) -> None:
    pile.pile = things("raises")
    with polling(env, pile):
        until(lambda: set_aside(env))
    monkeypatch.setattr(env.network, "__class__", Pile)
    assert env.dead.replay("u:cards:0")
    env.drain_until(lambda: "still cannot be read" in str(set_aside(env)))
    monkeypatch.setattr(Pile, "mended", True)
    assert env.dead.replay("u:cards:0")
    assert shown(env, 1) == ["0 raises"]
    assert set_aside(env) == {}


def test_an_absent_network_is_asked_again_for_what_is_replayed(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    Reading(env.store).keep(env.channel, Unread("1", "network away"), "nobody answered")
    monkeypatch.setattr(env.network, "__class__", Pile)
    assert env.dead.replay("u:cards:1")
    env.drain()
    assert set_aside(env) == {}
    monkeypatch.setattr(Pile, "mended", True)
    assert shown(env, 1) == ["1 network away"]


def test_a_whole_webhook_is_read_again(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    request = WebRequest("POST", "https://gw/x", {"secret": "hush"}, {}, {"a": "b"}, b"whole")
    kept = as_unread("f1", request)
    assert "hush" not in kept.content
    Reading(env.store).keep(env.channel, kept, "KeyError", kind="webhook")
    monkeypatch.setattr(env.network, "__class__", Pile)
    monkeypatch.setattr(Pile, "mended", True)
    cast(Pile, env.network).pile = [Inbound("1", "ann", "hello"), Unread("2", "too")]
    assert env.dead.replay("u:cards:webhook:f1")
    assert shown(env, 2) == ["hello", "2 too"]


def test_of_a_webhook_with_several_things_one_is_set_aside(env: Env, pile: Pile) -> None:
    items = list(Reading(env.store).read(channel_of(env), pile, things("fine", "raises", "too")))
    assert [item.text for item in items if isinstance(item, Inbound)] == ["0 fine", "2 too"]
    assert list(set_aside(env)) == ["u:cards:1"]
    assert not list(Reading(env.store).read(channel_of(env), pile, things("", "raises")[1:]))
    assert env.count("set_aside") == 1, "the same thing twice"


def test_a_text_that_is_too_long_is_cut_and_says_so(env: Env, pile: Pile) -> None:
    long = Inbound("1", "ann", "x" * (LONGEST_TEXT + 1))
    [read] = Reading(env.store).read(channel_of(env), pile, [long])
    assert isinstance(read, Inbound)
    assert read.text == "x" * LONGEST_TEXT + CUT
    with pytest.raises(Permanent):
        list(Reading(env.store).read(env.channel, pile, [replace(long, peer="p" * 1001)]))
    assert LONGEST_PEER == 1000


def test_doctor_names_what_was_set_aside(env: Env, pile: Pile, redis_url: str) -> None:
    assert not list(look_at_set_aside(env.channel, redis_url))
    list(Reading(env.store).read(channel_of(env), pile, things("raises", "refused")))
    [finding] = look_at_set_aside(env.channel, redis_url)
    assert finding.text.startswith("2 could not be read")
    assert "u:cards:0" in finding.text
    assert "u:cards:1: the network refuses it" in finding.text
    assert not list(look_at_set_aside(replace(env.channel, name="other"), redis_url))


def test_a_full_redis_sets_nothing_aside_and_loses_nothing(
    env: Env, pile: Pile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> bool:
        raise redis.OutOfMemoryError

    monkeypatch.setattr(SetAside, "keep", full)
    with pytest.raises(redis.OutOfMemoryError):
        list(Reading(env.store).read_counted(channel_of(env), pile, things("raises")))
