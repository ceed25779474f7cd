"""A primary, a replica and three sentinels that watch them: real servers, for fail-overs.

    with ReplicatedRedis(tmp_path) as redis:
        settings = config.load(file, redis.environ)
        redis.wait_for_replica()
        redis.kill_primary()        # SIGKILL; the sentinels promote the replica within two seconds
        redis.wait_for_new_primary()
        redis.start(redis.servers[0])   # the old one is back, and becomes a replica

Everything listens on free ports of 127.0.0.1 and is killed at the end.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from gateway.config.sentinels import Sentinels
from gateway.storage.embedded import EmbeddedValkey
from sandbox.ports import free_ports

NAME = "gateway-tests"
DOWN_AFTER = 500
"""Milliseconds. Short, for tests in which nothing else is busy."""
PATIENCE = 30.0
"""Seconds that anything may take on a busy machine."""


@dataclass
class Server:
    """A Valkey server, or a sentinel, on a port that it keeps when it is started again."""

    port: int
    command: list[str]
    output: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def client(self) -> redis.Redis:
        """A client of this very server, whatever its role."""
        # Without repetitions: an answer that comes seconds later is about other roles.
        never = Retry(NoBackoff(), 0)
        return redis.Redis(port=self.port, decode_responses=True, socket_timeout=5, retry=never)

    def start(self) -> None:
        with self.output.open("ab") as out:
            self.process = subprocess.Popen(self.command, stdout=out, stderr=out)

    def kill(self) -> None:
        """SIGKILL. Nothing happens if it does not run."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        """SIGSTOP: it says nothing, and its connections stay."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)

    @property
    def answers(self) -> bool:
        with contextlib.suppress(redis.RedisError), contextlib.closing(self.client) as client:
            return bool(client.ping())
        return False

    @property
    def is_primary(self) -> bool:
        with contextlib.suppress(redis.RedisError), contextlib.closing(self.client) as client:
            return bool(client.info("replication")["role"] == "master")
        return False


class ReplicatedRedis:
    """The whole set, as a context manager."""

    def __init__(self, folder: Path, down_after: int = DOWN_AFTER) -> None:
        """`down_after`: milliseconds of silence after which the primary is taken for dead."""
        first, second, *others = free_ports(5)
        self.servers = (_server(folder, first), _server(folder, second, primary=first))
        self.sentinels = tuple(_sentinel(folder, port, first, down_after) for port in others)
        addresses = ",".join(f"127.0.0.1:{port}" for port in others)
        self.environ = {"REDIS_SENTINELS": f"{addresses}/{NAME}"}
        self.url = Sentinels(tuple(("127.0.0.1", port) for port in others), NAME).url

    def __enter__(self) -> ReplicatedRedis:
        for server in self.servers:
            self.start(server)
        for sentinel in self.sentinels:
            sentinel.start()
        until(lambda: all(s.answers for s in self.sentinels), "the sentinels do not answer")
        until(self._all_know_each_other, "the sentinels do not find each other")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in (*self.sentinels, *self.servers):
            server.kill()

    @property
    def primary(self) -> Server:
        """The server that the sentinels name at the moment."""
        for sentinel in self.sentinels:
            with contextlib.suppress(redis.RedisError), contextlib.closing(sentinel.client) as ask:
                _, port = cast(tuple[str, int], ask.sentinel_get_master_addr_by_name(NAME))
                return next(server for server in self.servers if server.port == port)
        raise redis.ConnectionError("no sentinel answers")

    def start(self, server: Server) -> None:
        """Start a server, the first time or after `kill`; its data are kept."""
        server.start()
        until(lambda: server.answers, "a server does not start")

    def kill_primary(self) -> Server:
        """SIGKILL. Returns the server that was killed."""
        primary = self.primary
        primary.kill()
        return primary

    def wait_for_new_primary(self, old: Server) -> Server:
        """Until the sentinels have made another server the primary; returns that."""
        until(lambda: self.primary is not old and self.primary.is_primary, "no new primary")
        return self.primary

    def wait_for_replica(self) -> None:
        """Until a replica has all that the primary has written so far."""
        with contextlib.closing(self.primary.client) as client:
            until(lambda: _has_all(client), "no replica follows")

    @property
    def watched(self) -> bool:
        """Whether every sentinel knows the others, and a replica that could take over."""
        with contextlib.suppress(redis.RedisError):
            return self._all_know_each_other()
        return False

    @property
    def in_step(self) -> bool:
        """Whether a replica follows the primary from moment to moment."""
        with (
            contextlib.suppress(redis.RedisError),
            contextlib.closing(self.primary.client) as client,
        ):
            told = client.info("replication")
            replicas = [told[f"slave{n}"] for n in range(told["connected_slaves"])]
            return any(each["state"] == "online" and each["lag"] <= 1 for each in replicas)
        return False

    @property
    def fail_overs(self) -> int:
        """How often a replica was made the primary."""
        return max(self._known(sentinel)["config-epoch"] for sentinel in self.sentinels)

    def _known(self, sentinel: Server) -> dict[str, int]:
        with contextlib.closing(sentinel.client) as client:
            return cast(dict[str, int], client.sentinel_master(NAME))

    def _all_know_each_other(self) -> bool:
        for sentinel in self.sentinels:
            known = self._known(sentinel)
            others = len(self.sentinels) - 1
            if known["num-other-sentinels"] < others or known["num-slaves"] < 1:
                return False
        return True


def until(come_about: Callable[[], bool], otherwise: str, seconds: float = PATIENCE) -> None:
    """Wait for a condition; TimeoutError with `otherwise` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not come_about():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(0.02)


def _has_all(client: redis.Redis) -> bool:
    told = client.info("replication")
    return any(
        told[f"slave{n}"]["offset"] >= told["master_repl_offset"]
        for n in range(told["connected_slaves"])
    )


def _server(folder: Path, port: int, *, primary: int = 0) -> Server:
    home = folder / f"valkey-{port}"
    home.mkdir()
    # From a file, because a fail-over writes the new roles down there.
    settings = {
        "port": port,
        "bind": "127.0.0.1",
        "dir": home,
        "appendonly": "yes",
        "appendfsync": "always",
        "save": '""',
        "maxmemory-policy": "noeviction",
        "repl-diskless-sync-delay": 0,
        "repl-timeout": 5,
    }
    if primary:
        settings["replicaof"] = f"127.0.0.1 {primary}"
    return Server(port, [_program(), str(_write(home, settings))], home / "log")


def _sentinel(folder: Path, port: int, primary: int, down_after: int) -> Server:
    home = folder / f"sentinel-{port}"
    home.mkdir()
    settings = {
        "port": port,
        "bind": "127.0.0.1",
        "dir": home,
        "sentinel monitor": f"{NAME} 127.0.0.1 {primary} 2",
        "sentinel down-after-milliseconds": f"{NAME} {down_after}",
        "sentinel failover-timeout": f"{NAME} 3000",
    }
    command = [_program(), str(_write(home, settings)), "--sentinel"]
    return Server(port, command, home / "log")


def _write(home: Path, settings: dict[str, object]) -> Path:
    path = home / "valkey.conf"
    path.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    return path


def _program() -> str:
    return EmbeddedValkey(Path()).command()[0]
