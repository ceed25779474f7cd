"""Chatwoot's traps for whoever takes its webhooks: each of these fails without its guard.

Most are played in full: real webhooks over HTTP, shuffled by the stand-in, into the real web
application. The numbers are those of the issue's list.
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
from gateway.chatwoot.values import Kind
from gateway.chatwoot.webhook import read
from gateway.clock.reconcile import Reconciler
from gateway.errors import Permanent
from gateway.model import Receipt, Status
from gateway.runtime import Runtime
from gateway.web import create_app
from sandbox.chatwoot import payloads
from sandbox.web import WebServer
from tests.relay.house import House, webhook
from tests.waiting import until

NOTHING_THERE = "http://127.0.0.1:9/gone"
FIRST, OTHER = "the first long part", "the other"
"""Of a reply that this network takes in two calls."""


@pytest.fixture(autouse=True)
def somebody_wrote(house: House) -> None:
    house.customer_writes("hello")
    house.drain()


@pytest.fixture
def app(house: House) -> Flask:
    return create_app(house.settings, store=house.store, intake=house.intake, runtime=Runtime())


@pytest.fixture
def online(house: House, app: Flask) -> Iterator[WebServer]:
    """Chatwoot calls the gateway's web from now on."""
    server = WebServer(app)
    server.start()
    called_at(house, server.url + path(house))
    yield server
    server.stop()


@pytest.fixture
def reconciler(house: House) -> Reconciler:
    found = Reconciler(house.channel, api(house), house.lanes, house.intake)
    found.look()
    return found


def path(house: House) -> str:
    return f"/chatwoot/cards/{house.settings.path_tokens(house.channel)[0]}"


def called_at(house: House, url: str) -> None:
    with house.chatwoot.store.changing():
        house.chatwoot.store.inboxes.get(house.channel.config.inbox).webhook_url = url


def api(house: House) -> Chatwoot:
    return house.deliveries.chatwoots["main"]


def texts(house: House) -> list[str]:
    return [part.text for part in house.network.sent]


def calm(house: House) -> None:
    """Every webhook has been delivered and everything done, also what followed from it."""
    while True:
        assert house.chatwoot.wait_for_webhooks()
        before = house.chatwoot.requests.total()
        house.drain()
        assert house.chatwoot.wait_for_webhooks()
        if house.chatwoot.requests.total() == before:
            return


def requests(house: House, method: str) -> int:
    return sum(n for (verb, _), n in house.chatwoot.requests.items() if verb == method)


def failed(house: House, *, by: str) -> int:
    """A reply in two parts that failed: before it was sent, or by a receipt for the second."""
    if by == "refusal":
        house.network.errors = [Permanent("Not today")]
    number = house.chatwoot.agent_reply(1, f"{FIRST} {OTHER}")
    calm(house)
    if by == "receipt":
        receipt = Receipt(Status.FAILED, external_id=f"card-o:cards:{number}#2", reason="no")
        house.intake.take(house.channel, [receipt])
        calm(house)
    assert house.shown(number)["status"] == "failed"
    return number


def test_trap_1_a_customers_message_comes_back_as_a_webhook(
    house: House, online: WebServer
) -> None:
    house.customer_writes("again")
    api(house).create_message(1, "through another program", source_id="theirs:1")
    calm(house)
    assert texts(house) == []
    assert house.count("ignored_events") > 0


def test_trap_2_an_outgoing_message_of_our_own_comes_back(house: House, online: WebServer) -> None:
    api(house).create_message(1, "typed on the phone", source_id="gw:cards:9", kind=Kind.OUTGOING)
    calm(house)
    assert texts(house) == []


def test_trap_3_every_webhook_comes_by_two_ways_and_twice(house: House, online: WebServer) -> None:
    with house.chatwoot.store.changing():
        house.chatwoot.store.webhooks.add(
            account_id=1,
            url=online.url + path(house),
            secret="s",
            subscriptions=["message_created", "message_updated", "conversation_status_changed"],
        )
    house.chatwoot.webhooks.duplicates = True
    written = [f"reply {n}" for n in range(8)]
    for text in written:
        house.chatwoot.agent_reply(1, text)
    assert house.chatwoot.wait_for_webhooks()
    calm(house)
    assert texts(house) == written
    assert house.count("duplicates") == 8 * 3


def test_trap_4_private_notes_are_sent_too(house: House, online: WebServer) -> None:
    house.chatwoot.agent_reply(1, "between us", private=True)
    calm(house)
    assert texts(house) == []


def test_trap_5_a_late_answer_marks_a_reply_that_is_delivered(house: House, app: Flask) -> None:
    answered = threading.Event()

    def slow(environ: Any, start: Any) -> Any:
        answer = app(environ, start)
        answered.wait(10)
        return answer

    server = WebServer(slow)
    server.start()
    called_at(house, server.url + path(house))
    house.chatwoot.webhooks.timeout = 0.2
    number = house.chatwoot.agent_reply(1, "hi")
    until(lambda: house.shown(number)["status"] == "failed")
    answered.set()
    calm(house)
    server.stop()
    assert texts(house) == ["hi"]
    assert house.shown(number)["status"] == "sent"
    assert not house.shown(number)["content_attributes"].get("external_error")


def test_trap_6_what_was_written_while_we_were_down_is_never_told(
    house: House, reconciler: Reconciler, online: WebServer
) -> None:
    called_at(house, NOTHING_THERE)
    number = house.chatwoot.agent_reply(1, "hi")
    house.chatwoot.agent_reply(1, "between us", private=True)
    calm(house)
    assert house.shown(number)["status"] == "failed"
    called_at(house, online.url + path(house))
    assert reconciler.look() == 1
    house.drain()
    assert texts(house) == ["hi"]
    assert house.shown(number)["status"] == "sent"


def test_trap_7_our_own_statuses_come_back_as_updates(house: House, online: WebServer) -> None:
    number = house.chatwoot.agent_reply(1, "hi")
    calm(house)
    asked, part = requests(house, "GET"), f"o:cards:{number}#1"
    for status in (Status.DELIVERED, Status.READ):
        house.intake.take(house.channel, [Receipt(status, part=part)])
        calm(house)
    assert house.shown(number)["status"] == "read"
    assert requests(house, "PATCH") == 2
    assert requests(house, "GET") == asked + 1  # for the release, and for no reply
    assert texts(house) == ["hi"]


@pytest.mark.parametrize("by", ["refusal", "receipt"])
def test_trap_8_retry_only_takes_the_error_off(house: House, online: WebServer, by: str) -> None:
    house.chatwoot.webhooks.duplicates = True
    number = failed(house, by=by)
    before = texts(house)
    house.chatwoot.agent_retry(number)
    calm(house)
    assert texts(house)[len(before) :] == ([FIRST, OTHER] if by == "refusal" else [OTHER])
    assert house.shown(number)["status"] == "sent"


def test_trap_8_each_press_sends_once_and_our_own_words_are_no_press(
    house: House, online: WebServer
) -> None:
    number = failed(house, by="receipt")
    sent_before = webhook(house.chatwoot, 1, number, "message_updated")
    sent_before["content_attributes"] = {}
    for presses in (1, 2):
        house.intake.take_event(house.channel, read(sent_before))  # late, from before it failed
        calm(house)
        assert texts(house).count(OTHER) == presses
        house.chatwoot.agent_retry(number)
        calm(house)
        assert texts(house).count(OTHER) == presses + 1
        again = Receipt(
            Status.FAILED, part=f"o:cards:{number}#2", external_id=f"card-o:cards:{number}#2"
        )
        house.intake.take(house.channel, [again])
        calm(house)
        assert house.shown(number)["status"] == "failed"
    assert texts(house).count(FIRST) == 1


def test_trap_8_retry_below_a_reply_whose_webhook_never_came(
    house: House, app: Flask, reconciler: Reconciler
) -> None:
    called_at(house, NOTHING_THERE)
    number = house.chatwoot.agent_reply(1, "hi")
    calm(house)
    server = WebServer(app)
    server.start()
    called_at(house, server.url + path(house))
    house.chatwoot.agent_retry(number)
    calm(house)
    assert texts(house) == ["hi"]
    assert reconciler.look() == 0
    server.stop()


def test_trap_8_an_update_of_a_reply_from_before_our_time_sends_nothing(
    house: House, app: Flask
) -> None:
    number = house.chatwoot.agent_reply(1, "long ago")
    Reconciler(house.channel, api(house), house.lanes, house.intake).look()
    house.told(number, event="message_updated")
    calm(house)
    assert texts(house) == []


def test_trap_9_webhooks_do_not_tell_the_status(house: House, online: WebServer) -> None:
    number = failed(house, by="refusal")
    told = webhook(house.chatwoot, 1, number, "message_updated")
    assert "status" not in told
    told["content_attributes"] = {}  # as in one that is late: only asking tells
    assert house.intake.take_event(house.channel, read(told)) == "accepted:look"
    calm(house)
    assert texts(house) == []
    assert house.shown(number)["status"] == "failed"


def test_trap_26_401_says_forbidden_too(house: House) -> None:
    number = house.agent_replies("hi")
    denied = '{"error":"You are not authorized to do this action"}'
    house.chatwoot.fault("status", method="PATCH", status=401, body=denied)
    house.intake.take(house.channel, [Receipt(Status.DELIVERED, part=f"o:cards:{number}#1")])
    house.drain()
    gates = {gate.destination: gate.state for gate in house.lanes.backlog().gates}
    assert gates["chatwoot/main"] == "open"
    house.drain_until(lambda: house.shown(number)["status"] == "delivered")


@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        (422, '{"error":"Validation failed: Too many messages"}', "application/json"),
        (429, "Retry later\n", "text/plain"),
    ],
)
def test_trap_27_too_many_messages_is_no_refusal(
    house: House, status: int, body: str, content_type: str
) -> None:
    house.chatwoot.fault(
        "status",
        method="POST",
        path="*/messages",
        status=status,
        body=body,
        content_type=content_type,
    )
    house.customer_writes("one more")
    house.drain()
    assert house.incoming() == ["hello"]
    at = house.store.zscore("gw:due:chatwoot/main", "in/cards/p1")
    seconds, _ = house.store.time()
    assert isinstance(at, float)
    assert at / 1000 - seconds > 0.5
    house.drain_until(lambda: house.incoming() == ["hello", "one more"])
    assert list(house.dead.list()) == []


def test_trap_28_chatwoot_refuses_to_call_private_addresses(
    house: House, reconciler: Reconciler
) -> None:
    number = house.chatwoot.agent_reply(1, "hi")
    why = "Hostname 'gateway' has no public ip addresses"
    api(house).update_status(1, number, Status.FAILED, why)
    assert reconciler.look() == 1
    house.drain()
    assert texts(house) == ["hi"]
    assert house.shown(number)["status"] == "sent"


def test_trap_30_a_deleted_conversation_is_told_by_nobody(house: House, online: WebServer) -> None:
    number = failed(house, by="refusal")
    store = house.chatwoot.store
    house.chatwoot.agent_retry(number)
    with store.changing():
        del store.conversations.rows[store.conversation(1, 1).id]
    house.customer_writes("anybody there?")
    calm(house)
    house.drain_until(lambda: house.chatwoot.conversations()[0]["id"] == 2)
    assert texts(house) == []


def test_trap_31_account_webhooks_tell_of_every_inbox(house: House, app: Flask) -> None:
    other = house.chatwoot.add_inbox("Another", None)
    contact = api(house).create_contact(other, "somebody", "Eve")
    conversation = api(house).create_conversation(other, contact.id, "somebody").id
    number = house.chatwoot.agent_reply(conversation, "not for us")
    told = webhook(house.chatwoot, conversation, number, "message_created")
    answer = app.test_client().post(path(house), json=told)
    assert (answer.status_code, answer.text) == (200, "ignored\n")
    house.drain()
    assert texts(house) == []


def test_trap_32_conversation_events_have_no_account(house: House, app: Flask) -> None:
    store = house.chatwoot.store
    house.chatwoot.agent_resolve(1)
    with store.reading():
        told = payloads.conversation_webhook(store, store.conversation(1, 1))
    assert "account" not in told
    answer = app.test_client().post(
        path(house), json={**told, "event": "conversation_status_changed"}
    )
    assert (answer.status_code, answer.text) == (200, "noted\n")
    house.customer_writes("a new question")
    house.drain()
    assert len(house.chatwoot.conversations()) == 2


def test_trap_33_a_deleted_reply_comes_with_a_notice_for_its_text(house: House) -> None:
    number = house.chatwoot.agent_reply(1, "oops")
    house.chatwoot.agent_delete(number)
    with house.chatwoot.store.changing():
        house.chatwoot.store.messages.get(number).content = "Diese Nachricht wurde gelöscht"
    assert house.told(number).startswith("withdrawn")
    house.drain()
    assert texts(house) == []


def test_trap_35_payloads_hold_a_credential(
    house: House, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    number = house.chatwoot.agent_reply(1, "hi")
    told = webhook(house.chatwoot, 1, number, "message_created")
    token = told["conversation"]["contact_inbox"]["pubsub_token"]
    assert token
    client = app.test_client()
    answers = [
        client.post(path(house), json=told),
        client.post(path(house), json={**told, "id": token}),
    ]
    lines = [json.dumps(vars(record), default=str) for record in caplog.records]
    kept = [json.dumps(house.store.hgetall(key)) for key in house.store.scan_iter("gw:msg:*")]
    assert kept
    assert lines
    assert not [text for text in (*lines, *kept, *(a.text for a in answers)) if token in text]
