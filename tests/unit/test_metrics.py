"""Counts and signs of life, and their form for Prometheus."""

from __future__ import annotations

import pytest
import redis

from gateway.lanes import keys
from gateway.observability.heartbeat import Heartbeat, last_heartbeats
from gateway.observability.metrics import Counts, GatewayCollector, exposition
from gateway.storage.connections import connect
from tests.waiting import until


def scrape(store: redis.Redis) -> list[str]:
    return exposition(GatewayCollector(store, ["shop"])).decode().splitlines()


def test_counts_are_counters_by_channel(store: redis.Redis) -> None:
    counts = Counts(store)
    for channel in ("shop", "shop", 'with "quotes"'):
        counts.add("ignored", channel)
    lines = scrape(store)
    assert "# TYPE gateway_ignored_total counter" in lines
    assert 'gateway_ignored_total{channel="shop"} 2.0' in lines
    assert r'gateway_ignored_total{channel="with \"quotes\""} 1.0' in lines


def test_delivery_seconds_are_a_sum_beside_their_count(store: redis.Redis) -> None:
    store.hset(keys.COUNTS, mapping={"delivered_in|shop": 4, "seconds_in|shop": "1.25"})
    lines = scrape(store)
    assert 'gateway_delivery_seconds_count{channel="shop",kind="in"} 4.0' in lines
    assert 'gateway_delivery_seconds_sum{channel="shop",kind="in"} 1.25' in lines
    assert not any("gateway_seconds" in line for line in lines)


def test_what_is_no_count_is_left_out(store: redis.Redis) -> None:
    before = [line for line in scrape(store) if " counter" in line]
    store.hset(keys.COUNTS, mapping={"Strange name|shop": 1, "nobar": 2})
    assert [line for line in scrape(store) if " counter" in line] == before


def test_gates_dead_letters_and_ages_are_gauges(store: redis.Redis) -> None:
    store.sadd(keys.DESTINATIONS, "channel/shop", "chatwoot/main")
    store.hset(keys.gate("channel/shop"), mapping={"state": "closed", "since": 0})
    store.xadd(keys.DEAD_LETTERS, {"id": "x"})
    lines = scrape(store)
    assert 'gateway_gate_closed{destination="channel/shop"} 1.0' in lines
    assert 'gateway_gate_closed{destination="chatwoot/main"} 0.0' in lines
    assert "gateway_dead_letters 1.0" in lines
    assert 'gateway_oldest_message_seconds{channel="shop",direction="out"} 0.0' in lines


def test_a_scrape_without_redis_fails_loudly_and_a_count_quietly() -> None:
    nowhere = connect("redis://127.0.0.1:1/0", connections=1, retries=0)
    Counts(nowhere).add("ignored", "shop")
    with pytest.raises(redis.ConnectionError):
        scrape(nowhere)


def test_the_newest_sign_of_life_of_each_role(store: redis.Redis) -> None:
    now = store.time()[0]
    for name, age in {
        "worker:a:1": 100,
        "worker:a:2": 20,
        "worker:a:4": 300,
        "clock:a:3": 4000,
    }.items():
        store.hset(keys.HEARTBEATS, name, now - age)
    ages = last_heartbeats(store)
    assert 20 <= ages["worker"] < 60
    assert ages["clock"] >= 4000, "it stays dead until another one lives"


def test_a_beat_forgets_those_of_its_role_that_are_long_gone(store: redis.Redis) -> None:
    now = store.time()[0]
    ages = {"web:a:3": 4000, "web:a:4": 100, "worker:a:1": 4000}
    store.hset(keys.HEARTBEATS, mapping={name: now - age for name, age in ages.items()})
    Heartbeat(store, "web").beat()
    names = sorted(store.hkeys(keys.HEARTBEATS))
    assert [str(name).split(":")[0] for name in names] == ["web", "web", "worker"]
    assert "web:a:3" not in names


def test_a_started_heart_goes_on_beating(store: redis.Redis) -> None:
    heart = Heartbeat(store, "web", every=0.01)
    heart.start()
    try:
        for _ in range(2):
            until(lambda: bool(store.hkeys(keys.HEARTBEATS)))
            store.delete(keys.HEARTBEATS)
        until(lambda: bool(store.hkeys(keys.HEARTBEATS)))
    finally:
        heart.stop()
