"""Checks Redis: whether it answers, keeps data safely, and has memory and connections to spare."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import redis

from gateway.adapter import Finding
from gateway.config.sentinels import are_sentinels
from gateway.setup.checks.sentinels import CHECK, look_at_sentinels
from gateway.storage.connections import connect
from gateway.storage.durability import (
    UNVERIFIED,
    UPDATE,
    explain_failure,
    is_too_old,
    look_at,
    version_of,
)
from gateway.storage.memory_guard import FULL

NEARLY_ALL = 0.9
"""Of the connections that the server allows."""
DURING_A_DEPLOY = 20
"""Connections, when old and new processes run side by side."""


def look_at_storage(url: str) -> Iterator[Finding]:
    """`url`: empty if no server runs at the moment."""
    if not url:
        yield Finding.note(
            "reachable",
            "neither REDIS_URL nor REDIS_SENTINELS is set, and the embedded server does not run",
            "Start everything with `python -m gateway run`, and run doctor again beside it.",
        )
        return
    with contextlib.closing(connect(url, connections=1, retries=0)) as client:
        try:
            told = client.info()
        except (redis.RedisError, OSError) as error:
            yield Finding.bad("reachable", *explain_failure(url, error))
            return
    yield server_version(told)
    yield from _durability(url)
    if are_sentinels(url):
        yield from _failover(url)
    yield memory(told)
    yield connections(told)


def server_version(told: Mapping[str, Any]) -> Finding:
    version = version_of(told)
    if is_too_old(version):
        return Finding.bad("reachable", f"Redis is too old: {version}", UPDATE)
    return Finding.good("reachable", f"version {version} answers")


def _durability(url: str) -> Iterator[Finding]:
    findings = look_at(url)
    problems = [each for each in findings.problems if each.cure != UPDATE]
    for problem in problems:
        yield Finding.bad("eviction", problem.wrong, problem.cure)
    if not problems:
        yield Finding.good("eviction", "it evicts nothing when it is full")
    notes = [note for note in findings.notes if note != UNVERIFIED]
    for note in notes:
        cure = "Set appendonly to yes and appendfsync to always, or accept the risk."
        yield Finding.note("durability", note, cure)
    if not notes:
        yield Finding.good("durability", "each message is on disk before it is acknowledged")
    if UNVERIFIED in findings.notes:
        found, _, cure = UNVERIFIED.partition(". ")
        yield Finding.note("encryption", found, cure)


def _failover(url: str) -> Iterator[Finding]:
    found = list(look_at_sentinels(url))
    yield from found or [Finding.good(CHECK, "all sentinels agree, and there is a replica")]


def memory(told: Mapping[str, Any]) -> Finding:
    used, limit = int(told.get("used_memory", 0)), int(told.get("maxmemory", 0))
    if not limit:
        return Finding.good("memory", f"{used >> 20} MB in use, no limit set")
    share = used / limit
    if share > FULL:
        text = f"Redis is {share:.0%} full: from {FULL:.0%} on, webhooks are refused"
        cure = "Give it more memory (maxmemory), or see in /health/backlog why messages wait."
        return Finding.bad("memory", text, cure)
    return Finding.good("memory", f"{share:.0%} of {limit >> 20} MB in use")


def connections(told: Mapping[str, Any]) -> Finding:
    used, limit = int(told.get("connected_clients", 0)), int(told.get("maxclients", 0))
    text = f"{used} of {limit} connections in use"
    if not limit:
        return Finding.good("connections", f"{used} in use; the limit is unknown")
    if used > limit * NEARLY_ALL:
        return Finding.bad("connections", text, "Take a larger plan, or run fewer processes.")
    if limit < DURING_A_DEPLOY:
        cure = f"A deploy with old and new side by side needs {DURING_A_DEPLOY} or more."
        return Finding.note("connections", text, cure)
    return Finding.good("connections", text)
