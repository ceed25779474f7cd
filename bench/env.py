"""The real thing: embedded Valkey, web and worker processes, filled with messages to relay."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import redis

from gateway import config
from gateway.intake.doorbell import Doorbell, queue_key
from gateway.intake.intake import Intake
from gateway.lanes import Lanes, keys
from gateway.model import Inbound
from gateway.processes.launch import web_command
from gateway.storage.connections import connect
from gateway.storage.embedded import EmbeddedValkey

CHANNELS = """
[gateway]
public_url = "http://127.0.0.1:1"
secret = "only for the bench, and long enough"
threads = {threads}

[chatwoot.main]
url = "{url}"
account = 1
token = "none"
requests_per_minute = 0
messages_per_minute = 0

[channels.bench]
adapter = "bench.nothing:Nothing"
brake = 0
inbox = 1
"""


@dataclass(frozen=True, slots=True)
class Env:
    """Running processes, and the way to give them work."""

    store: redis.Redis
    intake: Intake
    doorbell: Doorbell
    channel: config.Channel
    environ: Mapping[str, str]
    chatwoot_path: str
    """Of the address that Chatwoot calls."""
    workers: list[subprocess.Popen[bytes]]

    def append(self, lanes: int, each: int, name: str) -> None:
        """Store messages of so many people, a hundred at a time."""
        batch = [
            Inbound(id=f"{name}-{lane}-{number}", peer=f"peer-{lane}", text="hello")
            for number in range(each)
            for lane in range(lanes)
        ]
        for start in range(0, len(batch), 100):
            self.intake.take(self.channel, batch[start : start + 100])

    def drain(self, lanes: int, each: int, name: str) -> float:
        """Messages a second, from before they are stored until the last is posted."""
        goal, started = self.delivered() + lanes * each, time.perf_counter()
        self.append(lanes, each, name)
        self.wait_for(goal)
        return lanes * each / (time.perf_counter() - started)

    def wait_for(self, goal: int) -> None:
        """Until so many have been delivered since the env was built."""
        while self.delivered() < goal:
            time.sleep(0.005)

    def rings(self) -> int:
        """Jobs that wait in the doorbell's queue."""
        return int(self.store.llen(queue_key()))

    def delivered(self) -> int:
        return int(self.store.hget(keys.COUNTS, "delivered_in|bench") or 0)


def peak_megabytes(process: subprocess.Popen[bytes]) -> float:
    """The most memory that a process and its children have had, added up."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return sum(_peak(pid) for pid in (str(process.pid), *children))


def _peak(pid: str) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


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
                _wait_until_it_answers(server.url)
                yield server.url
            finally:
                process.kill()


@contextmanager
def env(url: str, redis_url: str, *, workers: int = 1, threads: int = 160) -> Iterator[Env]:
    """A gateway without web, as many workers as asked for."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as running:
        file = Path(folder) / "channels.toml"
        file.write_text(CHANNELS.format(url=url, threads=threads))
        environ = {**os.environ, "GATEWAY_CONFIG": str(file), "REDIS_URL": redis_url}
        settings = config.load(file, environ)
        store = connect(redis_url, connections=2, retries=0)
        doorbell = Doorbell(store)
        yield Env(
            store=store,
            intake=Intake(Lanes(store, queue_key()), doorbell),
            doorbell=doorbell,
            channel=settings.channels["bench"],
            environ=environ,
            chatwoot_path=urlsplit(settings.chatwoot_url(settings.channels["bench"])).path,
            workers=[
                running.enter_context(
                    run_process([sys.executable, "-m", "gateway", "worker"], environ)
                )
                for _ in range(workers)
            ],
        )


@contextmanager
def run_process(
    command: list[str], environ: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A process for as long as this lasts; what it says is not kept."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=environ, stdout=quiet, stderr=quiet) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextmanager
def web(
    built: Env, application: str = "", more: Mapping[str, str] | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address of the gateway's webhooks, or of another application on the same gunicorn."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environ = {**built.environ, **(more or {}), "GATEWAY_BIND": address}
    command = web_command(environ)
    if application:
        command[-1] = application
    with run_process(command, environ) as process:
        deadline = time.monotonic() + 20
        while not _listens(address):
            assert time.monotonic() < deadline, "web does not start"
            time.sleep(0.02)
        yield address, process


def _listens(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def _wait_until_it_answers(url: str) -> None:
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
