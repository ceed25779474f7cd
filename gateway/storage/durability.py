"""What a Redis server's settings mean for the promise that no message is lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import redis
from redis.sentinel import MasterNotFoundError

from gateway.config import Problem
from gateway.config.sentinels import are_sentinels, from_url, variable_of
from gateway.storage.connections import connect, is_unverified

NOEVICTION = "noeviction"
OLDEST = 7
"""The oldest release, of Redis or Valkey, that has all that the scripts use."""
UPDATE = f"Update the server to Redis or Valkey {OLDEST}, or newer."
UNVERIFIED = (
    "REDIS_TLS_VERIFY is off: the connection is encrypted, but whoever answers at the address is "
    "taken for Redis and gets its password. Unset it where the certificate can be verified."
)


@dataclass(frozen=True, slots=True)
class Findings:
    """What must be fixed, and what is good to know."""

    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def look_at(url: str) -> Findings:
    """Ask the server at `url` how it keeps its data."""
    try:
        client = connect(url, connections=1, retries=0)
        version = version_of(_section(client, "server"))
        policy = str(_section(client, "memory").get("maxmemory_policy", NOEVICTION))
        persistence = _section(client, "persistence")
    except (redis.RedisError, OSError, ValueError) as error:
        problem = Problem("environment", None, variable_of(url), *explain_failure(url, error))
        return Findings((problem,), ())
    notes = tuple(_notes(client, append_only=bool(persistence.get("aof_enabled"))))
    client.close()
    if is_unverified(url):
        notes += (UNVERIFIED,)
    variable = variable_of(url)
    problems = *_version_problems(version, variable), *_policy_problems(policy, variable)
    return Findings(problems, notes)


def version_of(told: Mapping[str, Any]) -> str:
    """Valkey's own version, or that of Redis, out of the answer to INFO."""
    return str(told.get("valkey_version") or told.get("redis_version", ""))


def is_too_old(version: str) -> bool:
    first = version.partition(".")[0]
    return first.isdigit() and int(first) < OLDEST


def explain_failure(url: str, error: Exception) -> tuple[str, str]:
    """What is wrong, and the cure, when a call to the server at `url` ended with `error`."""
    if isinstance(error, MasterNotFoundError):
        name = from_url(url).name
        return (
            f"no sentinel knows a live primary named «{name}»",
            "Check that the sentinels run, that their addresses and passwords are right, and that "
            "their «sentinel monitor» has this name.",
        )
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return (
            "the certificate that it shows cannot be verified",
            "Name the certificate's authority in SSL_CERT_FILE; or, where the server signs its own "
            "as Heroku's does, set REDIS_TLS_VERIFY=off.",
        )
    right = "REDIS_PASSWORD is" if are_sentinels(url) else "address and password in REDIS_URL are"
    return (
        f"the server does not answer: {type(error).__name__}",
        f"Check that it runs, and that {right} right.",
    )


def _section(client: redis.Redis, name: str) -> dict[str, Any]:
    return client.info(name)


def _version_problems(version: str, variable: str) -> Iterator[Problem]:
    if is_too_old(version):
        yield Problem("environment", None, variable, f"Redis is too old: {version}", UPDATE)


def _policy_problems(policy: str, variable: str) -> Iterator[Problem]:
    if policy != NOEVICTION:
        yield Problem(
            "environment",
            None,
            variable,
            f"the server evicts data when it is full (maxmemory-policy is {policy})",
            "Set maxmemory-policy to noeviction: an evicted message is lost.",
        )


def _notes(client: redis.Redis, *, append_only: bool) -> Iterator[str]:
    if not append_only:
        yield (
            "Redis keeps no append-only log: everything since its last snapshot is lost if it "
            "crashes. Set appendonly to yes and appendfsync to always."
        )
        return
    try:
        mode = cast(dict[str, str], client.config_get("appendfsync")).get("appendfsync", "")
    except redis.ResponseError:
        yield "Redis does not say how often it writes to the disk: ask its operator."
        return
    if mode != "always":
        risk = "up to a second of messages" if mode == "everysec" else "an unknown time's messages"
        yield f"Redis runs with appendfsync {mode}: {risk} can be lost if its machine crashes."
