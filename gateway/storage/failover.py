"""Noticing that the Redis server is another one, or came back without its last moments.

A replica that is promoted lacks what had not reached it; a server that does not write to its disk
at once lacks a second. A message that left in that time waits again, and nothing tells that it
left. So every connection begins by comparing the server's run id with the one that is noted among
the data, and no command goes to a new run before that is settled. A server may also be wrong about
itself, if its log was cut or a backup was put in its place: so each process remembers the highest
sequence number that it was answered with. What follows is in `server_changed.lua`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import redis

from gateway.lanes import keys
from gateway.lanes.scripts import source
from gateway.observability import logs

NEVER = "0" * 40
"""`master_replid2` of a server that was not promoted in this run."""

log = logging.getLogger(__name__)


class ServerWatch:
    """What one process was told by the server, to see that it went back. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._run = ""
        self._sequence = 0

    def remember(self, sequence: int) -> None:
        """Note a sequence number that the server has answered with."""
        with self._lock:
            self._sequence = max(self._sequence, sequence)

    def greet(self, connection: Any) -> None:
        """Greet the server at the other end of a connection that was just made.

        For `redis_connect_func` of redis-py, whose connections have no types. Raises
        redis.RedisError; then the connection is not used.
        """

        def ask(*command: str | int) -> Any:
            connection.send_command(*command, check_health=False)
            return connection.read_response()

        # Not on_connect, which asks first whether the connection is healthy: if the server is
        # silent, redis-py makes a new one to ask again, which is greeted as well, without an end.
        connection.on_connect_check_health(check_health=False)
        with self._lock:  # both before anything is asked: meanwhile a new run may tell us more
            known, told = self._run, self._sequence
        server = _info(ask, "server")
        run = server["run_id"]
        if known == run and _text(ask("GET", keys.SERVER_RUN)) == run:
            return
        kept = "kept" if _kept_everything(ask, server) else ""
        outcome = _text(ask("EVAL", source("server_changed"), 0, run, kept, told))
        if outcome == "lost":
            logs.event(log, "redis_changed", level=logging.WARNING, run=run)
        self._settle(run, forget=told if outcome == "lost" else 0)

    def _settle(self, run: str, *, forget: int) -> None:
        """What this run was told of may be less than was known; that is said once."""
        with self._lock:
            self._run = run
            if self._sequence <= forget:
                self._sequence = 0


def _kept_everything(ask: Callable[..., Any], server: dict[str, str]) -> bool:
    """Whether this run knows all that the run before had answered for.

    A server that restarts from a rewritten log names its own id of before as if it had been
    promoted. One without a port, as the embedded one is, never was a replica.

    Raises redis.BusyLoadingError if the server cannot tell yet.
    """
    persistence = _info(ask, "persistence")
    if persistence.get("loading") == "1":  # until its log is read, the server says that it has none
        raise redis.BusyLoadingError("the server is still loading its data")
    if persistence.get("aof_enabled") != "1":
        return False
    was_promoted = _info(ask, "replication").get("master_replid2", NEVER) != NEVER
    if was_promoted and server.get("tcp_port") != "0":
        return False
    try:
        found = ask("CONFIG", "GET", "appendfsync")
    except redis.ResponseError:  # a host that keeps its settings to itself
        return False
    values = found.values() if isinstance(found, dict) else found[1::2]
    return [_text(value) for value in values] == ["always"]


def _info(ask: Callable[..., Any], section: str) -> dict[str, str]:
    lines = _text(ask("INFO", section)).splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _text(answer: Any) -> str:
    return answer.decode() if isinstance(answer, bytes) else str(answer)
