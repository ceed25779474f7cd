"""How long a message takes from being accepted to being posted, when they come at a steady pace."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import cast

import requests

from bench.baselines import relay_one, run_simple_worker
from bench.env import env, peer, valkey
from bench.rows import Count, Row
from gateway.model import Inbound

A_SECOND = 50
SECONDS = 6
PEOPLE = 200


def measure_lateness(count: int) -> list[Row | Count]:
    """Against one `SimpleWorker` RQ job per message that posts."""
    ours, theirs = [], []
    with (
        valkey() as redis_url,
        valkey() as other_redis,
        peer(0) as url,
        env(url, redis_url) as built,
        run_simple_worker(other_redis) as queue,
    ):
        built.drain(PEOPLE, 1, "warm")

        def accept(number: int, text: str) -> None:
            message = Inbound(id=text, peer=f"peer-{number % PEOPLE}", text=text)
            built.intake.take(built.channel, [message])

        def enqueue(_: int, text: str) -> None:
            queue.enqueue(relay_one, url, text, result_ttl=0)

        _send_at_a_steady_pace(enqueue, url, 1)
        for _ in range(count):
            ours.append(_send_at_a_steady_pace(accept, url, SECONDS))
            theirs.append(_send_at_a_steady_pace(enqueue, url, SECONDS))
    name = f"accepted to posted at {A_SECOND}/s / a SimpleWorker job each"
    return [
        Row(f"{name}, median", _part(ours, 49), _part(theirs, 49), "ms", "at most", 1.3),
        Row("  99th of 100", _part(ours, 98), _part(theirs, 98), "ms", "at most", 2),
    ]


def _part(runs: list[list[float]], number: int) -> list[float]:
    return [statistics.quantiles(run, n=100)[number] * 1000 for run in runs]


def _send_at_a_steady_pace(send: Callable[[int, str], None], url: str, seconds: int) -> list[float]:
    """Seconds that each message took."""
    requests.get(f"{url}/seen", timeout=10)
    began, total = time.monotonic(), A_SECOND * seconds
    for number in range(total):
        time.sleep(max(0.0, began + number / A_SECOND - time.monotonic()))
        send(number, f"at {time.time()}")
    ages: list[float] = []
    while len(ages) < total:
        ages += cast(list[float], requests.get(f"{url}/seen", timeout=10).json()["ages"])
        time.sleep(0.05)
    return ages
