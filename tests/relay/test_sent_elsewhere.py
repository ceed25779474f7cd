"""What the owner typed on their phone, and another integration stored: nobody gets it twice."""

from __future__ import annotations

import pytest

from gateway.chatwoot.webhook import read
from gateway.clock.reconcile import Reconciler
from gateway.lanes import KeyValues, Ledger, keys
from gateway.model import Status
from gateway.relay.to_chatwoot.retry_button import STORED_BY_ANOTHER
from sandbox.chatwoot.messages import update_status
from tests.relay.env import Env, webhook
from tests.relay.stream_env import StreamEnv, still, stream
from tests.waiting import until

__all__ = ["still", "stream"]


@pytest.fixture(autouse=True)
def somebody_wrote(env: Env) -> None:
    env.customer_writes("hello")
    env.drain()


@pytest.fixture
def reconciler(env: Env) -> Reconciler:
    way = env.deliveries.chatwoots["main"]
    made = Reconciler(env.channel, way, Ledger(env.store), KeyValues(env.store), env.intake)
    made.look()
    return made


def typed_on_the_phone(env: Env) -> int:
    return env.chatwoot.reply_from_phone(1, "see you at five", "wa-77")


def marks_failed(env: Env, number: int) -> None:
    """Chatwoot could not call us about it."""
    with env.chatwoot.store.changing():
        message = env.chatwoot.store.messages.get(number)
        update_status(env.chatwoot.store, message, "failed", "500 Internal Server Error")


def presses_retry(env: Env, number: int) -> None:
    env.chatwoot.agent_retry(number)
    env.told(number, event="message_updated")
    env.drain()


@pytest.mark.parametrize("event", ["message_created", "message_updated"])
def test_a_webhook_about_it_sends_nothing(env: Env, event: str) -> None:
    assert env.told(typed_on_the_phone(env), event=event) == "ignored:sent_elsewhere"
    env.drain()
    assert env.network.sent == []


def test_the_look_does_not_send_it(env: Env, reconciler: Reconciler) -> None:
    typed_on_the_phone(env)
    assert reconciler.look() == 0
    env.drain()
    assert env.network.sent == []


def test_the_event_stream_does_not_send_it(stream: StreamEnv) -> None:
    number = stream.chatwoot.reply_from_phone(1, "see you at five", "wa-77")
    until(lambda: stream.env.store.exists(keys.tombstone(f"o:pagers:{number}")))
    stream.chatwoot.agent_reply(1, "an ordinary reply")
    assert [part.text for part in stream.until_sent(1)] == ["an ordinary reply"]


def test_retry_below_it_sends_nothing(env: Env, reconciler: Reconciler) -> None:
    number = typed_on_the_phone(env)
    env.told(number)
    marks_failed(env, number)
    presses_retry(env, number)
    assert reconciler.look() == 0
    env.drain()
    assert env.network.sent == []


def test_retry_below_one_that_only_the_look_has_seen_sends_nothing(
    env: Env, reconciler: Reconciler
) -> None:
    number = typed_on_the_phone(env)
    marks_failed(env, number)
    reconciler.look()
    env.drain()
    assert env.shown(number)["status"] == Status.SENT, "it is not red for ever"
    presses_retry(env, number)
    assert reconciler.look() == 0
    env.drain()
    assert env.network.sent == []


def test_retry_below_one_that_nobody_has_seen_is_refused_with_a_reason(
    env: Env, reconciler: Reconciler
) -> None:
    number = typed_on_the_phone(env)
    marks_failed(env, number)
    presses_retry(env, number)
    shown = env.shown(number)
    assert shown["status"] == Status.FAILED
    assert shown["content_attributes"]["external_error"] == STORED_BY_ANOTHER
    assert reconciler.look() == 0
    env.drain()
    assert env.network.sent == []


def test_a_reply_of_another_program_that_is_no_echo_is_sent(env: Env) -> None:
    """An integration may give what it writes an id of its own."""
    number = typed_on_the_phone(env)
    told = webhook(env.chatwoot, 1, number, "message_created") | {"content_attributes": {}}
    assert env.intake.take_event(env.channel, read(told)) == "accepted"
