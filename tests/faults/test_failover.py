"""Redis fails over to a replica under the running gateway, which goes on by itself."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import requests

from sandbox.chatwoot import ChatwootStandIn
from tests.faults.roles import HOOK, SIGNED, posted, running, until, write_settings
from tests.replicated_redis import ReplicatedRedis, free_ports

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
        until(lambda: _answers(address))
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


def _answers(address: str) -> bool:
    with contextlib.suppress(requests.ConnectionError):
        return requests.get(f"{address}/healthz", timeout=5).ok
    return False
