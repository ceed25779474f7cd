"""How fast webhooks are taken, stored durably and answered."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count as numbers
from typing import TypeAlias

import requests

from bench.env import env, peer, valkey, web
from bench.nothing import PASSWORD
from bench.rows import Count, Row
from gateway.chatwoot.events import Reply

CALLERS = 8
EACH = 250
UPDATES = 1000
TURNS = 12
KNOWN = 200
"""Replies that the updates are about."""

Request: TypeAlias = Callable[[int], bytes]
"""A caller's request of this number."""


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


def measure_updates(count: int) -> list[Row | Count]:
    """What changes nothing, against what is refused for a wrong secret: the same bodies."""
    with valkey() as redis_url, peer(0.0) as url, env(url, redis_url, workers=0) as built:
        replies = [_reply(number) for number in range(1, 1 + KNOWN)]
        for reply in replies:
            built.intake.take_event(built.channel, reply)
        rung = built.rings()
        with web(built) as (address, _):
            right = partial(_update, address, built.chatwoot_path)
            wrong = partial(_update, address, f"{built.chatwoot_path[:-1]}x")
            asyncio.run(_load(address, 20, right, 200))
            rates = [_rates_in_turn(address, right, wrong) for _ in range(count)]
        assert built.rings() == rung, "somebody was rung for"
        calls = requests.get(f"{url}/seen", timeout=5).json()["calls"]
        assert calls == 0, "Chatwoot was called"
    ours, refused = zip(*rates, strict=True)
    name = "updates that change nothing / refused webhooks"
    return [Row(name, list(ours), list(refused), "/s", "at least", 0.8)]


def _rates_in_turn(address: str, right: Request, wrong: Request) -> tuple[float, float]:
    """A second: of updates and of what is refused, in short turns, so that both meet the same
    machine."""
    seconds = [0.0, 0.0]
    each = UPDATES // CALLERS // TURNS
    for _ in range(TURNS):
        for kind, (request, status) in enumerate(((right, 200), (wrong, 403))):
            load = asyncio.run(_load(address, each, request, status))
            seconds[kind] += CALLERS * each / load.rate
    done = CALLERS * each * TURNS
    return done / seconds[0], done / seconds[1]


def _reply(number: int) -> Reply:
    return Reply(number, 12, "peer-1", "hello", inbox=1, written_at=1.0)


def _update(address: str, path: str, number: int) -> bytes:
    """Every other one is about a customer's message, as when two contacts are merged; the rest are
    about replies, as when they were read."""
    kind = "incoming" if number % 2 else "outgoing"
    sender = {"id": 3, "name": "Ada", "email": None, "phone_number": None, "identifier": None}
    shown = {"id": 1 + number % KNOWN, "content": "hello", "message_type": 1, "status": "read"}
    body = json.dumps(
        {
            "event": "message_updated",
            "id": 1 + number % KNOWN,
            "content": "hello",
            "content_type": "text",
            "content_attributes": {},
            "message_type": kind,
            "private": False,
            "source_id": None,
            "created_at": "2026-11-28T22:23:04.000Z",
            "sender": {"id": 1, "name": "Bob", "type": "user"},
            "account": {"id": 1, "name": "Bench"},
            "inbox": {"id": 1, "name": "Bench"},
            "conversation": {
                "id": 12,
                "inbox_id": 1,
                "status": "open",
                "additional_attributes": {},
                "contact_inbox": {"id": 1, "contact_id": 3, "inbox_id": 1, "source_id": "peer-1"},
                "messages": [shown],
                "meta": {"sender": sender, "assignee": None},
            },
        }
    )
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body.encode()


def _inbound(address: str, number: int) -> bytes:
    body = json.dumps({"id": f"w{number}", "peer": f"peer-{number % 400}", "text": "hello"})
    head = (
        f"POST /channels/bench/webhook HTTP/1.1\r\nHost: {address}\r\nX-Password: {PASSWORD}"
        f"\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body.encode()


async def _put_under_load(address: str, each: int, fresh: numbers[int]) -> Load:
    return await _load(address, each, lambda _: _inbound(address, next(fresh)), 200)


async def _load(address: str, each: int, request: Request, status: int) -> Load:
    began = time.perf_counter()
    callers = [_call_repeatedly(address, each, request, status) for _ in range(CALLERS)]
    times = [seconds for each_caller in await asyncio.gather(*callers) for seconds in each_caller]
    rate = len(times) / (time.perf_counter() - began)
    return Load(rate, statistics.median(times), statistics.quantiles(times, n=100)[98])


async def _call_repeatedly(address: str, times: int, request: Request, status: int) -> list[float]:
    """Seconds that each webhook took, one after the other over one connection."""
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    taken = []
    for number in range(times):
        written = request(number)
        began = time.perf_counter()
        writer.write(written)
        await _read_answer(reader, status)
        taken.append(time.perf_counter() - began)
    writer.close()
    return taken


async def _read_answer(reader: asyncio.StreamReader, status: int) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d" % status), head[:100]
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line[15:]))
