"""Without a single webhook: all that agents do comes over Chatwoot's event stream."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import Any

import pytest
import redis
from pydantic import SecretStr

from gateway.chatwoot import cable as cable_module
from gateway.chatwoot.cable import Cable
from gateway.chatwoot.values import Contact
from gateway.chatwoot.webhook import read
from gateway.clock import event_listener
from gateway.clock.reconcile import Reconciler
from gateway.clock.stream_events import StreamEvents
from gateway.errors import Permanent, ServerTrouble
from gateway.lanes import KeyValues, Lanes, Ledger, Locks, Routes, ids, keys
from gateway.lanes.watermark import watermark_of
from sandbox.chatwoot.contacts import update_contact
from tests.relay.env import webhook
from tests.relay.stream_env import PHONE, StreamEnv, still, stream
from tests.waiting import until

__all__ = ["still", "stream"]

NEW = "+15551230002"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken connection is made anew at once."""
    monkeypatch.setattr(event_listener, "backoff", lambda failures: 0.05)


def texts(stream: StreamEnv, count: int) -> list[str]:
    return [part.text for part in stream.until_sent(count)]


def logged(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    return [vars(record)["gateway_fields"] for record in caplog.records if record.message == event]


def test_a_reply_arrives_and_is_told_once(stream: StreamEnv) -> None:
    number = stream.chatwoot.agent_reply(1, "good day")
    assert texts(stream, 1) == ["good day"]
    until(lambda: stream.env.lanes.client.hget(keys.COUNTS, "delivered_out|pagers") == "1")
    assert stream.shown(number)["status"] == "sent"
    # The webhook comes as well, as where both are set up.
    event = read(webhook(stream.chatwoot, 1, number, "message_created"))
    assert stream.env.intake.take_event(stream.channel, event) == "repeated"


def test_replies_in_a_row_leave_in_order(stream: StreamEnv) -> None:
    stream.chatwoot.cable.spread = 0.0
    wanted = [f"line {number}" for number in range(20)]
    for text in wanted:
        stream.chatwoot.agent_reply(1, text)
    assert texts(stream, 20) == wanted


def test_few_conversations_are_asked_for(stream: StreamEnv) -> None:
    show = ("GET", "/api/v1/accounts/{account}/conversations/{conversation}")
    before = stream.chatwoot.requests[show]
    for number in range(10):
        stream.chatwoot.agent_reply(1, f"line {number}")
    stream.until_sent(10)
    assert stream.chatwoot.requests[show] - before <= 1


def test_what_is_not_for_the_customer_costs_no_request(stream: StreamEnv) -> None:
    other = stream.chatwoot.add_inbox("Other", None)
    with stream.chatwoot.store.reading():
        [contact] = stream.chatwoot.store.contacts
    before = stream.chatwoot.requests.total()
    elsewhere = stream.chatwoot.agent_start_conversation(contact.id, other, "not ours")
    stream.chatwoot.agent_reply(elsewhere, "nor this")
    stream.chatwoot.agent_reply(1, "among ourselves", private=True)
    assert stream.chatwoot.requests.total() == before
    stream.chatwoot.agent_reply(1, "for the customer")
    assert texts(stream, 1) == ["for the customer"]


def test_a_deleted_reply_is_taken_back(stream: StreamEnv) -> None:
    number = stream.chatwoot.agent_reply(1, "oops")
    stream.until_sent(1)
    stream.chatwoot.agent_delete(number)
    assert stream.env.drain_until(lambda: stream.network.taken_back)


def test_retry_sends_again_once(stream: StreamEnv) -> None:
    stream.network.errors = [Permanent("off")]
    number = stream.chatwoot.agent_reply(1, "again, please")
    stream.env.drain_until(lambda: stream.shown(number)["status"] == "failed")
    stream.chatwoot.agent_retry(number)
    assert texts(stream, 1) == ["again, please"]
    stream.env.drain_until(lambda: stream.shown(number)["status"] == "sent")
    assert len(stream.network.sent) == 1


def test_typing_is_shown(stream: StreamEnv) -> None:
    stream.chatwoot.agent_typing(1)
    assert stream.env.drain_until(lambda: stream.network.shown) == [PHONE]


def test_a_resolved_conversation_is_looked_for_again(stream: StreamEnv) -> None:
    lane = ids.inbound_lane("pagers", PHONE)
    assert Routes(stream.env.store).get(lane).conversation == 1
    stream.chatwoot.agent_resolve(1)
    until(lambda: not Routes(stream.env.store).get(lane).conversation)


def test_a_conversation_that_an_agent_begins_reaches_the_contacts_phone(
    stream: StreamEnv,
) -> None:
    contact = _contact(stream)
    stream.chatwoot.agent_start_conversation(contact.id, stream.channel.config.inbox, "news")
    [part] = stream.until_sent(1)
    assert (part.peer, part.text) == (PHONE, "news")


def test_replies_go_to_the_phone_that_an_agent_enters(stream: StreamEnv) -> None:
    stream.chatwoot.agent_reply(1, "before")
    stream.until_sent(1)
    _edit(stream, phone_number=NEW)
    stream.chatwoot.agent_reply(1, "after")
    assert [part.peer for part in stream.until_sent(2)] == [PHONE, NEW]


def test_a_phone_that_changes_while_nobody_listens_counts_from_the_next_reply(
    stream: StreamEnv,
) -> None:
    stream.chatwoot.agent_reply(1, "before")
    stream.until_sent(1)
    stream.end()
    _edit(stream, phone_number=NEW)
    stream.chatwoot.agent_reply(1, "after")
    stream.stop.clear()
    stream.start_clock()
    assert [part.peer for part in stream.until_sent(2)] == [PHONE, NEW]


def test_a_phone_that_changes_while_the_connection_is_cut_counts_from_the_next_reply(
    stream: StreamEnv,
) -> None:
    stream.chatwoot.agent_reply(1, "before")
    stream.until_sent(1)
    stream.chatwoot.go_away()
    stream.chatwoot.cable.cut()
    until(lambda: stream.state is not None and not stream.state.connected)
    _edit(stream, phone_number=NEW)
    stream.chatwoot.come_back()
    stream.wait_until_connected()
    stream.chatwoot.agent_reply(1, "after")
    assert [part.peer for part in stream.until_sent(2)] == [PHONE, NEW]


def test_contacts_of_two_chatwoots_with_the_same_numbers_are_not_mixed_up(
    stream: StreamEnv,
) -> None:
    stream.chatwoot.agent_reply(1, "before")
    stream.until_sent(1)
    here = stream.clocks[0].contacts["main"]
    elsewhere = replace(here, account=here.account.model_copy(update={"name": "other"}))
    elsewhere.update(Contact(id=_contact(stream).id, phone=NEW))
    stream.chatwoot.agent_reply(1, "after")
    assert [part.peer for part in stream.until_sent(2)] == [PHONE, PHONE]
    assert here.values.get(keys.contact("main", 1)) != here.values.get(keys.contact("other", 1))


def test_what_was_written_while_the_connection_was_cut_arrives_in_order(
    stream: StreamEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def held(self: Reconciler, look: Any = Reconciler.look) -> int:
        asked.set()
        assert go_on.wait(10)
        return int(look(self))

    # The connection stands already when the younger reply is written, and the older is unknown.
    stream.chatwoot.cable.hold()
    stream.chatwoot.agent_reply(1, "one")
    monkeypatch.setattr(Reconciler, "look", held)
    stream.end()
    stream.stop.clear()
    stream.start_clock()
    assert asked.wait(10)
    stream.chatwoot.cable.release()
    stream.chatwoot.agent_reply(1, "two")
    stream.env.drain()
    assert stream.network.sent == [], "the stream was read before the look"
    go_on.set()
    assert texts(stream, 2) == ["one", "two"]


def test_a_cut_connection_is_made_anew(stream: StreamEnv) -> None:
    before = stream.chatwoot.cable.subscriptions()
    stream.chatwoot.cable.cut()
    stream.chatwoot.agent_reply(1, "still there?")
    assert texts(stream, 1) == ["still there?"]
    assert len(stream.chatwoot.cable.subscriptions()) == len(before) == 1


def test_silence_is_a_broken_connection(
    still: StreamEnv, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    patience = cable_module.SILENCE
    monkeypatch.setattr(cable_module, "SILENCE", 0.5)
    still.chatwoot.cable.ping_every = 0.1
    still.start_clock()
    still.wait_until_connected()
    still.chatwoot.cable.fall_silent()
    still.chatwoot.agent_reply(1, "lost on the way")
    until(lambda: logged(caplog, "stream_trouble"))
    assert "silent for 0.5 seconds" in logged(caplog, "stream_trouble")[0]["why"]
    # A busy machine may need half a second for the next connection.
    monkeypatch.setattr(cable_module, "SILENCE", patience)
    still.chatwoot.cable.speak_again()
    assert texts(still, 1) == ["lost on the way"]


def test_a_wrong_token_is_said_with_its_cure(
    still: StreamEnv, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cable_module, "CONFIRMED_WITHIN", 0.5)
    with still.chatwoot.store.changing():
        shown, held = still.chatwoot.administrator.pubsub_token, "another one than is shown"
        still.chatwoot.administrator.pubsub_token = held
    monkeypatch.setattr(
        event_listener,
        "Subscription",
        lambda account, user, _: cable_module.Subscription(account, user, SecretStr(shown)),
    )
    still.start_clock()
    [trouble, *_] = until(lambda: logged(caplog, "stream_trouble"))
    assert "does not confirm the subscription" in trouble["why"]
    assert "Check the account's number and token" in trouble["why"]
    state = still.state
    assert state is not None
    assert not state.connected
    assert state.why == trouble["why"]
    assert shown not in caplog.text
    assert held not in caplog.text


def test_a_chatwoot_that_is_away_is_asked_again(stream: StreamEnv) -> None:
    stream.chatwoot.go_away()
    stream.chatwoot.cable.cut()
    until(lambda: stream.state is not None and not stream.state.connected)
    stream.chatwoot.agent_reply(1, "written meanwhile")
    stream.chatwoot.come_back()
    assert texts(stream, 1) == ["written meanwhile"]
    stream.wait_until_connected()


def test_of_two_clocks_one_listens_and_the_other_takes_over(stream: StreamEnv) -> None:
    second = stream.start_clock()
    assert len(stream.chatwoot.cable.subscriptions()) == 1
    first = stream.clocks[0].listeners[0]
    first.release_lease()
    until(lambda: Locks(stream.env.store).lock(second._lock, _token(second), seconds=10))
    first.renew_lease()  # with the next tick: it is another clock's now
    stream.threads[0].join(0.1)
    until(lambda: second._holds_lease)
    until(lambda: not first._holds_lease)
    stream.chatwoot.agent_reply(1, "who hears this?")
    assert texts(stream, 1) == ["who hears this?"]
    until(lambda: len(stream.chatwoot.cable.subscriptions()) == 1)


def test_a_frame_that_cannot_be_read_ends_nothing_and_is_made_up_for_by_the_look(
    stream: StreamEnv, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    receive = Cable.receive
    spoiled: list[int] = []

    def spoil(self: Cable) -> Any:
        frame = receive(self)
        if frame is not None and frame.values.get("event") == "message.created" and not spoiled:
            spoiled.append(1)
            return replace(frame, values={"event": "message.created", "data": {"id": "?"}})
        return frame

    monkeypatch.setattr(Cable, "receive", spoil)
    stream.chatwoot.agent_reply(1, "unreadable")
    [line] = until(lambda: logged(caplog, "unreadable_frame"))
    assert "inbox_id" in line["why"]
    stream.chatwoot.agent_reply(1, "readable")
    assert texts(stream, 1) == ["readable"]
    chatwoot = stream.env.deliveries.chatwoots["main"]
    Reconciler(
        stream.channel,
        chatwoot,
        Ledger(stream.env.store),
        KeyValues(stream.env.store),
        stream.env.intake,
    ).look()
    assert texts(stream, 2) == ["readable", "unreadable"]


def test_nothing_is_read_on_while_redis_cannot_store(
    stream: StreamEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, refused = Lanes.append, threading.Event()

    def refuse(self: Lanes, *given: Any, **more: Any) -> Any:
        if not refused.is_set():
            refused.set()
            raise redis.ConnectionError("gone")
        return append(self, *given, **more)

    monkeypatch.setattr(Lanes, "append", refuse)
    stream.chatwoot.agent_reply(1, "one")
    stream.chatwoot.agent_reply(1, "two")
    assert refused.wait(10)
    assert texts(stream, 2) == ["one", "two"]


def test_an_inbox_that_cannot_be_looked_at_keeps_no_reply_waiting_for_ever(
    still: StreamEnv, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: Reconciler) -> int:
        raise ServerTrouble("one conversation is broken")

    monkeypatch.setattr(Reconciler, "look", fail)
    still.start_clock()
    still.wait_until_connected()
    still.chatwoot.agent_reply(1, "hello?")
    assert texts(still, 1) == ["hello?"]
    assert len(logged(caplog, "not_reconciled")) == event_listener.LOOKS


def test_a_fault_of_ours_is_logged_and_the_stream_goes_on(
    stream: StreamEnv, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    take, failed = StreamEvents.take, threading.Event()

    def stumble(self: StreamEvents, frame: Any) -> None:
        if not failed.is_set():
            failed.set()
            raise ZeroDivisionError("a bug")
        take(self, frame)

    monkeypatch.setattr(StreamEvents, "take", stumble)
    stream.chatwoot.agent_reply(1, "through all bugs")
    assert texts(stream, 1) == ["through all bugs"]
    records = [record for record in caplog.records if record.message == "stream_trouble"]
    assert records[0].levelno == logging.ERROR


def test_the_user_of_the_token_does_not_look_online(
    still: StreamEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[dict[str, str]] = []
    send = Cable._send

    def noted(self: Cable, command: dict[str, str]) -> None:
        said.append(command)
        send(self, command)

    monkeypatch.setattr(Cable, "_send", noted)
    still.start_clock()
    still.wait_until_connected()
    still.chatwoot.agent_reply(1, "hello?")
    still.until_sent(1)
    assert {each["command"] for each in said} == {"subscribe"}


def test_the_first_connection_leaves_old_replies_alone(still: StreamEnv) -> None:
    still.chatwoot.agent_reply(1, "long ago")
    still.start_clock()
    still.wait_until_connected()
    until(lambda: watermark_of(KeyValues(still.env.store), "pagers"))
    still.chatwoot.agent_reply(1, "now")
    assert texts(still, 1) == ["now"]


def _contact(stream: StreamEnv) -> Any:
    with stream.chatwoot.store.reading():
        [contact] = stream.chatwoot.store.contacts
        return contact


def _edit(stream: StreamEnv, **fields: Any) -> None:
    store, contact = stream.chatwoot.store, _contact(stream)
    with store.changing():
        update_contact(store, contact, fields)


def _token(listener: event_listener.EventListener) -> str:
    return listener._token
