"""`python -m gateway doctor` against stand-ins: each fault turns its own line red, and no other."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from adapters.twilio import Twilio
from gateway.adapter import Adapter, Finding
from gateway.lanes import KeyValues, keys
from gateway.lanes.failed_calls import NotedCall, note_call
from gateway.observability.channel_states import ChannelNotes
from gateway.observability.heartbeat import ROLES, Heartbeat
from gateway.setup.checks import failed_calls
from gateway.setup.checks.known_bugs import known_bugs
from gateway.setup.checks.public_url import is_private
from gateway.setup.checks.redis import connections, memory, server_version
from gateway.setup.report import Output, ReportLine
from sandbox.chatwoot.contacts import create_contact
from sandbox.chatwoot.version import version_named
from sandbox.telegram.updates import Webhook
from tests.unit.setup_kit import World, small_world
from tests.waiting import until


@pytest.fixture
def world(
    tmp_path: Path,
    store: redis.Redis,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[World]:
    """Everything was set up, runs, and is well."""
    with small_world(tmp_path, redis_url, monkeypatch, capsys) as built:
        assert built.run("setup")[0] == 0
        built.finish()
        for role in ROLES:
            Heartbeat(store, role).beat()
        for name in ("bot", "sms", "post"):
            ChannelNotes(store, name).connected()
        yield built


def test_an_adapter_that_breaks_down_is_a_line_like_any_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Adapter) -> Any:
        return {}[world.values["auth_token"]]

    monkeypatch.setattr(Twilio, "check", broken)
    assert world.red() == {("channels.sms", "network")}
    found = world.examined()["channels.sms", "network"]
    assert "KeyError" in found["text"] and world.values["auth_token"] not in found["text"]
    assert "test_doctor.py, line" in found["cure"]
    monkeypatch.setattr(Twilio, "connect", broken)
    status, said = world.run("setup")
    assert status == 1 and "KeyError" in said and "Traceback" not in said


def test_after_setup_all_is_green(world: World) -> None:
    assert "Nothing to change." in world.run("setup")[1]
    found = world.examined()
    assert {f["verdict"] for f in found.values()} == {"good"}
    assert set(found) == {
        ("redis", "reachable"),
        ("redis", "eviction"),
        ("redis", "durability"),
        ("redis", "memory"),
        ("redis", "connections"),
        ("gateway", "public address"),
        *(("gateway", check) for check in ("processes", "gates", "waiting", "dead letters")),
        *((f"channels.{c}", "connection") for c in ("bot", "sms", "post")),
        ("chatwoot.main", "version"),
        ("chatwoot.main", "token"),
        ("chatwoot.main", "queue"),
        ("chatwoot.main", "clock"),
        ("chatwoot.main", "e-mail continuity"),
        CONTACTS,
        *((f"channels.{c}", check) for c in ("bot", "sms", "post") for check in INBOX),
        ("channels.bot", "token"),
        ("channels.bot", "network webhook"),
        ("channels.sms", "account"),
        ("channels.sms", "sender"),
        ("channels.sms", "network webhook"),
        ("channels.post", "reading"),
        ("channels.post", "sending"),
    }
    status, said = world.run("doctor")
    assert status == 0
    assert said.endswith("All is well.\n")
    assert "\x1b" not in said, "no colours in a pipe"


INBOX = ("inbox", "webhook", "signature", "agents")
CONTACTS = ("chatwoot.main", "contact webhook")
Fault = Callable[[World], Any]


def change_inbox(number: int = 1, **values: Any) -> Fault:
    def change(world: World) -> None:
        with world.chatwoot.store.changing():
            for name, value in values.items():
                setattr(world.chatwoot.store.inboxes.get(number), name, value)

    return change


def change_webhook(**values: Any) -> Fault:
    def change(world: World) -> None:
        with world.chatwoot.store.changing():
            [webhook] = world.chatwoot.store.webhooks
            for name, value in values.items():
                setattr(webhook, name, value)

    return change


def no_webhook(world: World) -> None:
    with world.chatwoot.store.changing():
        world.chatwoot.store.webhooks.rows.clear()


def webhook_elsewhere(world: World) -> None:
    with world.chatwoot.store.changing():
        [webhook] = world.chatwoot.store.webhooks
        webhook.url = webhook.url.replace(world.gateway.url, "https://old.example")


def without_the_webhooks_key(world: World) -> None:
    with world.chatwoot.store.reading():
        world.write(bot_key=f'"{world.chatwoot.store.inboxes.get(1).secret}"')


def continuity(world: World) -> None:
    with world.chatwoot.store.changing():
        world.chatwoot.store.accounts.get(1).features.append("email_continuity_on_api_channel")


def wrong_clock(world: World) -> None:
    world.chatwoot.store.now = lambda: time.time() + 400


def no_queue(world: World) -> None:
    body = json.dumps({"version": "4.13.0", "queue_services": "failing", "timestamp": ""})
    world.chatwoot.fault("status", path="/api", status=200, body=body)


def failing_push(world: World) -> None:
    updates = world.telegram.updates
    updates.append("message", {})
    updates.last_error = (int(time.time()), "Connection refused")


def somebody_else(world: World) -> None:
    world.front = "welcome"


def suspended(world: World) -> None:
    world.twilio.account_status = "suspended"


def another_number(world: World) -> None:
    world.twilio.number = "+15550100002"


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (lambda w: w.gateway.stop(), ("gateway", "public address")),
        (somebody_else, ("gateway", "public address")),
        (lambda w: w.chatwoot.go_away(), ("chatwoot.main", "reachable")),
        (no_queue, ("chatwoot.main", "queue")),
        (wrong_clock, ("chatwoot.main", "clock")),
        (continuity, ("chatwoot.main", "e-mail continuity")),
        (lambda w: w.write(token="of-nobody"), ("chatwoot.main", "token")),
        (lambda w: w.write(token=w.chatwoot.agent.token), ("chatwoot.main", "token")),
        (lambda w: w.write(account=9), ("chatwoot.main", "account")),
        (lambda w: w.write(bot=77), ("channels.bot", "inbox")),
        (change_inbox(channel_type="Channel::Email"), ("channels.bot", "inbox")),
        (no_webhook, CONTACTS),
        (webhook_elsewhere, CONTACTS),
        (without_the_webhooks_key, CONTACTS),
        (change_webhook(secret="another"), CONTACTS),
        (change_webhook(url="https://somebody.example/else"), CONTACTS),
        (change_webhook(subscriptions=["contact_updated"]), CONTACTS),
        (change_inbox(webhook_url=None), ("channels.bot", "webhook")),
        (change_inbox(webhook_url="https://u:p@old.example/x"), ("channels.bot", "webhook")),
        (change_inbox(member_ids=[]), ("channels.bot", "agents")),
        (change_inbox(secret="another"), ("channels.bot", "signature")),
        (change_inbox(secret=None), ("channels.bot", "signature")),
        (lambda w: w.write(telegram_token="1:wrong"), ("channels.bot", "network")),
        (
            lambda w: w.telegram.set_webhook(Webhook(), None, drop=False),
            PUSH := ("channels.bot", "network webhook"),
        ),
        (failing_push, PUSH),
        (lambda w: w.write(auth_token="wrong"), ("channels.sms", "network")),
        (suspended, ("channels.sms", "account")),
        (another_number, ("channels.sms", "sender")),
        (lambda w: w.write(smtp=1), ("channels.post", "sending")),
        (lambda w: w.write(imap=1), ("channels.post", "reading")),
    ],
)
def test_each_fault_turns_its_own_line_red(
    world: World, fault: Fault, line: tuple[str, str]
) -> None:
    fault(world)
    assert world.red() == {line}


def test_https_to_a_port_that_speaks_http_is_named_with_the_address_that_works(
    world: World,
) -> None:
    right = world.values["chatwoot"]
    world.write(chatwoot=right.replace("http://", "https://"))
    found = world.examined()["chatwoot.main", "reachable"]
    assert (
        found["text"] == f"{right.removeprefix('http://')} speaks http, and the address says https"
    )
    assert f'[chatwoot.main] url = "{right}"' in found["cure"]


@pytest.mark.parametrize("command", ["doctor", "setup"])
def test_a_page_of_the_dashboard_is_named_and_not_by_its_status(world: World, command: str) -> None:
    world.chatwoot.fault("status", status=406)
    status, said = world.run(command)
    assert status == 1
    assert "without /app and what follows" in said
    assert "406" not in said


def test_a_dead_redis_is_red_and_says_how_to_mend_it(world: World, tmp_path: Path) -> None:
    world.monkeypatch.setenv("REDIS_URL", f"unix://{tmp_path}/none.sock")
    assert world.red() == {("redis", "reachable")}


def test_a_redis_that_throws_data_away_is_red(world: World, store: redis.Redis) -> None:
    store.config_set("maxmemory-policy", "allkeys-lru")
    try:
        assert world.red() == {("redis", "eviction")}
    finally:
        store.config_set("maxmemory-policy", "noeviction")


def test_a_redis_that_may_lose_a_second_is_a_note(world: World, store: redis.Redis) -> None:
    store.config_set("appendfsync", "everysec")
    try:
        found = world.examined()["redis", "durability"]
    finally:
        store.config_set("appendfsync", "always")
    assert found["verdict"] == "note"
    assert "up to a second" in found["text"]


def test_without_a_server_it_says_how_to_start_one(world: World) -> None:
    world.monkeypatch.delenv("REDIS_URL")
    assert world.examined()["redis", "reachable"]["verdict"] == "note"


@pytest.mark.parametrize(
    ("finding", "verdict"),
    [
        (server_version({"redis_version": "6.2.14"}), "bad"),
        (server_version({"redis_version": "7.2.4", "valkey_version": "9.1.2"}), "good"),
        (memory({"used_memory": 86, "maxmemory": 100}), "bad"),
        (memory({"used_memory": 84, "maxmemory": 100}), "good"),
        (memory({"used_memory": 84, "maxmemory": 0}), "good"),
        (connections({"connected_clients": 19, "maxclients": 20}), "bad"),
        (connections({"connected_clients": 8, "maxclients": 18}), "note"),
        (connections({"connected_clients": 18, "maxclients": 20}), "good"),
        (connections({"connected_clients": 18}), "good"),
    ],
)
def test_what_redis_tells_of_itself(finding: Finding, verdict: str) -> None:
    assert finding.verdict == verdict
    assert bool(finding.cure) is (verdict != "good")


@pytest.mark.parametrize(
    ("version", "private", "notes"),
    [
        ("4.10.0", True, {"delivered", "signature"}),
        ("4.11.2", True, {"signature"}),
        ("4.13.0", True, set()),
        ("4.14.0", True, {"private address"}),
        ("4.16.0-fork.2", True, {"private address"}),
        ("4.16.0", False, set()),
        ("main", False, {"version"}),
    ],
)
def test_releases_and_their_faults(version: str, private: bool, notes: set[str]) -> None:
    found = known_bugs(version, private=private)
    assert {finding.check for finding in found if finding.verdict == "note"} == notes


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("http://127.0.0.1:8080", True),
        ("https://10.1.2.3", True),
        ("https://[fd00::1]/x", True),
        ("https://1.1.1.1", False),
        ("https://no-such-name.invalid", False),
    ],
)
def test_which_addresses_are_private(url: str, private: bool) -> None:
    assert is_private(url) is private


def test_an_address_with_the_secret_that_is_to_be_replaced_still_works(world: World) -> None:
    world.file.write_text(
        world.file.read_text().replace('secret = ["', 'secret = ["a newer secret, too", "')
    )
    found = world.examined()
    assert found["channels.bot", "webhook"]["verdict"] == "note"
    assert world.run("setup")[0] == 0
    assert world.examined()["channels.bot", "webhook"]["verdict"] == "good"


def test_signatures_that_nobody_looks_at_are_a_note(world: World) -> None:
    world.write(bot_key="[]")
    assert world.examined()["channels.bot", "signature"]["verdict"] == "note"


def test_features_that_are_not_told_are_a_note(world: World) -> None:
    world.chatwoot.fault("status", path="/api/v1/accounts/1", status=200, body='{"id": 1}')
    assert world.examined()["chatwoot.main", "e-mail continuity"]["verdict"] == "note"


def test_polling_wants_no_webhook(world: World) -> None:
    world.file.write_text(world.file.read_text().replace("api_url", 'mode = "polling"\napi_url', 1))
    assert world.red() == {PUSH}
    world.telegram.set_webhook(Webhook(), None, drop=False)
    assert not world.red()


def test_what_is_wrong_is_shown_with_its_cure() -> None:
    out = io.StringIO()
    Output(out).print_lines(
        [
            ReportLine("redis", Finding.good("memory", "fine")),
            ReportLine("gateway", Finding.bad("clock", "[red]late[/red]", "Wind it.")),
            ReportLine("redis", Finding.note("connections", "few", "Buy some.")),
        ]
    )
    assert out.getvalue() == (
        "redis\n  ok       memory: fine\n  note     connections: few\n           → Buy some.\n"
        "gateway\n  BAD      clock: [red]late[/red]\n           → Wind it.\n"
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_what_is_wrong_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    lines = [
        ReportLine("redis", Finding.good("memory", "fine")),
        ReportLine("redis", Finding.bad("x", "y", "z")),
    ]
    Output(terminal := Terminal()).print_lines(lines)
    said = terminal.getvalue()
    assert re.search(r"\x1b\[32mok", said), said
    assert re.search(r"\x1b\[1;31mBAD", said), said
    monkeypatch.setenv("NO_COLOR", "1")
    Output(terminal := Terminal()).print_lines(lines)
    assert "\x1b[3" not in terminal.getvalue()


def test_of_a_foreign_webhook_address_only_the_host_is_shown(world: World) -> None:
    change_inbox(webhook_url="https://u:pass@old.example/hook/s3cret")(world)
    text = world.examined()["channels.bot", "webhook"]["text"]
    assert "(old.example)" in text
    assert "s3cret" not in text
    assert "pass" not in text


def opening(text: str) -> Fault:
    """Of the channel «bot»."""

    def write(world: World) -> None:
        settings = world.file.read_text().replace("[channels.sms]", f"{text}\n[channels.sms]", 1)
        world.file.write_text(settings)

    return write


def test_what_conversations_begin_with_is_looked_for(world: World) -> None:
    world.chatwoot.add_team("Sales", world.chatwoot.agent.id)
    world.chatwoot.add_label("new")
    table = '{ team = "Sales", assignee = "BOB@sandbox.example", labels = ["new"] }'
    opening(f"conversation_defaults = {table}")(world)
    found = world.examined()
    for check in ("team", "assignee", "labels"):
        assert found["channels.bot", check]["verdict"] == "good"


@pytest.mark.parametrize(
    ("table", "check"),
    [
        ('conversation_defaults = { team = "sails" }', "team"),
        ("conversation_defaults = { team = 9 }", "team"),
        ('conversation_defaults = { assignee = "nobody@sandbox.example" }', "assignee"),
        ("conversation_defaults = { assignee = 9 }", "assignee"),
    ],
)
def test_what_conversations_cannot_begin_with_is_red(world: World, table: str, check: str) -> None:
    world.chatwoot.add_team("Sales")
    opening(table)(world)
    assert world.red() == {("channels.bot", check)}
    cure = world.examined()["channels.bot", check]["cure"]
    assert f"[channels.bot.conversation_defaults] {check}" in cure


def test_an_assignee_who_does_not_work_in_the_inbox_is_red(world: World) -> None:
    opening('conversation_defaults = { assignee = "bob@sandbox.example" }')(world)
    admin = world.chatwoot.administrator.id
    change_inbox(member_ids=[admin])(world)
    assert world.red() == {("channels.bot", "assignee")}


def test_an_assignee_from_outside_of_the_team_is_red(world: World) -> None:
    world.chatwoot.add_team("Sales", world.chatwoot.administrator.id)
    opening('conversation_defaults = { team = "sales", assignee = "bob@sandbox.example" }')(world)
    assert world.red() == {("channels.bot", "assignee")}


def test_an_administrator_sees_every_inbox(world: World) -> None:
    opening("conversation_defaults = { assignee = 1 }")(world)
    change_inbox(member_ids=[world.chatwoot.agent.id])(world)
    assert not world.red()


def test_of_the_assignee_of_an_inbox_that_is_gone_nothing_is_said(world: World) -> None:
    opening('conversation_defaults = { assignee = "bob@sandbox.example" }')(world)
    world.file.write_text(world.file.read_text().replace("inbox = 1", "inbox = 77", 1))
    assert world.red() == {("channels.bot", "inbox")}


def test_a_label_that_agents_cannot_see_is_a_note(world: World) -> None:
    opening('conversation_defaults = { labels = "new" }')(world)
    found = world.examined()["channels.bot", "labels"]
    assert found["verdict"] == "note"
    assert "no label new" in found["text"]


def test_calls_that_do_not_reach_the_gateway_are_red_with_both_cures(
    world: World, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failed_calls, "PENDING", 0.0)
    world.chatwoot.store.version = version_named("4.15.1")
    world.chatwoot.webhooks.private_network = False
    with world.chatwoot.store.changing():
        fields = {"inbox_id": 1, "source_id": "4711", "name": "Ada"}
        ada = create_contact(world.chatwoot.store, 1, fields)
    world.chatwoot.agent_start_conversation(ada.id, 1, "hello")
    until(lambda: world.chatwoot.messages(1)[0]["status"] == "failed")
    assert world.red() == {("channels.bot", "calls")}
    found = world.examined()["channels.bot", "calls"]
    assert "has no public ip addresses" in found["text"]
    assert "SAFE_FETCH_ALLOW_PRIVATE_NETWORK=true" in found["cure"]
    assert 'events = "websocket"' in found["cure"]
    note_call(KeyValues(store), "bot", NotedCall(1, "404 Not Found", written_at=0.0))
    world.chatwoot.set_webhook(1, "")
    world.chatwoot.agent_reply(1, "this one was told of")
    assert ("channels.bot", "calls") not in world.examined()


def test_calls_that_the_clock_missed_are_red(world: World, store: redis.Redis) -> None:
    call = NotedCall(7, "404 Not Found", written_at=0.0)
    note_call(KeyValues(store), "sms", call)
    assert world.red() == {("channels.sms", "calls")}
    assert "1970-01-01 00:00 UTC" in world.examined()["channels.sms", "calls"]["text"]


def test_without_a_worker_not_all_is_well(world: World, store: redis.Redis) -> None:
    (worker,) = (n for n in map(str, store.hkeys(keys.HEARTBEATS)) if n.startswith("worker"))
    store.hset(keys.HEARTBEATS, worker, 1000)
    assert world.red() == {("gateway", "processes")}
    found = world.examined()["gateway", "processes"]
    assert "no worker is alive (last seen" in found["text"]
    assert "`python -m gateway worker`" in found["cure"]
    store.delete(keys.HEARTBEATS)
    assert "nothing is delivered" in world.examined()["gateway", "processes"]["text"]


def test_dead_letters_are_a_note_and_then_not_all_is_well(world: World, store: redis.Redis) -> None:
    store.xadd(
        keys.DEAD_LETTERS, {"id": "o:bot:1", "reason": "gone", "channel": "bot", "kind": "out"}
    )
    found = world.examined()["gateway", "dead letters"]
    assert found["verdict"] == "note" and "dead list" in found["cure"]
    assert world.run("doctor")[1].endswith("Nothing to fix; see the notes (1).\n")


def test_an_old_message_and_the_gate_that_holds_it_are_red(
    world: World, store: redis.Redis
) -> None:
    destination, lane = "channel/bot", "out/bot/7"
    store.sadd(keys.DESTINATIONS, destination)
    store.zadd(keys.due(destination), {lane: 0})
    store.zadd(keys.lane(lane), {"o:bot:1": 1})
    store.hset(keys.message("o:bot:1"), mapping={"channel": "bot", "appended": "1000"})
    assert world.red() == {("gateway", "waiting")}
    store.hset(
        keys.gate(destination),
        mapping={"state": "closed", "reason": "it cannot be reached", "since": 1000},
    )
    assert world.red() == {("gateway", "waiting"), ("gateway", "gates")}
    found = world.examined()
    assert "bot (out) for" in found["gateway", "waiting"]["text"]
    assert "it cannot be reached" in found["gateway", "gates"]["text"]


def test_a_channel_that_brings_nothing_in_is_red(world: World, store: redis.Redis) -> None:
    notes = ChannelNotes(store, "post")
    notes.failed("the mailbox INBOX/Support does not exist")
    assert world.red() == {("channels.post", "connection")}
    assert "INBOX/Support" in world.examined()["channels.post", "connection"]["text"]
    long_ago = {"why": "", "since": 1000, "last_poll": 1000}
    store.hset(keys.CHANNEL_STATES, "post", json.dumps(long_ago))
    assert world.red() == {("channels.post", "connection")}


def test_a_full_redis_is_red(world: World, store: redis.Redis) -> None:
    store.config_set("maxmemory", round(store.info("memory")["used_memory"] / 0.9))
    try:
        assert world.red() == {("redis", "memory")}
    finally:
        store.config_set("maxmemory", 0)


def test_a_number_for_which_twilio_does_not_call_us_is_a_note_with_the_address(
    world: World,
) -> None:
    right, world.twilio.sms_url = world.twilio.sms_url, "https://demo.twilio.com/welcome/sms/reply"
    found = world.examined()["channels.sms", "network webhook"]
    assert found["verdict"] == "note" and right in found["cure"]


def test_setup_says_that_twilio_refuses_the_token(world: World) -> None:
    world.write(auth_token="wrong")
    status, said = world.run("setup")
    assert status == 1
    assert "BAD      network:" in said
