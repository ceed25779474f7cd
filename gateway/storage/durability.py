"""What a Redis server's settings mean for the promise that no message is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import redis
from redis.sentinel import MasterNotFoundError

from gateway.config import Problem
from gateway.config.sentinels import are_sentinels, from_url, variable_of
from gateway.storage.connections import connect

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
        problem = Problem("environment", None, variable_of(url), *cannot_be_asked(url, error))
        return Findings((problem,), ())
    notes = tuple(_notes(client, append_only=bool(persistence.get("aof_enabled"))))
    client.close()
    return Findings(tuple(_policy_problems(policy, variable_of(url))), notes)


def cannot_be_asked(url: str, error: Exception) -> tuple[str, str]:
    """What is wrong, and the cure, when the server at `url` answered with `error` or not at all."""
    if isinstance(error, MasterNotFoundError):
        name = from_url(url).name
        return (
            f"no sentinel knows a living primary by the name «{name}»",
            "Look whether the sentinels run, whether their addresses and passwords are right, and "
            "which name stands in their «sentinel monitor».",
        )
    right = "REDIS_PASSWORD is" if are_sentinels(url) else "address and password in REDIS_URL are"
    return (
        f"the server cannot be asked: {type(error).__name__}",
        f"Look whether it runs, and whether {right} right.",
    )


def _section(client: redis.Redis, name: str) -> dict[str, Any]:
    return client.info(name)


def _policy_problems(policy: str, variable: str) -> Iterator[Problem]:
    if policy != NOEVICTION:
        yield Problem(
            "environment",
            None,
            variable,
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
