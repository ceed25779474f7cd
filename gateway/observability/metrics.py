"""The counters, and how Prometheus reads them.

Counts live in Redis, because no process sees another's memory: the web process could not show what
a worker counted. The scripts of the lanes count most of it themselves.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final, cast

import redis
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from gateway.lanes import Backlog, Waiting, keys
from gateway.lanes.scripts import Scripts
from gateway.observability.channel_states import ChannelState, read_channel_states
from gateway.observability.event_streams import StreamState, read_streams
from gateway.observability.heartbeat import last_heartbeats, living_processes
from gateway.storage.memory_guard import used_share

WRITE_EVERY: Final = 1.0
"""Seconds."""
DIRECTIONS = ("in", "out", "status")

FROM_THE_FIRST = ("unavailable", "unreadable", "dropped", "set_aside")
"""Counters that alerts watch: shown at 0 too, because of a series that appears with its first count
Prometheus cannot tell that it has increased."""

FIELD = re.compile(r"(?P<what>[a-z][a-z0-9_]*)\|(?P<channel>.+)")


@dataclass(frozen=True, slots=True)
class Vitals:
    """The state of the gateway: what waits and why, and which roles are alive."""

    backlog: Waiting
    dead_letters: int
    heartbeats: Mapping[str, float]
    """Role → seconds since its last sign of life."""
    processes: Mapping[str, int]
    """Role → how many of its processes live."""
    channels: Mapping[str, ChannelState]
    """Channel → whether its network is reached, for each that a clock has tried."""
    redis_share: float
    """How much of Redis's memory limit is in use; 0 without a limit."""
    streams: Mapping[str, StreamState]
    """Account → its event stream, for each that the clock listens to."""


def read_vitals(store: redis.Redis, channels: Collection[str]) -> Vitals:
    """`channels`: those that are configured. Raises redis.RedisError."""
    states = read_channel_states(store)
    return Vitals(
        Backlog(store).read(),
        store.xlen(keys.DEAD_LETTERS),
        last_heartbeats(store),
        living_processes(store),
        {name: states[name] for name in channels if name in states},
        used_share(store),
        read_streams(store),
    )


class Counts:
    """Counts what happens outside of the lanes. Threads may share it."""

    def __init__(self, store: redis.Redis) -> None:
        self._run_script = Scripts(store)
        self._lock = threading.Lock()
        self._unwritten: Counter[str] = Counter()
        self._written = -WRITE_EVERY

    def add(self, what: str, channel: str) -> None:
        """One more; if Redis is away it is written later: no webhook is refused for a count."""
        self.add_later(what, channel)
        self.write()

    def add_later(self, what: str, channel: str) -> None:
        """One more, without a call to a Redis that has just failed."""
        with self._lock:
            self._unwritten[f"{what}|{channel}"] += 1

    def add_soon(self, what: str, channel: str) -> None:
        """One more, of what is too frequent for a write each: there is one a second."""
        self.add_later(what, channel)
        if time.monotonic() - self._written >= WRITE_EVERY:
            self.write()

    def write(self) -> None:
        """Write what is not written yet, if Redis is there."""
        self._written = time.monotonic()
        with self._lock:
            due, self._unwritten = self._unwritten, Counter()
        if not due:
            return
        try:
            self._run_script("count", *(word for counted in due.items() for word in counted))
        except redis.RedisError:
            with self._lock:
                self._unwritten += due


class GatewayCollector(Collector):
    """Reads Redis at each scrape. `collect` raises redis.RedisError."""

    def __init__(self, store: redis.Redis, channels: Iterable[str]) -> None:
        self._store = store
        self.channels = tuple(channels)

    def collect(self) -> Iterator[Metric]:
        zeros = {f"{what}|{name}": "0" for what in FROM_THE_FIRST for name in self.channels}
        known = cast(dict[str, str], self._store.hgetall(keys.COUNTS))
        counted = list(_counted(zeros | known))
        yield from _counters(counted)
        yield _delivery_seconds(counted)
        yield from self._gauges(read_vitals(self._store, self.channels))

    def _gauges(self, vitals: Vitals) -> Iterator[Metric]:
        yield self._oldest(vitals.backlog)
        yield from _gates(vitals.backlog)
        yield GaugeMetricFamily(
            "gateway_dead_letters", "Messages that were given up on.", value=vitals.dead_letters
        )
        beats = GaugeMetricFamily(
            "gateway_heartbeat_age_seconds", "Age of a role's last sign of life.", labels=["role"]
        )
        for role, age in sorted(vitals.heartbeats.items()):
            beats.add_metric([role], age)
        yield beats
        yield _processes(vitals.processes)
        yield GaugeMetricFamily(
            "gateway_redis_memory_share",
            "Of Redis's memory limit in use; 0 without a limit.",
            value=vitals.redis_share,
        )
        yield from self._connections(vitals.channels)
        yield from _streams(vitals.streams)

    def _oldest(self, backlog: Waiting) -> Metric:
        """Zero where nothing waits: an absent series would raise no alert and end none."""
        oldest = GaugeMetricFamily(
            "gateway_oldest_message_seconds",
            "Age of the oldest undelivered message.",
            labels=["channel", "direction"],
        )
        known = dict.fromkeys(product(self.channels, DIRECTIONS), 0.0) | dict(backlog.oldest)
        for (channel, direction), age in sorted(known.items()):
            oldest.add_metric([channel, direction], age)
        return oldest

    def _connections(self, states: Mapping[str, ChannelState]) -> Iterator[Metric]:
        trouble = GaugeMetricFamily(
            "gateway_channel_trouble",
            "1 while the clock does not reach a channel's network.",
            labels=["channel"],
        )
        polled = GaugeMetricFamily(
            "gateway_channel_poll_age_seconds",
            "Since a channel's network was last asked with success.",
            labels=["channel"],
        )
        for channel in sorted(self.channels):
            state = states.get(channel)
            trouble.add_metric([channel], int(state is not None and state.is_in_trouble))
            if state is not None and state.last_poll is not None:
                polled.add_metric([channel], state.last_poll)
        yield trouble
        yield polled


def exposition(collector: Collector) -> bytes:
    """What `collector` has, in Prometheus's text format. Raises redis.RedisError."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return generate_latest(registry)


def _counted(fields: Mapping[str, str]) -> Iterator[tuple[str, str, float]]:
    """(what, channel, how much), sorted; whatever else is in the hash is left out."""
    for name, value in sorted(fields.items()):
        if (field := FIELD.fullmatch(name)) is not None:
            yield field["what"], field["channel"], float(value)


def _counters(counted: Iterable[tuple[str, str, float]]) -> Iterator[Metric]:
    families: dict[str, CounterMetricFamily] = {}
    for what, channel, value in counted:
        if what.startswith("seconds_"):
            continue
        if what not in families:
            families[what] = CounterMetricFamily(
                f"gateway_{what}", f"How often: {what.replace('_', ' ')}.", labels=["channel"]
            )
        families[what].add_metric([channel], value)
    yield from families.values()


def _delivery_seconds(counted: Iterable[tuple[str, str, float]]) -> Metric:
    seconds = SummaryMetricFamily(
        "gateway_delivery_seconds", "From accepted to delivered.", labels=["channel", "kind"]
    )
    known = {(what, channel): value for what, channel, value in counted}
    for (what, channel), value in known.items():
        if what.startswith("seconds_"):
            kind = what.removeprefix("seconds_")
            count = known.get((f"delivered_{kind}", channel), 0)
            seconds.add_metric([channel, kind], count_value=int(count), sum_value=value)
    return seconds


def _processes(living: Mapping[str, int]) -> Metric:
    """Zero where a role has none: an absent series would raise no alert."""
    processes = GaugeMetricFamily(
        "gateway_processes", "Processes with a sign of life in the last minute.", labels=["role"]
    )
    for role, number in living.items():
        processes.add_metric([role], number)
    return processes


def _streams(streams: Mapping[str, StreamState]) -> Iterator[Metric]:
    """None where every account is told of by webhooks."""
    connected = GaugeMetricFamily(
        "gateway_event_stream_connected",
        "1 while the clock listens to a Chatwoot account's event stream.",
        labels=["account"],
    )
    frames = GaugeMetricFamily(
        "gateway_event_stream_frame_age_seconds",
        "Since the last frame, at least a ping, of an account's event stream.",
        labels=["account"],
    )
    for account, state in sorted(streams.items()):
        connected.add_metric([account], int(state.connected))
        if state.last_frame is not None:
            frames.add_metric([account], state.last_frame)
    yield connected
    yield frames


def _gates(backlog: Waiting) -> Iterator[Metric]:
    closed = GaugeMetricFamily(
        "gateway_gate_closed", "1 while a destination is not called.", labels=["destination"]
    )
    lanes = GaugeMetricFamily(
        "gateway_waiting_lanes", "Lanes with something to deliver.", labels=["destination"]
    )
    for gate in backlog.gates:
        closed.add_metric([gate.destination], 0 if gate.state == "open" else 1)
        lanes.add_metric([gate.destination], gate.lanes)
    yield closed
    yield lanes
