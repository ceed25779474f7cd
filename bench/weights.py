"""What a message and a person weigh in Redis, what they cost in calls, how large processes are."""

from __future__ import annotations

import subprocess
import sys

import redis
import requests

from bench.house import House, house, peak_megabytes, peer, started, valkey, web
from bench.rows import Count, Row

PEOPLE = 2000


def weights(_: int) -> list[Row | Count]:
    with valkey() as redis_url, peer(0) as url, house(url, redis_url, workers=0) as built:
        empty = _bytes(built.store)
        built.append(PEOPLE, 1, "first")
        first = _bytes(built.store) - empty
        rows: list[Row | Count] = [
            Count("Redis, a waiting message of a new person", first / PEOPLE, "bytes")
        ]
        with started([sys.executable, "-m", "gateway", "worker"], built.environ) as worker:
            built.wait_for(PEOPLE)
            calls = _calls(url)
            rows.append(
                Count("calls to Chatwoot, the first message of a person", calls / PEOPLE, "")
            )
            _forget_what_ends_by_itself(built.store)
            idle = (_bytes(built.store) - empty) / PEOPLE
            rows.append(Count("Redis, a known person at rest", idle, "bytes", "at most", 600))
            built.drain(PEOPLE, 1, "second")
            rows.append(Count("calls to Chatwoot, a further message", _calls(url) / PEOPLE, ""))
            rows += _memory(built, worker)
    return rows


def _memory(built: House, worker: subprocess.Popen[bytes]) -> list[Count]:
    with (
        web(built) as (_, serving),
        started([sys.executable, "-m", "gateway", "clock"], built.environ) as clock,
    ):
        while built.store.hlen("gw:beats") < 3:
            pass
        named = {"worker": worker, "web (gunicorn and its child)": serving, "clock": clock}
        return [
            Count(f"memory of {name}", peak_megabytes(process), "MB")
            for name, process in named.items()
        ]


def _bytes(store: redis.Redis) -> int:
    return int(store.info("memory")["used_memory"])


def _calls(url: str) -> int:
    return int(requests.get(f"{url}/seen", timeout=10).json()["calls"])


def _forget_what_ends_by_itself(store: redis.Redis) -> None:
    """The answers that lanes keep for a minute."""
    for pattern in ("gw:answer:*", "gw:held:*"):
        for key in store.scan_iter(pattern, count=1000):
            store.delete(key)
