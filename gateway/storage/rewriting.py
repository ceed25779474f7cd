"""Having the server write its append-only file anew: what was deleted leaves the disk."""

from __future__ import annotations

import time
from typing import Any, Final

import redis

LOOK_AGAIN: Final = 0.1


class NotRewritten(Exception):
    """The file still has what was deleted. The text says why."""


def rewrite(store: redis.Redis, *, patience: float) -> None:
    """Ask for a rewrite and wait for its end, at most `patience` seconds.

    Raises `NotRewritten`, or redis.RedisError if the server cannot be asked.
    """
    ends = time.monotonic() + patience
    _wait_until_idle(store, ends)  # one that is under way began before what we deleted
    try:
        store.bgrewriteaof()
    except redis.ResponseError as error:
        raise NotRewritten(f"the server refuses a rewrite: {error}") from error
    _wait_until_idle(store, ends)
    if _state(store).get("aof_last_bgrewrite_status") != "ok":
        raise NotRewritten("the server's rewrite failed: its log says why")


def _wait_until_idle(store: redis.Redis, ends: float) -> None:
    while True:
        state = _state(store)
        if not state.get("aof_rewrite_in_progress") and not state.get("aof_rewrite_scheduled"):
            return
        if time.monotonic() > ends:
            raise NotRewritten("the server's rewrite takes too long: look again later")
        time.sleep(LOOK_AGAIN)


def _state(store: redis.Redis) -> dict[str, Any]:
    return store.info("persistence")
