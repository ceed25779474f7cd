"""A Redis that fills up: new messages are refused in time, and what is there drains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
import redis

from gateway.storage.memory_guard import MemoryGuard
from tests.relay.env import Env


@pytest.fixture
def nearly_full(env: Env) -> Iterator[None]:
    env.customer_writes("before")
    used = cast(dict[str, int], env.store.info("memory"))["used_memory"]
    env.store.config_set("maxmemory", int(used * 1.05))
    try:
        yield
    finally:
        env.store.config_set("maxmemory", 0)


@pytest.mark.usefixtures("nearly_full")
def test_over_the_mark_nothing_is_accepted_and_all_of_it_drains(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.storage.memory_guard.ASK_EVERY", 0.0)
    with pytest.raises(redis.OutOfMemoryError):
        env.customer_writes("too much")
    env.drain()
    assert env.incoming() == ["before"]


def test_without_a_limit_there_is_room(env: Env) -> None:
    MemoryGuard(env.store).require()
