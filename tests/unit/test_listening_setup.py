"""`setup`, `doctor` and what watches the gateway, where it listens to Chatwoot's event stream."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from gateway.chatwoot import cable
from gateway.config import ConfigError, load
from gateway.lanes import keys
from gateway.observability import event_streams
from gateway.observability.channel_states import ChannelNotes
from gateway.observability.event_streams import StreamNotes, read_streams
from gateway.observability.heartbeat import ROLES, Heartbeat
from gateway.observability.metrics import GatewayCollector, exposition
from gateway.storage.connections import connect
from sandbox.faults import Kind
from tests.unit.setup_kit import World, small_world


@pytest.fixture
def world(
    tmp_path: Path,
    redis_url: str,
    store: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[World]:
    """Nothing is set up yet."""
    with small_world(tmp_path, redis_url, monkeypatch, capsys) as built:
        built.write(events="websocket")
        for role in ROLES:
            Heartbeat(store, role).beat()
        for name in ("bot", "sms", "post"):
            ChannelNotes(store, name).connected()
        built.twilio.sms_url = f"{built.gateway.url}/channels/sms/webhook"
        yield built


def test_setup_enters_no_webhook_anywhere(world: World) -> None:
    status, said = world.run("setup")
    assert status == 0, said
    assert "takes our token" in said
    assert "SIGNING_SECRET" not in said
    with world.chatwoot.store.reading():
        assert [inbox.webhook_url for inbox in world.chatwoot.store.inboxes] == ["", "", ""]
        assert list(world.chatwoot.store.webhooks) == []
    world.write(bot=1, sms=2, post=3)
    assert "Nothing to change." in world.run("setup")[1]


def test_setup_takes_our_own_webhook_out_and_leaves_others_alone(world: World) -> None:
    world.write(events="webhook")
    world.run("setup")
    world.chatwoot.set_webhook(2, "https://elsewhere.example/hook")
    world.write(events="websocket", bot=1, sms=2, post=3)
    assert world.examined()["channels.bot", "webhook"]["verdict"] == "note"
    assert world.run("setup")[0] == 0
    with world.chatwoot.store.reading():
        addresses = [inbox.webhook_url for inbox in world.chatwoot.store.inboxes]
    assert addresses == ["", "https://elsewhere.example/hook", ""]
    assert world.examined()["channels.bot", "webhook"]["verdict"] == "good"


def test_doctor_is_green_while_the_clock_listens(world: World, store: redis.Redis) -> None:
    world.run("setup")
    world.write(bot=1, sms=2, post=3)
    assert world.examined()["chatwoot.main", "listening"]["verdict"] == "note"
    StreamNotes(store, "main").connected()
    found = world.examined()
    assert {line: f for line, f in found.items() if f["verdict"] != "good"} == {}
    assert ("chatwoot.main", "contact webhook") not in found
    assert found["chatwoot.main", "event stream"]["text"].endswith("takes our token")
    heard = found["chatwoot.main", "listening"]["text"]
    assert re.fullmatch(r"the clock has listened for \d+ s", heard)


def test_doctor_says_why_nobody_listens(world: World, store: redis.Redis) -> None:
    world.run("setup")
    world.write(bot=1, sms=2, post=3)
    StreamNotes(store, "main").broken("the cat sits on the cable")
    assert world.red() == {("chatwoot.main", "listening")}
    assert "the cat sits" in world.examined()["chatwoot.main", "listening"]["text"]


def test_doctor_names_a_web_server_that_passes_no_websockets_on(
    world: World, store: redis.Redis
) -> None:
    world.run("setup")
    world.write(bot=1, sms=2, post=3)
    StreamNotes(store, "main").connected()
    world.chatwoot.fault(Kind.STATUS, path="/cable", status=403, times=2)
    assert world.red() == {("chatwoot.main", "event stream")}
    found = world.examined()["chatwoot.main", "event stream"]
    assert "refused with status 403" in found["text"]
    assert "pass on WebSockets at /cable" in found["cure"]


def test_doctor_names_a_token_that_is_not_confirmed(
    world: World, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run("setup")
    world.write(bot=1, sms=2, post=3)
    StreamNotes(store, "main").connected()
    monkeypatch.setattr(cable, "CONFIRMED_WITHIN", 0.3)
    monkeypatch.setattr(world.chatwoot.cable, "subscription_for", lambda identifier: None)
    assert world.red() == {("chatwoot.main", "event stream")}


LISTENING = """\
[gateway]
secret = "a long enough secret for the tests"
[chatwoot.main]
url = "https://chat.example.org"
account = 1
token = "a-token"
events = "{events}"
[channels.bot]
adapter = "telegram"
inbox = 1
token = "1:abc"
mode = "{mode}"
"""


def read(folder: Path, **values: str) -> str:
    """What is wrong with the settings; empty if nothing is."""
    file = folder / "channels.toml"
    file.write_text(LISTENING.format_map(values))
    try:
        load(file, {})
    except ConfigError as error:
        [problem] = error.problems
        return f"{problem.key}: {problem.wrong}. {problem.cure}"
    return ""


def test_whom_nobody_calls_needs_no_public_address(tmp_path: Path) -> None:
    assert read(tmp_path, events="websocket", mode="polling") == ""


def test_who_is_called_by_chatwoot_needs_a_public_address(tmp_path: Path) -> None:
    said = read(tmp_path, events="webhook", mode="polling")
    assert said.startswith("gateway.public_url: is missing")
    assert '[chatwoot.main] has events = "websocket"' in said


def test_who_is_called_by_a_network_needs_a_public_address(tmp_path: Path) -> None:
    said = read(tmp_path, events="websocket", mode="webhook")
    assert said.startswith("gateway.public_url: is missing")
    assert "[channels.bot]" in said
    assert "chatwoot.main" not in said


def test_what_is_noted_of_a_stream(store: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = StreamNotes(store, "main")
    assert read_streams(store) == {}
    notes.connected()
    state = read_streams(store)["main"]
    assert state.connected
    assert state.last_frame is not None and state.last_frame < 5
    notes.broken("first")
    since = json.loads(str(store.hget(keys.EVENT_STREAMS, "main")))["since"]
    notes.broken("second")
    again = json.loads(str(store.hget(keys.EVENT_STREAMS, "main")))
    assert (again["since"], again["why"], again["connected"]) == (since, "second", False)
    assert again["last_frame"] is not None


def test_a_clock_that_was_killed_is_not_listening(store: redis.Redis) -> None:
    StreamNotes(store, "main").connected()
    noted = json.loads(str(store.hget(keys.EVENT_STREAMS, "main")))
    noted["last_frame"] -= event_streams.FRESH + 5
    store.hset(keys.EVENT_STREAMS, "main", json.dumps(noted))
    state = read_streams(store)["main"]
    assert not state.connected
    assert "gone silent" in state.why


def test_an_account_that_is_told_of_by_webhooks_again_is_forgotten(store: redis.Redis) -> None:
    StreamNotes(store, "main").broken("why")
    noted = json.loads(str(store.hget(keys.EVENT_STREAMS, "main")))
    noted["at"] -= event_streams.FORGOTTEN_AFTER + 5
    store.hset(keys.EVENT_STREAMS, "main", json.dumps(noted))
    assert read_streams(store) == {}


def test_frames_are_noted_once_a_second_at_most(
    store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes, now = StreamNotes(store, "main"), time.monotonic
    notes.connected()
    before = store.hget(keys.EVENT_STREAMS, "main")
    notes.frame()
    assert store.hget(keys.EVENT_STREAMS, "main") == before
    monkeypatch.setattr(time, "monotonic", lambda: now() + event_streams.NOTED_EVERY)
    notes.frame()
    assert store.hget(keys.EVENT_STREAMS, "main") != before


def test_a_redis_that_is_away_does_not_end_listening() -> None:
    notes = StreamNotes(connect("redis://127.0.0.1:1/0", connections=1, retries=0), "main")
    notes.connected()
    notes.frame()
    notes.broken("why")


def test_metrics_tell_of_streams(store: redis.Redis) -> None:
    StreamNotes(store, "main").connected()
    StreamNotes(store, "other").broken("why")
    lines = exposition(GatewayCollector(store, ["shop"])).decode().splitlines()
    assert 'gateway_event_stream_connected{account="main"} 1.0' in lines
    assert 'gateway_event_stream_connected{account="other"} 0.0' in lines
    [age] = [line for line in lines if line.startswith("gateway_event_stream_frame_age_seconds{")]
    assert 'account="main"' in age
