"""Whether a fail-over between the Redis servers would go well."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, cast

import redis

from gateway.adapter import Finding
from gateway.config.sentinels import from_url
from gateway.storage.connections import connect, each_sentinel

ENOUGH = 3
"""Sentinels: with fewer, the loss of one can leave no majority that may promote a replica."""


CHECK = "fail-over"


def look_at_sentinels(url: str) -> Iterator[Finding]:
    """Ask every sentinel that `url` names, and the primary. Each note is of something that works
    now, and may not in a fail-over."""
    sentinels = from_url(url)
    states = []
    for (host, port), client in each_sentinel(sentinels):
        with contextlib.closing(client):
            try:
                known = cast(dict[str, Any], client.sentinel_masters()).get(sentinels.name)
            except redis.RedisError as error:
                yield Finding.note(
                    CHECK,
                    f"sentinel {host}:{port} does not answer: {type(error).__name__}",
                    "Start it, or correct its address in REDIS_SENTINELS.",
                )
                continue
        if known is None:
            yield Finding.note(
                CHECK,
                f"sentinel {host}:{port} does not know «{sentinels.name}»",
                "Configure the same «sentinel monitor» as in the others.",
            )
        else:
            states.append(known)
    yield from _look_at_set(len(sentinels.addresses), states)
    yield from _look_at_primary(url)


def _look_at_set(named: int, states: list[dict[str, Any]]) -> Iterator[Finding]:
    if named < ENOUGH:
        yield Finding.note(
            CHECK,
            f"REDIS_SENTINELS names only {named}",
            f"Run {ENOUGH} on different machines, and name them all: any of them may fail.",
        )
    if states and not any(state["num-slaves"] for state in states):
        yield Finding.note(
            CHECK,
            "the primary has no replica",
            "Add one: without it nothing can take over.",
        )


def _look_at_primary(url: str) -> Iterator[Finding]:
    with contextlib.closing(connect(url, connections=1, retries=0)) as client:
        try:
            told = cast(dict[str, str], client.config_get("min-replicas-to-write"))
        except redis.RedisError:
            return  # another check reports that it does not answer
    if told.get("min-replicas-to-write") == "0":
        yield Finding.note(
            CHECK,
            "a primary that is cut off keeps accepting messages, which a fail-over then loses",
            "Set min-replicas-to-write to 1 and min-replicas-max-lag to 10 on all servers.",
        )
