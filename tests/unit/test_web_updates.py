"""Webhooks that change nothing cost next to nothing: a thousand come when two contacts are merged,
or when a customer has read what was sent."""

from __future__ import annotations

from typing import Any, cast

import pytest
import redis
from flask.testing import FlaskClient

from gateway.lanes import KeyValues, keys
from gateway.lanes.watermark import Watermark, set_watermark
from gateway.observability import metrics
from tests.unit.web_kit import chatwoot_path, counts, make_app, post, reply

OURS = {"config|resetstat", "flushall", "flushdb", "info"}
"""Commands of the test itself."""
MANY = 100


@pytest.fixture
def client(store: redis.Redis, redis_url: str) -> FlaskClient:
    return make_app(store, redis_url).test_client()


def commands(store: redis.Redis) -> dict[str, int]:
    """How often each command was run since `watch`."""
    told: Any = store.info("commandstats")
    counted = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in told.items()}
    return {name: times for name, times in counted.items() if name not in OURS}


def updates(client: FlaskClient, **changes: Any) -> None:
    told = reply(event="message_updated", **changes)
    for _ in range(MANY):
        assert post(client, told, chatwoot_path()).text == "ignored\n"


def test_updates_of_customers_messages_are_counted_and_nothing_else(
    client: FlaskClient, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "WRITE_EVERY", float("inf"))
    store.config_resetstat()
    updates(client, message_type="incoming", sender={"id": 3, "name": "Ada"})
    assert commands(store) == {}
    assert set(store.keys()) <= {keys.CLOCK}


def test_updates_of_replies_that_did_not_fail_are_one_look_each(
    client: FlaskClient, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(client, reply(), chatwoot_path())
    before = {key: store.type(key) for key in cast(list[str], store.keys())}
    store.delete("rq:queue:gateway")
    monkeypatch.setattr(metrics, "WRITE_EVERY", float("inf"))
    store.config_resetstat()
    updates(client)
    assert commands(store) == {"hmget": MANY}
    assert store.llen("rq:queue:gateway") == 0, "nobody is rung for"
    assert {key: store.type(key) for key in cast(list[str], store.keys())}.items() <= before.items()


def test_updates_of_replies_from_before_our_time_are_two_looks_each(
    client: FlaskClient, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_watermark(KeyValues(store), "shop", Watermark(message=5000, since=0.0, looked=0.0))
    monkeypatch.setattr(metrics, "WRITE_EVERY", float("inf"))
    store.config_resetstat()
    updates(client)
    assert commands(store) == {"get": MANY, "hmget": MANY}
    assert store.keys() == [keys.watermark("shop")]


def test_a_reply_that_may_have_been_missed_is_looked_up(
    client: FlaskClient, store: redis.Redis
) -> None:
    set_watermark(KeyValues(store), "shop", Watermark(message=1, since=0.0, looked=0.0))
    told = reply(event="message_updated")
    assert post(client, told, chatwoot_path()).text == "accepted\n"
    assert store.llen("rq:queue:gateway") == 1


def test_what_is_ignored_is_written_once_a_second(
    store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    frequent = metrics.Counts(store)
    for _ in range(MANY):
        frequent.add_soon("ignored_events", "shop")
    assert counts(store) == {"ignored_events|shop": "1"}
    monkeypatch.setattr(metrics, "WRITE_EVERY", 0.0)
    frequent.add_soon("ignored_events", "shop")
    assert counts(store) == {"ignored_events|shop": str(MANY + 1)}
