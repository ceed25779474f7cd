"""What a Redis server's settings mean for the promise that no message is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import redis

from gateway.config import Problem
from gateway.connections import connect

NOEVICTION = "noeviction"


@dataclass(frozen=True, slots=True)
class Findings:
    """What must be mended, and what is good to know."""

    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def look_at(url: str) -> Findings:
    """Ask the server at `url` how it keeps its data."""
    try:
        client = connect(url, connections=1, retries=0)
        policy = str(_section(client, "memory").get("maxmemory_policy", NOEVICTION))
        persistence = _section(client, "persistence")
    except (redis.RedisError, OSError, ValueError) as error:
        reason = f"the server cannot be asked: {type(error).__name__}"
        cure = "Look whether it runs, and whether address and password are right."
        return Findings((Problem("environment", None, "REDIS_URL", reason, cure),), ())
    notes = tuple(_notes(client, append_only=bool(persistence.get("aof_enabled"))))
    client.close()
    return Findings(tuple(_policy_problems(policy)), notes)


def _section(client: redis.Redis, name: str) -> dict[str, Any]:
    return client.info(name)


def _policy_problems(policy: str) -> Iterator[Problem]:
    if policy != NOEVICTION:
        yield Problem(
            "environment",
            None,
            "REDIS_URL",
            f"the server throws data away when it is full (maxmemory-policy is {policy})",
            "Set maxmemory-policy to noeviction there: a message thrown away is lost.",
        )


def _notes(client: redis.Redis, *, append_only: bool) -> Iterator[str]:
    if not append_only:
        yield (
            "Redis writes no append-only log: what it holds since its last snapshot is lost if "
            "it crashes. Set appendonly to yes and appendfsync to always."
        )
        return
    try:
        mode = cast(dict[str, str], client.config_get("appendfsync")).get("appendfsync", "")
    except redis.ResponseError:
        yield "Redis does not tell how often it writes to the disk: ask whoever runs it."
        return
    if mode != "always":
        risk = "up to a second of messages" if mode == "everysec" else "an unknown time's messages"
        yield f"Redis runs with appendfsync {mode}: {risk} can be lost if its machine crashes."
