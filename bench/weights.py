"""What a message and a person weigh in Redis, what they cost in calls, how large processes are."""

from __future__ import annotations

import subprocess
import sys

import redis
import requests

from bench.env import Env, env, peak_megabytes, peer, run_process, valkey, web
from bench.rows import Count, Row
from gateway.lanes import keys

PEOPLE = 5000


def measure_weights(_: int) -> list[Row | Count]:
    with valkey() as redis_url, peer(0) as url, env(url, redis_url, workers=0) as built:
        with run_process([sys.executable, "-m", "gateway", "worker"], built.environ) as worker:
            built.drain(50, 1, "warm")  # scripts and connections weigh something too
            _take_calls(url)
            before = _measure_bytes(built.store)
            built.drain(PEOPLE, 1, "first")
            first = _take_calls(url) / (PEOPLE - 50)
            at_rest = (_measure_bytes(built.store) - before) / (PEOPLE - 50)
            built.drain(PEOPLE, 1, "second")
            further = _take_calls(url) / PEOPLE
            memory = _measure_memory(built, worker)
        before = _measure_bytes(built.store)
        built.append(PEOPLE, 1, "third")
        waiting = (_measure_bytes(built.store) - before) / PEOPLE
    return [
        Count("Redis, a waiting message", waiting, "bytes"),
        Count("Redis, a known person at rest", at_rest, "bytes", "at most", 600),
        Count("calls to Chatwoot, the first message", first, ""),
        Count("calls to Chatwoot, a further message", further, ""),
        *memory,
    ]


def _measure_memory(built: Env, worker: subprocess.Popen[bytes]) -> list[Count]:
    with (
        web(built) as (_, serving),
        run_process([sys.executable, "-m", "gateway", "clock"], built.environ) as clock,
    ):
        while built.store.hlen(keys.HEARTBEATS) < 3:
            pass
        named = {"worker": worker, "web (gunicorn and its child)": serving, "clock": clock}
        return [
            Count(f"memory of {name}", peak_megabytes(process), "MB")
            for name, process in named.items()
        ]


def _measure_bytes(store: redis.Redis) -> int:
    """Without the answers that lanes keep for a minute."""
    for pattern in (keys.answer("*"), keys.claim("*")):
        for key in store.scan_iter(pattern, count=1000):
            store.delete(key)
    return int(store.info("memory")["used_memory"])


def _take_calls(url: str) -> int:
    return int(requests.get(f"{url}/seen", timeout=10).json()["calls"])
