"""`python -m gateway run`, whole: the embedded server, gunicorn, a worker and the clock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from gateway.storage.connections import connect
from gateway.storage.embedded import embedded_in
from sandbox.chatwoot import ChatwootStandIn
from sandbox.ports import free_ports
from tests.waiting import until

ROOT = Path(__file__).parents[2]
MOST_CONNECTIONS = 12
SECRETS = ("0123456789abcdef", "very-secret-token")
CONFIG = """\
[gateway]
public_url = "https://gw.example.org"
public_url_wait = 0
secret = "0123456789abcdef"
[chatwoot.main]
url = "http://127.0.0.1:9"
account = 1
token = "very-secret-token"
[channels.pigeons]
adapter = "run_test_adapter:Pigeon"
inbox = 7
"""
ADAPTER = """\
from gateway.adapter import Adapter
from gateway.model import Inbound
class Pigeon(Adapter):
    def verify(self, request): pass
    def parse(self, request): return [Inbound(request.query["id"], request.query["id"], "coo")]
"""


def _ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


@pytest.fixture
def port() -> int:
    (free,) = free_ports(1)
    return free


@pytest.fixture
def gateway(tmp_path: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    with started(tmp_path, port, CONFIG) as process:
        yield process


@contextmanager
def started(folder: Path, port: int, config: str) -> Iterator[subprocess.Popen[bytes]]:
    """The gateway, started in `folder`; its output is in `output` there."""
    (folder / "channels.toml").write_text(config)
    (folder / "run_test_adapter.py").write_text(ADAPTER)
    environ = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    environ |= {"PYTHONPATH": str(ROOT), "GATEWAY_BIND": f"127.0.0.1:{port}"}
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "run"],
            cwd=folder,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(15)


def test_starts_serves_and_stops(
    gateway: subprocess.Popen[bytes], port: int, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{port}"
    store = connect(embedded_in(tmp_path / "data").url, connections=1, retries=5)
    until(lambda: _ready(url), 60)
    until(lambda: store.exists("rq:workers"), 60)

    hook = f"{url}/channels/pigeons/webhook"
    with ThreadPoolExecutor(20) as senders:
        sending = [senders.submit(requests.post, f"{hook}?id={n}", timeout=10) for n in range(100)]
        most = 0
        while not all(answer.done() for answer in sending):
            most = max(most, len(store.client_list()) - 1)
    assert {answer.result().status_code for answer in sending} == {200}
    assert 3 < most <= MOST_CONNECTIONS

    gateway.send_signal(signal.SIGINT)
    assert gateway.wait(10) == 0
    said = (tmp_path / "output").read_text()
    assert "Traceback" not in said
    assert not any(secret in said for secret in SECRETS)


def test_delivers_from_a_folder_with_a_space_in_its_name(port: int) -> None:
    """Redis-py cannot read a client's address that contains one. The path must be short: a long one
    would put the server's socket elsewhere."""
    with (
        tempfile.TemporaryDirectory(prefix="my own = ") as name,
        ChatwootStandIn() as chatwoot,
    ):
        folder = Path(name)
        inbox = chatwoot.add_inbox("Pigeons", None)
        changed = CONFIG.replace("http://127.0.0.1:9", chatwoot.url)
        changed = changed.replace("very-secret-token", chatwoot.access_token)
        with started(folder, port, changed.replace("inbox = 7", f"inbox = {inbox}")):
            url = f"http://127.0.0.1:{port}"
            until(lambda: _ready(url), 60)
            hook = f"{url}/channels/pigeons/webhook?id=m1"
            assert requests.post(hook, timeout=10).status_code == 200
            until(lambda: _contents(chatwoot) == ["coo"], 30)


def _contents(chatwoot: ChatwootStandIn) -> list[str | None]:
    with chatwoot.store.reading():
        return [message.content for message in chatwoot.store.messages]
