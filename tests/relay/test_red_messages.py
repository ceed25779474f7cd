"""What Chatwoot marks as failed because it could not call us does not stay so."""

from __future__ import annotations

import pytest

from gateway.clock.reconcile import Reconciler
from gateway.errors import Permanent
from gateway.lanes import KeyValues, Ledger, keys
from sandbox.chatwoot.messages import update_status
from tests.relay.env import Env

NOBODY = "http://127.0.0.1:1/chatwoot"
AT_ONCE = 3
"""As often Chatwoot is told without delay: prelude/statuses.lua."""


@pytest.fixture
def reconciler(env: Env) -> Reconciler:
    way = env.deliveries.chatwoots["main"]
    return Reconciler(env.channel, way, Ledger(env.store), KeyValues(env.store), env.intake)


@pytest.fixture
def web_is_away(env: Env) -> None:
    """Chatwoot calls an address at which nobody listens."""
    env.chatwoot.set_webhook(env.channel.config.inbox, NOBODY)


def web_returns(env: Env) -> None:
    assert env.chatwoot.wait_for_webhooks(10)
    env.chatwoot.set_webhook(env.channel.config.inbox, "")


def status(env: Env, message: int) -> str:
    return str(env.shown(message)["status"])


def chatwoot_marks(env: Env, message: int) -> None:
    """It could not call us about a change of the message."""
    store = env.chatwoot.store
    with store.changing():
        update_status(store, store.messages.get(message), "failed", "Connection refused")


def customers_message(env: Env) -> int:
    return next(int(m["id"]) for m in env.chatwoot.messages(1) if m["message_type"] == 0)


@pytest.fixture
def red(env: Env, web_is_away: None) -> int:
    """A customer's message that came while web was away."""
    env.customer_writes("hello")
    env.drain()
    web_returns(env)
    number = customers_message(env)
    assert status(env, number) == "failed"
    return number


def test_a_customers_message_is_set_back_when_the_webhook_says_so(env: Env, red: int) -> None:
    assert env.told(red, event="message_updated") == "noted:marked_failed"
    env.drain()
    assert status(env, red) == "sent"
    assert not env.shown(red)["content_attributes"].get("external_error")


def test_a_customers_message_is_set_back_by_the_next_look(
    env: Env, red: int, reconciler: Reconciler
) -> None:
    reconciler.look()  # meets the inbox: the message is below the mark from now on
    assert reconciler.look() == 0
    env.drain()
    assert status(env, red) == "sent"


def test_what_was_marked_again_is_set_back_again(env: Env, red: int) -> None:
    for _ in range(2):
        env.told(red, event="message_updated")
        env.drain()
        assert status(env, red) == "sent"
        chatwoot_marks(env, red)


def test_what_our_own_word_marks_again_is_told_less_and_less_often(env: Env, red: int) -> None:
    for _ in range(AT_ONCE):
        env.told(red, event="message_updated")
        env.drain()
        assert status(env, red) == "sent"
        chatwoot_marks(env, red)
    env.told(red, event="message_updated")
    env.drain()
    assert status(env, red) == "failed"
    env.make_due()
    env.drain()
    assert status(env, red) == "sent"


def test_retry_below_a_customers_message_sends_nothing(env: Env, red: int) -> None:
    env.told(red, event="message_updated")
    env.drain()
    env.chatwoot.agent_retry(red)
    assert env.told(red, event="message_updated").startswith("ignored")
    env.drain()
    assert env.network.sent == []
    assert status(env, red) == "sent"


def test_a_note_of_ours_is_set_back(env: Env, reconciler: Reconciler, web_is_away: None) -> None:
    env.customer_writes("hello")
    env.drain()
    note = env.chatwoot.agent_reply(1, "between us", private=True)
    web_returns(env)
    assert status(env, note) == "failed"
    reconciler.look()
    reconciler.look()
    env.drain()
    assert status(env, note) == "sent"


def test_a_reply_that_waits_is_set_back_before_it_is_sent(env: Env, reconciler: Reconciler) -> None:
    env.customer_writes("hello")
    env.drain()
    reconciler.look()
    env.chatwoot.set_webhook(env.channel.config.inbox, NOBODY)
    replies = [env.chatwoot.agent_reply(1, "one"), env.chatwoot.automatic_reply(1, "We are closed")]
    web_returns(env)
    assert [status(env, reply) for reply in replies] == ["failed", "failed"]
    assert reconciler.look() == 2
    # They wait, for a closed gate perhaps.
    env.store.zadd(keys.due("channel/cards"), {"out/cards/1": 2e13})
    env.drain()
    assert env.network.sent == []
    assert [status(env, reply) for reply in replies] == ["sent", "sent"]
    env.make_due()
    env.drain()
    assert len(env.network.sent) == 2
    assert [status(env, reply) for reply in replies] == ["sent", "sent"]


def test_an_old_reply_that_was_marked_is_set_back(env: Env, reconciler: Reconciler) -> None:
    """A receipt was told while web was away: the reply is far below the mark by then."""
    env.customer_writes("hello")
    env.drain()
    reply = env.agent_replies("one")
    env.drain()
    reconciler.look()
    chatwoot_marks(env, reply)
    assert reconciler.look() == 0
    env.drain()
    assert status(env, reply) == "sent"


def test_what_the_channel_refused_stays_red(env: Env, reconciler: Reconciler) -> None:
    env.customer_writes("hello")
    env.drain()
    reconciler.look()
    env.network.errors.append(Permanent("The customer has blocked us"))
    reply = env.agent_replies("one")
    env.drain()
    assert status(env, reply) == "failed"
    env.told(reply, event="message_updated")
    reconciler.look()
    env.drain()
    assert status(env, reply) == "failed"
