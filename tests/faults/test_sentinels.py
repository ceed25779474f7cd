"""Clients of a Redis behind sentinels, and what `check` and `doctor` say of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from faults.replicated import NAME, ReplicatedRedis
from gateway.config.sentinels import Sentinels, from_url
from gateway.lanes import KeyValues, Lanes
from gateway.setup.checks.redis import look_at_storage
from gateway.setup.checks.sentinels import look_at_sentinels
from gateway.storage.connections import connect, connect_worker
from gateway.storage.durability import look_at


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ReplicatedRedis]:
    with ReplicatedRedis(tmp_path) as store:
        yield store


def test_a_command_is_repeated_where_the_primary_is_now(store: ReplicatedRedis) -> None:
    client = connect(store.url, connections=1, timeout=1, retries=9)
    lanes = Lanes(client, "queue")
    KeyValues(lanes.client).set("before", "1")
    store.wait_for_replica()
    old = store.primary
    old.pause()  # silent, but its connections stay
    began = time.monotonic()
    KeyValues(lanes.client).set("after", "2")
    assert time.monotonic() - began < 8
    assert (KeyValues(lanes.client).get("before"), KeyValues(lanes.client).get("after")) == (
        "1",
        "2",
    )
    assert store.primary is not old
    old.resume()


def test_a_worker_that_listens_hears_the_new_primary(store: ReplicatedRedis) -> None:
    listening = connect_worker(store.url, timeout=70)
    heard: list[object] = []
    thread = threading.Thread(target=lambda: heard.append(listening.blpop(["rung"], timeout=60)))
    thread.start()
    store.wait_for_replica()
    store.wait_for_new_primary(store.kill_primary())
    connect(store.url, connections=1, retries=3).rpush("rung", "1")
    thread.join(20)
    assert heard == [(b"rung", b"1")]


def test_no_more_connections_than_asked_for(store: ReplicatedRedis) -> None:
    client = connect(store.url, connections=2, retries=0)
    served: list[object] = []

    def wait() -> None:
        served.append(client.blpop(["nothing"], timeout=0.3))

    threads = [threading.Thread(target=wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    most = 0
    while any(thread.is_alive() for thread in threads):
        clients = store.primary.client.client_list()
        most = max(most, sum(each["cmd"] == "blpop" for each in clients))
    assert most == 2
    assert served == [None] * 5, "whoever found none free has waited"


def test_what_a_fail_over_would_suffer_from(store: ReplicatedRedis) -> None:
    assert [doubt.text for doubt in look_at_sentinels(store.url)] == [
        "a primary that is cut off keeps accepting messages, which a fail-over then loses"
    ]
    store.primary.client.config_set("min-replicas-to-write", 1)
    assert not list(look_at_sentinels(store.url))
    said = {finding.check: finding.text for finding in look_at_storage(store.url)}
    assert said["fail-over"] == "all sentinels agree, and there is a replica"
    store.sentinels[2].kill()
    (doubt,) = look_at_sentinels(store.url)
    assert doubt.text.endswith("does not answer: ConnectionError")
    first, second, _ = from_url(store.url).addresses
    (doubt,) = look_at_sentinels(Sentinels((first, second), NAME).url)
    assert doubt.text == "REDIS_SENTINELS names only 2"


def test_a_name_that_nobody_knows(store: ReplicatedRedis) -> None:
    url = Sentinels(from_url(store.url).addresses, "other").url
    (problem,) = look_at(url).problems
    assert str(problem).startswith(
        "environment: REDIS_SENTINELS: no sentinel knows a live primary named «other»"
    )
    (finding,) = look_at_storage(url)
    assert finding.text == problem.wrong
    with pytest.raises(redis.ConnectionError):
        connect(url, connections=1, retries=0).ping()
