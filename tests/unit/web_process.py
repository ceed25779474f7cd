"""A web process as it runs: gunicorn, real HTTP, and a Valkey of our own that may be killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

from gateway.processes.launch import web_command
from gateway.storage.connections import connect
from gateway.storage.embedded import EmbeddedValkey
from tests.unit.web_kit import ADMIN, CHATWOOT_TOKEN, KEY, PUBLIC_URL, SECRETS
from tests.waiting import until

ROOT = Path(__file__).parents[2]
CHANNELS = f"""
[gateway]
public_url = "{PUBLIC_URL}"
secret = ["{SECRETS[0]}", "{SECRETS[1]}"]
admin_token = "{ADMIN}"
body_limit = 4096
[chatwoot.main]
url = "https://chat.example.org"
account = 1
token = "{CHATWOOT_TOKEN}"
[channels.shop]
adapter = "tests.unit.web_kit:Push"
inbox = 7
key = "{KEY}"
[channels.forms]
adapter = "tests.unit.web_kit:Signed"
inbox = 8
key = "{KEY}"
"""


@dataclass
class Server:
    """A Valkey of our own, that may be killed."""

    valkey: EmbeddedValkey
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.valkey.prepare()
        self.process = subprocess.Popen(self.valkey.command(), stdout=subprocess.DEVNULL)
        client = connect(self.valkey.url, connections=1, retries=0)
        until(lambda: answers(client))
        client.close()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


@dataclass
class Web:
    """A gunicorn on a free port; everything it writes is kept."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        until(lambda: self._address() or self.process.poll() is not None)
        address = self._address()
        assert address, self.output
        return address[1]

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    def _address(self) -> re.Match[str] | None:
        return re.search(r"Listening at: (http://\S+)", self.output)


@contextmanager
def own_valkey(folder: Path) -> Iterator[Server]:
    server = Server(EmbeddedValkey(folder))
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def serving(server: Server, folder: Path, *options: str) -> Iterator[Web]:
    """The web process as `python -m gateway web` starts it; `options` for gunicorn win."""
    channels = folder / "channels.toml"
    channels.write_text(CHANNELS)
    settings = {
        "GATEWAY_CONFIG": str(channels),
        "REDIS_URL": server.valkey.url,
        "PYTHONPATH": str(ROOT),
    }
    *command, app = web_command({"GATEWAY_BIND": "127.0.0.1:0"})
    process = subprocess.Popen(
        [*command, "--log-level", "info", *options, app],
        env=os.environ | settings,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    web = Web(process)
    reader = threading.Thread(target=web.read, daemon=True)
    reader.start()
    try:
        yield web
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        reader.join(5)
