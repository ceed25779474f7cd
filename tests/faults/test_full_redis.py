"""Redis is full, of somebody else's data too: nothing more is taken, and what was taken drains."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import requests

from gateway import config
from gateway.intake.doorbell import Doorbell, queue_key
from gateway.intake.intake import Intake
from gateway.lanes import Lanes, keys
from gateway.model import Inbound, Person
from gateway.observability.heartbeat import last_heartbeats
from gateway.storage.connections import connect
from gateway.storage.embedded import EmbeddedValkey
from sandbox.chatwoot import ChatwootStandIn
from sandbox.ports import free_ports
from tests.faults.roles import (
    HOOK,
    SIGNED,
    answers,
    posted,
    running,
    write_settings,
)
from tests.waiting import until

MEGABYTE = 1024 * 1024
LIMIT = 24 * MEGABYTE
PEERS, EACH = 40, 5


@pytest.fixture
def small(tmp_path: Path) -> Iterator[redis.Redis]:
    """A server that may take 24 MB."""
    server = EmbeddedValkey(tmp_path / "small")
    server.prepare()
    process = subprocess.Popen([*server.command(), "--maxmemory", str(LIMIT)])
    client = connect(server.url, connections=4, retries=20)
    client.client_setname(server.url)
    yield client
    client.close()
    process.kill()
    process.wait()


def _url(small: redis.Redis) -> str:
    return str(small.client_getname())


def _fill(small: redis.Redis, share: float) -> None:
    """With data that are not the gateway's, up to a share of the limit; 1: until nothing fits."""
    with contextlib.suppress(redis.OutOfMemoryError):
        while share == 1 or small.info("memory")["used_memory"] < share * LIMIT:
            small.rpush("somebody else's", "x" * 65536)


@pytest.mark.parametrize("share", [0.9, 1])
def test_a_full_redis_drains(tmp_path: Path, small: redis.Redis, share: float) -> None:
    with contextlib.ExitStack() as stack:
        chatwoot = stack.enter_context(ChatwootStandIn(flood_limit=None))
        file = write_settings(tmp_path, chatwoot)
        (port,) = free_ports(1)
        address = f"http://127.0.0.1:{port}"
        environ = {"REDIS_URL": _url(small), "GATEWAY_BIND": f"127.0.0.1:{port}"}
        names = [f"peer{who}-{n}" for n in range(EACH) for who in range(PEERS)]
        channel = config.load(file, environ).channels["shop"]
        messages = [Inbound(n, n.split("-")[0], n, Person(name=n.split("-")[0])) for n in names]
        Intake(Lanes(small, queue_key()), Doorbell(small)).take(channel, messages)
        small.delete(queue_key())  # nobody has rung
        _fill(small, share)
        processes = [
            stack.enter_context(running(role, file, environ)) for role in ("web", "worker", "clock")
        ]
        until(lambda: answers(address))
        body = {"id": "late", "from": "ann", "text": "late"}
        assert requests.post(address + HOOK, json=body, headers=SIGNED).status_code == 503
        done = "delivered_in|shop"
        until(lambda: small.hget(keys.COUNTS, done) == str(len(names)), 60)
        expected = {f"peer{who}": [f"peer{who}-{n}" for n in range(EACH)] for who in range(PEERS)}
        assert posted(chatwoot) == expected
        until(lambda: set(last_heartbeats(small)) == {"web", "worker", "clock"})
        assert requests.post(address + HOOK, json=body, headers=SIGNED).status_code == 503
        small.delete("somebody else's")
        until(lambda: requests.post(address + HOOK, json=body, headers=SIGNED).ok)
        until(lambda: posted(chatwoot).get("ann") == ["late"])
        assert [process.poll() for process in processes] == [None, None, None]
