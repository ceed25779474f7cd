"""The real thing: embedded Valkey and a worker process, filled with messages to relay."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from gateway import config
from gateway.bell import Bell, queue_key
from gateway.connections import connect
from gateway.embedded import EmbeddedValkey
from gateway.intake import Intake
from gateway.lanes import Lanes
from gateway.model import Inbound

CHANNELS = """
[gateway]
public_url = "http://127.0.0.1:1"
secret = "only for the bench, and long enough"

[chatwoot.main]
url = "{url}"
account = 1
token = "none"
requests_per_minute = 0
messages_per_minute = 0

[channels.bench]
adapter = "bench.nothing:Nothing"
inbox = 1
"""


@dataclass(frozen=True, slots=True)
class House:
    """A running worker, and the way to give it work."""

    store: redis.Redis
    intake: Intake
    channel: config.Channel
    worker: subprocess.Popen[bytes]

    def drain(self, lanes: int, each: int, name: str) -> float:
        """Messages a second, from before they are stored until the last is posted."""
        batch = [
            Inbound(id=f"{name}-{lane}-{number}", peer=f"peer-{lane}", text="hello")
            for number in range(each)
            for lane in range(lanes)
        ]
        goal = self._delivered() + len(batch)
        started = time.perf_counter()
        self.intake.take(self.channel, batch)
        while self._delivered() < goal:
            time.sleep(0.005)
        return len(batch) / (time.perf_counter() - started)

    def peak_megabytes(self) -> float:
        """The most memory that the worker process has had."""
        status = Path(f"/proc/{self.worker.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) / 1024

    def _delivered(self) -> int:
        return int(self.store.hget("gw:count", "delivered_in|bench") or 0)


@contextmanager
def peer(seconds: float) -> Iterator[str]:
    """The address of a Chatwoot that answers after `seconds`."""
    command = [sys.executable, "-m", "bench.peer", str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@contextmanager
def valkey() -> Iterator[str]:
    """The address of a fresh embedded server."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        server = EmbeddedValkey(Path(folder))
        server.prepare()
        with subprocess.Popen(server.command(), stdout=subprocess.DEVNULL) as process:
            try:
                _wait_for(server.url)
                yield server.url
            finally:
                process.kill()


@contextmanager
def house(url: str, redis_url: str, *, lanes: int) -> Iterator[House]:
    """A worker whose people are all known already, as in the steady state."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        file = Path(folder) / "channels.toml"
        file.write_text(CHANNELS.format(url=url))
        environ = {**os.environ, "GATEWAY_CONFIG": str(file), "REDIS_URL": redis_url}
        command = [sys.executable, "-m", "gateway", "worker"]
        log = (Path(folder) / "log").open("wb")
        with log, subprocess.Popen(command, env=environ, stderr=log, stdout=log) as worker:
            try:
                settings = config.load(file, environ)
                store = connect(redis_url, connections=2, retries=0)
                intake = Intake(Lanes(store, queue_key()), Bell(store))
                built = House(store, intake, settings.channels["bench"], worker)
                built.drain(lanes, 1, f"warm-{time.time_ns()}")
                yield built
            finally:
                worker.terminate()


def _wait_for(url: str) -> None:
    client, deadline = connect(url, connections=1, retries=0), time.monotonic() + 10
    while True:
        try:
            client.ping()
        except redis.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
