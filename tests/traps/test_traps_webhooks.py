"""Chatwoot's traps for whoever takes its webhooks: each of these fails without its guard.

Most are played in full: real webhooks over HTTP, shuffled by the stand-in, into the real web
application. The numbers are those of docs/TRAPS.md.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.values import MessageType
from gateway.chatwoot.webhook import read
from gateway.clock.reconcile import Reconciler
from gateway.errors import Permanent
from gateway.lanes import Backlog, KeyValues, Ledger, keys
from gateway.model import Receipt, Status
from gateway.runtime import Runtime
from gateway.web import create_app
from sandbox.chatwoot import payloads
from sandbox.chatwoot.version import version_named
from sandbox.web import WebServer
from tests.relay.env import Env, webhook
from tests.waiting import until

NOTHING_THERE = "http://127.0.0.1:9/gone"
FIRST, OTHER = "the first long part", "the other"
"""Of a reply that this network takes in two calls."""


@pytest.fixture(autouse=True)
def somebody_wrote(env: Env) -> None:
    env.customer_writes("hello")
    env.drain()


@pytest.fixture
def app(env: Env) -> Flask:
    return create_app(env.settings, store=env.store, intake=env.intake, runtime=Runtime())


@pytest.fixture
def online(env: Env, app: Flask) -> Iterator[WebServer]:
    """Chatwoot calls the gateway's web from now on."""
    server = WebServer(app)
    server.start()
    called_at(env, server.url + path(env))
    yield server
    server.stop()


@pytest.fixture
def reconciler(env: Env) -> Reconciler:
    found = Reconciler(env.channel, api(env), Ledger(env.store), KeyValues(env.store), env.intake)
    found.look()
    return found


def path(env: Env) -> str:
    return f"/chatwoot/cards/{env.settings.path_tokens(env.channel)[0]}"


def called_at(env: Env, url: str) -> None:
    with env.chatwoot.store.changing():
        env.chatwoot.store.inboxes.get(env.channel.config.inbox).webhook_url = url


def api(env: Env) -> Chatwoot:
    return env.deliveries.chatwoots["main"]


def texts(env: Env) -> list[str]:
    return [part.text for part in env.network.sent]


def calm(env: Env) -> None:
    """Every webhook has been delivered and everything done, also what followed from it."""
    while True:
        assert env.chatwoot.wait_for_webhooks()
        before = env.chatwoot.requests.total()
        env.drain()
        assert env.chatwoot.wait_for_webhooks()
        if env.chatwoot.requests.total() == before:
            return


def requests(env: Env, method: str) -> int:
    return sum(n for (verb, _), n in env.chatwoot.requests.items() if verb == method)


def failed(env: Env, *, by: str) -> int:
    """A reply in two parts that failed: before it was sent, or by a receipt for the second."""
    if by == "refusal":
        env.network.errors = [Permanent("Not today")]
    number = env.chatwoot.agent_reply(1, f"{FIRST} {OTHER}")
    calm(env)
    if by == "receipt":
        receipt = Receipt(Status.FAILED, external_id=f"card-o:cards:{number}#2", reason="no")
        env.intake.take(env.channel, [receipt])
        calm(env)
    assert env.shown(number)["status"] == "failed"
    return number


def test_trap_1_a_customers_message_comes_back_as_a_webhook(env: Env, online: WebServer) -> None:
    env.customer_writes("again")
    api(env).create_message(1, "through another program", source_id="theirs:1")
    calm(env)
    assert texts(env) == []
    assert env.count("ignored_events") > 0


def test_trap_2_an_outgoing_message_of_our_own_comes_back(env: Env, online: WebServer) -> None:
    outgoing = MessageType.OUTGOING
    api(env).create_message(1, "typed on the phone", source_id="gw:cards:9", message_type=outgoing)
    calm(env)
    assert texts(env) == []


def test_trap_3_every_webhook_comes_by_two_ways_and_twice(env: Env, online: WebServer) -> None:
    with env.chatwoot.store.changing():
        env.chatwoot.store.webhooks.add(
            account_id=1,
            url=online.url + path(env),
            secret="s",
            subscriptions=["message_created", "message_updated", "conversation_status_changed"],
        )
    env.chatwoot.webhooks.duplicates = True
    written = [f"reply {n}" for n in range(8)]
    for text in written:
        env.chatwoot.agent_reply(1, text)
    assert env.chatwoot.wait_for_webhooks()
    calm(env)
    assert texts(env) == written
    assert env.count("duplicates") == 8 * 3


def test_trap_4_private_notes_are_sent_too(env: Env, online: WebServer) -> None:
    env.chatwoot.agent_reply(1, "between us", private=True)
    calm(env)
    assert texts(env) == []


def test_trap_5_a_late_answer_marks_a_reply_that_is_delivered(env: Env, app: Flask) -> None:
    answered = threading.Event()

    def slow(environ: Any, start: Any) -> Any:
        answer = app(environ, start)
        answered.wait(10)
        return answer

    server = WebServer(slow)
    server.start()
    called_at(env, server.url + path(env))
    env.chatwoot.webhooks.timeout = 0.2
    number = env.chatwoot.agent_reply(1, "hi")
    until(lambda: env.shown(number)["status"] == "failed")
    answered.set()
    calm(env)
    server.stop()
    assert texts(env) == ["hi"]
    assert env.shown(number)["status"] == "sent"
    assert not env.shown(number)["content_attributes"].get("external_error")


def test_trap_6_what_was_written_while_we_were_down_is_never_told(
    env: Env, reconciler: Reconciler, online: WebServer
) -> None:
    called_at(env, NOTHING_THERE)
    number = env.chatwoot.agent_reply(1, "hi")
    env.chatwoot.agent_reply(1, "between us", private=True)
    calm(env)
    assert env.shown(number)["status"] == "failed"
    called_at(env, online.url + path(env))
    assert reconciler.look() == 1
    env.drain()
    assert texts(env) == ["hi"]
    assert env.shown(number)["status"] == "sent"


def test_trap_7_our_own_statuses_come_back_as_updates(env: Env, online: WebServer) -> None:
    number = env.chatwoot.agent_reply(1, "hi")
    calm(env)
    asked, part = requests(env, "GET"), f"o:cards:{number}#1"
    for status in (Status.DELIVERED, Status.READ):
        env.intake.take(env.channel, [Receipt(status, part=part)])
        calm(env)
    assert env.shown(number)["status"] == "read"
    assert requests(env, "PATCH") == 2
    assert requests(env, "GET") == asked + 1  # for the release, and for no reply
    assert texts(env) == ["hi"]


@pytest.mark.parametrize("by", ["refusal", "receipt"])
def test_trap_8_retry_only_takes_the_error_off(env: Env, online: WebServer, by: str) -> None:
    env.chatwoot.webhooks.duplicates = True
    number = failed(env, by=by)
    before = texts(env)
    env.chatwoot.agent_retry(number)
    calm(env)
    assert texts(env)[len(before) :] == ([FIRST, OTHER] if by == "refusal" else [OTHER])
    assert env.shown(number)["status"] == "sent"


def test_trap_8_each_press_sends_once_and_our_own_words_are_no_press(
    env: Env, online: WebServer
) -> None:
    number = failed(env, by="receipt")
    sent_before = webhook(env.chatwoot, 1, number, "message_updated")
    sent_before["content_attributes"] = {}
    for presses in (1, 2):
        env.intake.take_event(env.channel, read(sent_before))  # late, from before it failed
        calm(env)
        assert texts(env).count(OTHER) == presses
        env.chatwoot.agent_retry(number)
        calm(env)
        assert texts(env).count(OTHER) == presses + 1
        again = Receipt(
            Status.FAILED, part=f"o:cards:{number}#2", external_id=f"card-o:cards:{number}#2"
        )
        env.intake.take(env.channel, [again])
        calm(env)
        assert env.shown(number)["status"] == "failed"
    assert texts(env).count(FIRST) == 1


def test_trap_8_retry_below_a_reply_whose_webhook_never_came(
    env: Env, app: Flask, reconciler: Reconciler
) -> None:
    called_at(env, NOTHING_THERE)
    number = env.chatwoot.agent_reply(1, "hi")
    calm(env)
    server = WebServer(app)
    server.start()
    called_at(env, server.url + path(env))
    env.chatwoot.agent_retry(number)
    calm(env)
    assert texts(env) == ["hi"]
    assert reconciler.look() == 0
    server.stop()


def test_trap_8_an_update_of_a_reply_from_before_our_time_sends_nothing(
    env: Env, app: Flask
) -> None:
    number = env.chatwoot.agent_reply(1, "long ago")
    Reconciler(env.channel, api(env), Ledger(env.store), KeyValues(env.store), env.intake).look()
    env.told(number, event="message_updated")
    calm(env)
    assert texts(env) == []


def test_trap_9_webhooks_do_not_tell_the_status(env: Env, online: WebServer) -> None:
    number = failed(env, by="refusal")
    told = webhook(env.chatwoot, 1, number, "message_updated")
    assert "status" not in told
    told["content_attributes"] = {}  # as in one that is late: only asking tells
    assert env.intake.take_event(env.channel, read(told)) == "accepted:retry_check"
    calm(env)
    assert texts(env) == []
    assert env.shown(number)["status"] == "failed"


def test_trap_26_401_says_forbidden_too(env: Env) -> None:
    number = env.agent_replies("hi")
    denied = '{"error":"You are not authorized to do this action"}'
    env.chatwoot.fault("status", method="PATCH", status=401, body=denied)
    env.intake.take(env.channel, [Receipt(Status.DELIVERED, part=f"o:cards:{number}#1")])
    env.drain()
    gates = {gate.destination: gate.state for gate in Backlog(env.store).read().gates}
    assert gates["chatwoot/main"] == "open"
    env.drain_until(lambda: env.shown(number)["status"] == "delivered")


@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        (422, '{"error":"Validation failed: Too many messages"}', "application/json"),
        (429, "Retry later\n", "text/plain"),
    ],
)
def test_trap_27_too_many_messages_is_no_refusal(
    env: Env, status: int, body: str, content_type: str
) -> None:
    env.chatwoot.fault(
        "status",
        method="POST",
        path="*/messages",
        status=status,
        body=body,
        content_type=content_type,
    )
    env.customer_writes("one more")
    env.drain()
    assert env.incoming() == ["hello"]
    at = env.store.zscore(keys.due("chatwoot/main"), "in/cards/p1")
    seconds, _ = env.store.time()
    assert isinstance(at, float)
    assert at / 1000 - seconds > 0.5
    env.drain_until(lambda: env.incoming() == ["hello", "one more"])
    assert list(env.dead.list()) == []


def test_trap_28_chatwoot_refuses_to_call_private_addresses(
    env: Env, reconciler: Reconciler
) -> None:
    number = env.chatwoot.agent_reply(1, "hi")
    why = "Hostname 'gateway' has no public ip addresses"
    api(env).update_status(1, number, Status.FAILED, why)
    assert reconciler.look() == 1
    env.drain()
    assert texts(env) == ["hi"]
    assert env.shown(number)["status"] == "sent"


def test_trap_30_a_deleted_conversation_is_told_by_nobody(env: Env, online: WebServer) -> None:
    number = failed(env, by="refusal")
    store = env.chatwoot.store
    env.chatwoot.agent_retry(number)
    with store.changing():
        del store.conversations.rows[store.conversation(1, 1).id]
    env.customer_writes("anybody there?")
    calm(env)
    env.drain_until(lambda: env.chatwoot.conversations()[0]["id"] == 2)
    assert texts(env) == []


def test_trap_31_account_webhooks_tell_of_every_inbox(env: Env, app: Flask) -> None:
    other = env.chatwoot.add_inbox("Another", None)
    contact = api(env).create_contact(other, "somebody", "Eve")
    conversation = api(env).create_conversation(other, contact.id, "somebody").id
    number = env.chatwoot.agent_reply(conversation, "not for us")
    told = webhook(env.chatwoot, conversation, number, "message_created")
    answer = app.test_client().post(path(env), json=told)
    assert (answer.status_code, answer.text) == (200, "ignored\n")
    env.drain()
    assert texts(env) == []


@pytest.mark.parametrize(("version", "named"), [("4.13.0", False), ("4.15.1", True)])
def test_trap_32_older_conversation_events_have_no_account(
    env: Env, app: Flask, version: str, named: bool
) -> None:
    store = env.chatwoot.store
    store.version = version_named(version)
    env.chatwoot.agent_resolve(1)
    with store.reading():
        told = payloads.conversation_webhook(store, store.conversation(1, 1))
    assert ("account" in told) is named
    answer = app.test_client().post(
        path(env), json={**told, "event": "conversation_status_changed"}
    )
    assert (answer.status_code, answer.text) == (200, "noted\n")
    env.customer_writes("a new question")
    env.drain()
    assert len(env.chatwoot.conversations()) == 2


def test_trap_33_a_deleted_reply_comes_with_a_notice_for_its_text(env: Env) -> None:
    number = env.chatwoot.agent_reply(1, "oops")
    env.chatwoot.agent_delete(number)
    with env.chatwoot.store.changing():
        env.chatwoot.store.messages.get(number).content = "Diese Nachricht wurde gelöscht"
    assert env.told(number).startswith("withdrawn")
    env.drain()
    assert texts(env) == []


def test_trap_35_payloads_hold_a_credential(
    env: Env, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    number = env.chatwoot.agent_reply(1, "hi")
    told = webhook(env.chatwoot, 1, number, "message_created")
    token = told["conversation"]["contact_inbox"]["pubsub_token"]
    assert token
    client = app.test_client()
    answers = [
        client.post(path(env), json=told),
        client.post(path(env), json={**told, "id": token}),
    ]
    lines = [json.dumps(vars(record), default=str) for record in caplog.records]
    kept = [json.dumps(env.store.hgetall(key)) for key in env.store.scan_iter(keys.message("*"))]
    assert kept
    assert lines
    assert not [text for text in (*lines, *kept, *(a.text for a in answers)) if token in text]
