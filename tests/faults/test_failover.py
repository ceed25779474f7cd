"""Redis fails over to a replica under the running gateway, which goes on by itself."""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path

import requests

from faults.replicated import ReplicatedRedis
from gateway import config
from gateway.intake.doorbell import Doorbell, queue_key
from gateway.intake.intake import Intake
from gateway.lanes import Lanes, keys
from gateway.model import Inbound, Person
from gateway.storage.connections import connect
from sandbox.chatwoot import ChatwootStandIn
from sandbox.ports import free_ports
from tests.faults.roles import HOOK, SIGNED, answers, posted, running, write_settings
from tests.waiting import until

PEERS, BEFORE, AFTER = 20, 10, 5
EXPECTED = {f"peer{who}": [f"{who}-{n}" for n in range(BEFORE + AFTER)] for who in range(PEERS)}


def test_the_primary_is_killed_under_load(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(ReplicatedRedis(tmp_path))
        chatwoot = stack.enter_context(ChatwootStandIn(flood_limit=None))
        file = write_settings(tmp_path, chatwoot)
        (port,) = free_ports(1)
        address = f"http://127.0.0.1:{port}"
        environ = {**store.environ, "GATEWAY_BIND": f"127.0.0.1:{port}"}
        processes = [
            stack.enter_context(running(role, file, environ)) for role in ("web", "worker", "clock")
        ]
        until(lambda: answers(address))
        refused = sum(_send(address, who, n) for n in range(BEFORE) for who in range(PEERS))
        assert refused == 0
        until(lambda: len(posted(chatwoot)) == PEERS)
        store.wait_for_replica()
        old = store.kill_primary()
        refused = sum(_send(address, who, BEFORE) for who in range(PEERS))
        assert refused > 0, "it must have been noticed"
        store.wait_for_new_primary(old)
        for n in range(BEFORE + 1, BEFORE + AFTER):
            for who in range(PEERS):
                _send(address, who, n)
        until(lambda: posted(chatwoot) == EXPECTED, 60)
        assert [process.poll() for process in processes] == [None, None, None]


def test_what_the_replica_did_not_know_is_not_posted_twice(tmp_path: Path) -> None:
    """The replica is away while messages are delivered: their marks and acks are lost."""
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(ReplicatedRedis(tmp_path))
        chatwoot = stack.enter_context(ChatwootStandIn(flood_limit=None))
        file = write_settings(tmp_path, chatwoot)
        channel = config.load(file, store.environ).channels["shop"]
        client = connect(store.url, connections=2, retries=9)
        intake = Intake(Lanes(client, queue_key()), Doorbell(client))
        first, *rest = ([f"peer{who}-{n}" for who in range(PEERS)] for n in range(4))
        with running("worker", file, store.environ) as worker:
            intake.take(channel, [_inbound(name) for name in first])
            until(lambda: _all_posted(chatwoot) == sorted(first))
            worker.send_signal(signal.SIGTERM)
            worker.wait(30)
        waiting = [name for names in rest for name in names]
        intake.take(channel, [_inbound(name) for name in waiting])
        store.wait_for_replica()
        replica = next(server for server in store.servers if server is not store.primary)
        replica.kill()
        stack.enter_context(running("worker", file, store.environ))
        until(lambda: _all_posted(chatwoot) == sorted([*first, *waiting]))
        old = store.kill_primary()
        store.start(replica)
        store.wait_for_new_primary(old)
        assert client.zcard(keys.lane("in/shop/peer0")) == 3, "they wait again"
        until(lambda: client.hget(keys.COUNTS, "delivered_in|shop") == str(PEERS * 4), 60)
        assert _all_posted(chatwoot) == sorted([*first, *waiting])
        assert client.hget(keys.COUNTS, "uncertain|shop") == str(PEERS * 3)


def _inbound(name: str) -> Inbound:
    peer, _ = name.split("-")
    return Inbound(name, peer, name, Person(name=peer))


def _all_posted(chatwoot: ChatwootStandIn) -> list[str]:
    return sorted(text for texts in posted(chatwoot).values() for text in texts)


def _send(address: str, who: int, n: int) -> int:
    """One webhook, repeated until it is taken, as networks do. Returns how often it was not."""
    body = {"id": f"{who}-{n}", "from": f"peer{who}", "text": f"{who}-{n}"}
    deadline, refused = time.monotonic() + 30, 0
    while True:
        answer = requests.post(address + HOOK, json=body, headers=SIGNED, timeout=30)
        if answer.status_code == 200:
            return refused
        assert answer.status_code == 503 and time.monotonic() < deadline
        refused += 1
        time.sleep(0.05)
