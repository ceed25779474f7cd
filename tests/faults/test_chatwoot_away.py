"""Chatwoot is away while customers go on writing, and then it is back."""

from __future__ import annotations

import contextlib
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import redis

from gateway import config
from gateway.chatwoot.webhook import read
from gateway.config import Channel
from gateway.intake.doorbell import Doorbell, queue_key
from gateway.intake.intake import Intake
from gateway.lanes import Lanes, keys
from gateway.model import Inbound, Person
from sandbox.chatwoot import ChatwootStandIn
from tests.faults.roles import posted, running, write_settings
from tests.relay.env import webhook
from tests.waiting import until

MEGABYTE = 1024 * 1024
TALKING = 20
"""Customers whose conversations exist when Chatwoot goes away."""
PEERS, EACH = 2_000, 10
TEXT = "Good morning, I ordered a lamp last week and it has not come yet. Where is it? Number {}."


def test_a_backlog_costs_memory_in_redis_only_and_no_work(
    tmp_path: Path, redis_url: str, store: redis.Redis
) -> None:
    """Tens of thousands of messages, as many as a busy hour brings, in a few seconds."""
    sent = tmp_path / "sent"
    sent.touch()
    with contextlib.ExitStack() as stack:
        chatwoot = stack.enter_context(ChatwootStandIn(flood_limit=None))
        adapter = f'adapter = "tests.faults.deadly:Deadly"\nsent = "{sent}"'
        file = write_settings(tmp_path, chatwoot, channel=adapter)
        environ = {"REDIS_URL": redis_url}
        channel = config.load(file, environ).channels["shop"]
        intake = Intake(Lanes(store, queue_key()), Doorbell(store))
        worker = stack.enter_context(running("worker", file, environ))
        clock = stack.enter_context(running("clock", file, environ))
        intake.take(channel, [_written(who, 0) for who in range(TALKING)])
        until(lambda: store.hget(keys.COUNTS, "delivered_in|shop") == str(TALKING))
        chatwoot.fault("drop", times=None)
        intake.take(channel, [_written(who, 1) for who in range(TALKING)])
        until(lambda: store.hget(keys.gate("chatwoot/main"), "state") == "closed")

        memory, held = [_resident(p.pid) for p in (worker, clock)], _used(store)
        for n in range(EACH):
            intake.take(channel, [_written(who, 2 + n) for who in range(PEERS)])
        each = (_used(store) - held) / (PEERS * EACH)
        assert each < 1200, "bytes of Redis for a message that waits"
        grown = [_resident(p.pid) - m for p, m in zip((worker, clock), memory, strict=True)]
        assert max(grown) < 8 * MEGABYTE

        replies = [chatwoot.agent_reply(1 + n % TALKING, f"reply{n}") for n in range(200)]
        began = time.monotonic()
        for n, number in enumerate(replies):
            told = read(webhook(chatwoot, 1 + n % TALKING, number, "message_created"))
            assert intake.take_event(channel, told) == "accepted"
        until(lambda: len(sent.read_text().split()) == len(replies))
        assert time.monotonic() - began < 10, "replies pass a dead Chatwoot at their usual speed"

        until(lambda: store.llen(queue_key()) == 0)
        commands = _commands_in(store, seconds=5)
        assert commands["evalsha"] / 5 < 12, "scripts a second: nobody asks over and over"
        assert sum(commands.values()) / 5 < 150, "with all that scripts do inside, and RQ"
        rate = sum(commands.values()) / 5
        print(f"{each:.0f} bytes each, {[g // 1024 for g in grown]} kB more, {rate:.1f} commands/s")


def _written(who: int, n: int) -> Inbound:
    return Inbound(f"{who}-{n}", f"peer{who}", TEXT.format(n), Person(name=f"peer{who}"))


def _used(store: redis.Redis) -> int:
    return int(store.info("memory")["used_memory"])


def _resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def _commands_in(store: redis.Redis, *, seconds: float) -> Counter[str]:
    """What all processes ask of Redis in that time, while nothing happens."""
    before = _commands(store)
    time.sleep(seconds)
    return _commands(store) - before


def _commands(store: redis.Redis) -> Counter[str]:
    told = store.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): each["calls"] for name, each in told.items()})


def test_the_backlog_goes_out_in_order_within_chatwoots_limits(
    tmp_path: Path, redis_url: str, store: redis.Redis
) -> None:
    """Ten times as fast: Chatwoot's minute lasts six seconds here, and its limits are a tenth."""
    with contextlib.ExitStack() as stack:
        chatwoot = stack.enter_context(ChatwootStandIn(flood_limit=20, request_limit=300))
        began = time.time()
        chatwoot.store.now = lambda: began + 10 * (time.time() - began)
        file = write_settings(tmp_path, chatwoot, limits="")
        environ = {"REDIS_URL": redis_url}
        channel = config.load(file, environ).channels["shop"]
        intake = Intake(Lanes(store, queue_key()), Doorbell(store))
        chatwoot.fault("drop", times=None)
        names = list(_backlog(channel, intake))
        bursts = "wiring.CHATWOOT_BURST, wiring.CONVERSATION_BURST = 20, 3"
        patch = f"from gateway.relay import wiring\n{bursts}"
        stack.enter_context(running("worker", file, environ, patch=patch))
        stack.enter_context(running("clock", file, environ))
        until(lambda: store.hget(keys.gate("chatwoot/main"), "state") == "closed")
        chatwoot.clear_faults()
        until(lambda: store.hget(keys.COUNTS, "delivered_in|shop") == str(len(names)), 90)
        assert posted(chatwoot) == {
            peer: [f"{peer}-{n}" for n in range(Counter(names)[peer])] for peer in set(names)
        }
        log = (tmp_path / "worker.log").read_text()
        assert not re.findall(r'detail="[A-Z]+ (?:429|422)', log)


def _backlog(channel: Channel, intake: Intake) -> Iterator[str]:
    """One customer has written thirty times, eighty others once each: without rates more than
    both limits would be asked for in the first seconds."""
    names = ["busy"] * 30 + [f"peer{who}" for who in range(80)]
    counted: Counter[str] = Counter()
    for name in names:
        number = f"{name}-{counted[name]}"
        counted[name] += 1
        intake.take(channel, [Inbound(number, name, number, Person(name=name))])
        yield name
