"""When Chatwoot cannot call the gateway its own words tell why, and the log names both cures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.chatwoot.failed_calls import explain
from gateway.clock.reconcile import Reconciler
from gateway.lanes import KeyValues, Ledger
from gateway.lanes.failed_calls import noted_call
from tests.relay.env import Env
from tests.waiting import until


@pytest.fixture
def reconciler(env: Env) -> Reconciler:
    """A customer has written, and the inbox was met. From now on it calls the gateway."""
    env.customer_writes("hello")
    env.drain()
    way = env.deliveries.chatwoots["main"]
    found = Reconciler(env.channel, way, Ledger(env.store), KeyValues(env.store), env.intake)
    found.look()
    env.chatwoot.set_webhook(env.channel.config.inbox, env.settings.chatwoot_url(env.channel))
    return found


def warnings(caplog: pytest.LogCaptureFixture) -> list[Mapping[str, Any]]:
    return [
        vars(record)["gateway_fields"]
        for record in caplog.records
        if record.message == "not_called"
    ]


def reply_that_nobody_hears_of(env: Env, text: str) -> int:
    number = env.chatwoot.agent_reply(1, text)
    until(lambda: env.shown(number)["status"] == "failed")
    return number


def test_a_private_address_that_chatwoot_refuses(
    env: Env, reconciler: Reconciler, caplog: pytest.LogCaptureFixture
) -> None:
    env.chatwoot.webhooks.private_network = False
    number = reply_that_nobody_hears_of(env, "good day")
    assert reconciler.look() == 1
    [warning] = warnings(caplog)
    assert warning["message"] == number
    assert "because public_url is a private address" in warning["why"]
    assert "Hostname '127.0.0.1' has no public ip addresses" in warning["why"]
    assert "SAFE_FETCH_ALLOW_PRIVATE_NETWORK=true" in warning["cure"]
    assert 'events = "websocket"' in warning["cure"]
    reconciler.look()
    assert len(warnings(caplog)) == 1, "once for each message"


def test_an_address_where_nobody_listens(
    env: Env, reconciler: Reconciler, caplog: pytest.LogCaptureFixture
) -> None:
    reply_that_nobody_hears_of(env, "good day")
    reconciler.look()
    [warning] = warnings(caplog)
    assert "Chatwoot cannot reach the gateway at public_url" in warning["why"]


def test_a_customers_message_tells_it_too(
    env: Env, reconciler: Reconciler, caplog: pytest.LogCaptureFixture
) -> None:
    env.customer_writes("anybody there?")
    env.drain()
    until(lambda: env.chatwoot.messages(1)[-1]["status"] == "failed")
    reconciler.look()
    assert len(warnings(caplog)) == 1


def test_a_reply_that_we_were_told_of_ends_it(
    env: Env, reconciler: Reconciler, caplog: pytest.LogCaptureFixture
) -> None:
    reply_that_nobody_hears_of(env, "unheard")
    reconciler.look()
    assert noted_call(KeyValues(env.store), "cards") is not None
    env.drain()
    reconciler.look()
    assert noted_call(KeyValues(env.store), "cards") is not None, "it was found by a look, not told"
    env.chatwoot.webhooks.stop()
    env.agent_replies("heard")
    reconciler.look()
    assert noted_call(KeyValues(env.store), "cards") is None
    assert len(warnings(caplog)) == 1


def test_a_failure_before_the_last_call_that_reached_us_is_over(
    env: Env, reconciler: Reconciler, caplog: pytest.LogCaptureFixture
) -> None:
    reply_that_nobody_hears_of(env, "while we restarted")
    env.chatwoot.webhooks.stop()
    env.agent_replies("heard")
    assert reconciler.look() == 1
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("Hostname 'gateway' has no public ip addresses", "private address"),
        (
            "Failed to open TCP connection to gateway:80 (getaddrinfo: Name or service not known)",
            "cannot reach",
        ),
        ("Timed out connecting to server", "cannot reach"),
        ("404 Not Found", "something else"),
        ("502 Bad Gateway", "something else"),
        ("301 Moved Permanently", "something else"),
        (
            "SSL_connect returned=1 errno=0 peeraddr=1.2.3.4:443 state=error: certificate verify "
            "failed (self-signed certificate)",
            "certificate",
        ),
    ],
)
def test_chatwoots_words(words: str, cause: str) -> None:
    meant = explain(words)
    assert meant is not None
    assert cause in meant.cause
    assert 'events = "websocket"' in meant.cure


@pytest.mark.parametrize(
    "words",
    [
        "",
        "Timed out reading data from server",
        "503 Service Unavailable",
        "The customer has blocked the bot",
        "Refused 8 times while other messages passed: 404 Not Found",
    ],
)
def test_what_says_nothing_of_that(words: str) -> None:
    """A gateway that is slow, or without its Redis, is reached; other words are our own."""
    assert explain(words) is None
