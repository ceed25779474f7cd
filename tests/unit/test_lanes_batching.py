"""Commands of many threads in one round trip: each gets its own answer, none waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from gateway.lanes.batching import AT_ONCE, Batcher
from gateway.storage.connections import connect
from tests.waiting import until


class Counted(redis.Redis):
    """Counts round trips, and can be made to wait before each."""

    trips = 0
    gate: threading.Event | None = None

    def execute_command(self, *args: Any, **options: Any) -> Any:
        self._note()
        execute: Callable[..., Any] = super().execute_command
        return execute(*args, **options)

    def pipeline(self, transaction: Any = True, shard_hint: Any = None) -> Any:
        self._note()
        return super().pipeline(transaction, shard_hint)

    def _note(self) -> None:
        self.trips += 1
        if self.gate is not None:
            assert self.gate.wait(10)


@pytest.fixture
def counted(redis_url: str, store: redis.Redis) -> Counted:
    pool = connect(redis_url, connections=AT_ONCE + 1, retries=0).connection_pool
    return Counted(connection_pool=pool)


def started(work: Callable[[], Any]) -> Future[Any]:
    """On a thread of its own, which nobody waits for: what hangs must not hang the tests."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except redis.RedisError as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def asked(together: Batcher, *command: str | int) -> Future[Any]:
    return started(lambda: together(*command))


def test_those_who_wait_for_a_connection_go_together(counted: Counted) -> None:
    together = Batcher(counted)
    counted.gate = threading.Event()
    first = [asked(together, "INCR", f"first-{n}") for n in range(AT_ONCE)]
    until(lambda: counted.trips == AT_ONCE)
    others = [asked(together, "SET", f"k{n}", n, "GET") for n in range(20)]
    until(lambda: len(together._waiting) == 20)
    counted.gate.set()
    assert [call.result(10) for call in first] == [1] * AT_ONCE
    assert [call.result(10) for call in others] == [None] * 20
    assert counted.trips <= AT_ONCE + 2
    assert [together("GET", f"k{n}") for n in range(20)] == [str(n) for n in range(20)]


def test_nobody_is_left_waiting(counted: Counted) -> None:
    together = Batcher(counted)

    def much(who: int) -> list[int]:
        return [together("INCR", f"n{who}") for _ in range(50)]

    for answers in [started(partial(much, who)) for who in range(40)]:
        assert answers.result(20) == list(range(1, 51))


def test_an_error_is_its_own_commands_only(counted: Counted) -> None:
    together = Batcher(counted)
    counted.gate = threading.Event()
    first = [asked(together, "PING") for _ in range(AT_ONCE)]
    until(lambda: counted.trips == AT_ONCE)
    good = [asked(together, "INCR", f"n{n}") for n in range(5)]
    bad = asked(together, "NOSUCHCOMMAND")
    until(lambda: len(together._waiting) == 6)
    counted.gate.set()
    with pytest.raises(redis.ResponseError):
        bad.result(10)
    assert [call.result(10) for call in good] == [1] * 5
    assert [call.result(10) for call in first] == [True] * AT_ONCE


def test_a_server_that_is_away_is_told_to_everybody(tmp_path: Path) -> None:
    together = Batcher(connect(f"unix://{tmp_path}/none", connections=3, retries=0))
    calls = [asked(together, "PING") for _ in range(20)]
    errors = [call.exception(10) for call in calls]
    assert all(isinstance(error, redis.ConnectionError) for error in errors)
    assert len({id(error) for error in errors}) == 20
