"""What sentinels tell of a fail-over that has not happened yet: whether it would go well."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import redis

from gateway.config.sentinels import from_url
from gateway.storage.connections import connect, each_sentinel

ENOUGH = 3
"""Sentinels: with fewer, the loss of one can leave no majority that may promote a replica."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something that works now, and may not in a fail-over."""

    text: str
    cure: str


def doubts(url: str) -> Iterator[Doubt]:
    """Ask every sentinel that `url` names, and the primary."""
    sentinels = from_url(url)
    states = []
    for (host, port), client in each_sentinel(sentinels):
        with contextlib.closing(client):
            try:
                known = cast(dict[str, Any], client.sentinel_masters()).get(sentinels.name)
            except redis.RedisError as error:
                yield Doubt(
                    f"the sentinel {host}:{port} does not answer: {type(error).__name__}",
                    "Start it, or mend its address in REDIS_SENTINELS.",
                )
                continue
        if known is None:
            yield Doubt(
                f"the sentinel {host}:{port} knows no «{sentinels.name}»",
                "Give it the «sentinel monitor» of the others.",
            )
        else:
            states.append(known)
    yield from _of_the_set(len(sentinels.addresses), states)
    yield from _of_the_primary(url)


def _of_the_set(named: int, states: list[dict[str, Any]]) -> Iterator[Doubt]:
    if named < ENOUGH:
        yield Doubt(
            f"only {named} of the sentinels are named",
            f"Run {ENOUGH} on different machines, and name them all: any of them may be away.",
        )
    if states and not any(state["num-slaves"] for state in states):
        yield Doubt(
            "the primary has no replica", "Add one: without it there is nothing to fail over to."
        )


def _of_the_primary(url: str) -> Iterator[Doubt]:
    with contextlib.closing(connect(url, connections=1, retries=0)) as client:
        try:
            told = cast(dict[str, str], client.config_get("min-replicas-to-write"))
        except redis.RedisError:
            return  # whether it can be asked at all is told elsewhere
    if told.get("min-replicas-to-write") == "0":
        yield Doubt(
            "a primary that is cut off goes on taking messages, which are lost when it is replaced",
            "Set min-replicas-to-write to 1 and min-replicas-max-lag to 10 on all servers.",
        )
