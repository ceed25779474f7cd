"""Whether the gateway is at work: its processes, what waits and why, what was given up on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Final

import redis

from gateway.adapter import Finding
from gateway.config import Settings
from gateway.lanes import Waiting
from gateway.observability.channel_states import ChannelState
from gateway.observability.metrics import Vitals, read_vitals
from gateway.setup.checks.durations import duration
from gateway.setup.report import ReportLine
from gateway.storage.connections import connect

LONG: Final = 300.0
"""Seconds that a message may wait before it is worth a line."""
LONGEST_SILENCE: Final = 900.0
"""Seconds between two looks at a network that is asked; those that call us are asked each 300."""
SUBJECT: Final = "gateway"
CONSEQUENCES: Final = {
    "web": "no webhook is taken",
    "worker": "nothing is delivered",
    "clock": "nothing is polled, and lost replies are not found",
}


def look_at_work(settings: Settings, redis_url: str) -> Iterator[ReportLine]:
    """Nothing if Redis does not answer: a line of its own tells of that."""
    if not redis_url:
        return
    with contextlib.closing(connect(redis_url, connections=1, retries=0)) as client:
        try:
            vitals = read_vitals(client, settings.channels)
        except (redis.RedisError, OSError):
            return
    for finding in (
        processes(vitals.processes, vitals.heartbeats),
        gates(vitals.backlog),
        waiting(vitals.backlog),
        dead_letters(vitals),
    ):
        yield ReportLine(SUBJECT, finding)
    for name, state in vitals.channels.items():
        yield ReportLine(f"channels.{name}", connection(state))


def processes(living: Mapping[str, int], last: Mapping[str, float]) -> Finding:
    """`last`: role → seconds since its last sign of life."""
    absent = [role for role, number in living.items() if not number]
    if not absent:
        counted = ", ".join(f"{number} {role}" for role, number in living.items())
        return Finding.good("processes", f"alive: {counted}")
    lines = "; ".join(
        f"no {role} is alive{_last_seen(last.get(role))}: {CONSEQUENCES[role]}" for role in absent
    )
    commands = " and ".join(f"`python -m gateway {role}`" for role in absent)
    return Finding.bad(
        "processes", lines, f"Start {commands}, or everything with `python -m gateway run`."
    )


def gates(backlog: Waiting) -> Finding:
    closed = [gate for gate in backlog.gates if gate.state != "open"]
    if not closed:
        return Finding.good("gates", "every destination is called")
    lines = "; ".join(
        f"{gate.destination} has not been called for {duration(gate.seconds)}: {gate.reason}"
        for gate in closed
    )
    cure = "Remove the cause; then it opens by itself within a minute (docs/OPERATING.md)."
    return Finding.bad("gates", lines, cure)


def waiting(backlog: Waiting) -> Finding:
    old = {where: age for where, age in backlog.oldest.items() if age > LONG}
    if not old:
        return Finding.good("waiting", f"no message has waited for more than {duration(LONG)}")
    lines = ", ".join(
        f"{channel} ({direction}) for {duration(age)}"
        for (channel, direction), age in sorted(old.items())
    )
    cure = (
        "If neither a process nor a gate is named here, look for event=deferred with this channel "
        "in the worker's log."
    )
    return Finding.bad("waiting", f"messages wait: {lines}", cure)


def dead_letters(vitals: Vitals) -> Finding:
    if not vitals.dead_letters:
        return Finding.good("dead letters", "none")
    text = f"{vitals.dead_letters} messages were given up on"
    cure = "Read why: `python -m gateway dead list`. Then replay them, or drop them."
    return Finding.note("dead letters", text, cure)


def connection(state: ChannelState) -> Finding:
    if state.is_in_trouble:
        text = f"the clock has been failing for {duration(state.since)}: {state.why}"
        cure = "Remove the cause; the clock tries again by itself. See event=channel_trouble."
        return Finding.bad("connection", text, cure)
    if state.last_poll is not None and state.last_poll > LONGEST_SILENCE:
        text = f"the network was last asked {duration(state.last_poll)} ago"
        return Finding.bad("connection", text, "See that a clock is alive; restart it.")
    return Finding.good("connection", "the clock reaches the network")


def _last_seen(age: float | None) -> str:
    return "" if age is None else f" (last seen {duration(age)} ago)"
