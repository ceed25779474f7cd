"""How fast webhooks are taken, stored durably and answered."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from dataclasses import dataclass
from itertools import count as numbers

from bench.env import env, peer, valkey, web
from bench.nothing import PASSWORD
from bench.rows import Count, Row

CALLERS = 8
EACH = 250


@dataclass(frozen=True, slots=True)
class Load:
    """What some callers met, each calling again as soon as it was answered."""

    rate: float
    """Answers a second."""
    median: float
    """Seconds to an answer."""
    slowest: float
    """Seconds within which 99 of 100 came."""


def measure_accepting(count: int) -> list[Row | Count]:
    """Against a view that keeps nothing, and against one that does its work inside the webhook."""
    with valkey() as redis_url, peer(0.1) as url, env(url, redis_url, workers=0) as built:
        built.doorbell.ring()  # a drain is asked for already: what counts here is accepting
        environ = {"BENCH_PEER": url}
        with (
            web(built) as (ours, _),
            web(built, "bench.bare:view()") as (bare, _),
            web(built, "bench.bare:bridge()", environ) as (bridge, _),
        ):
            fresh = numbers()
            loads = []
            for address in (ours, bare):
                asyncio.run(_put_under_load(address, 50, fresh))
            for _ in range(count):
                loads.append(
                    [asyncio.run(_put_under_load(address, EACH, fresh)) for address in (ours, bare)]
                )
                loads[-1].append(asyncio.run(_put_under_load(bridge, 10, fresh)))
    mine, bare_view, bridged = zip(*loads, strict=True)
    return [
        Row("accepts / a bare Flask view", _rates(mine), _rates(bare_view), "/s", "at least", 0.5),
        Row("  median answer", _medians(mine), _medians(bare_view), "ms"),
        Row("  99th of 100", _slowest(mine), _slowest(bare_view), "ms", "at most", 4),
        Row("accepts / a bridge that posts inside, at 100 ms", _rates(mine), _rates(bridged), "/s"),
    ]


def _rates(loads: tuple[Load, ...]) -> list[float]:
    return [load.rate for load in loads]


def _medians(loads: tuple[Load, ...]) -> list[float]:
    return [load.median * 1000 for load in loads]


def _slowest(loads: tuple[Load, ...]) -> list[float]:
    return [load.slowest * 1000 for load in loads]


async def _put_under_load(address: str, each: int, fresh: numbers[int]) -> Load:
    began = time.perf_counter()
    callers = [_call_repeatedly(address, each, fresh) for _ in range(CALLERS)]
    times = [seconds for each_caller in await asyncio.gather(*callers) for seconds in each_caller]
    rate = len(times) / (time.perf_counter() - began)
    return Load(rate, statistics.median(times), statistics.quantiles(times, n=100)[98])


async def _call_repeatedly(address: str, times: int, fresh: numbers[int]) -> list[float]:
    """Seconds that each webhook took, one after the other over one connection."""
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    taken = []
    for _ in range(times):
        number = next(fresh)
        body = json.dumps({"id": f"w{number}", "peer": f"peer-{number % 400}", "text": "hello"})
        head = (
            f"POST /channels/bench/webhook HTTP/1.1\r\nHost: {address}\r\nX-Password: {PASSWORD}"
            f"\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        began = time.perf_counter()
        writer.write(head.encode() + body.encode())
        await _read_answer(reader)
        taken.append(time.perf_counter() - began)
    writer.close()
    return taken


async def _read_answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head[:100]
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line[15:]))
