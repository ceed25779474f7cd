"""`python -m gateway run`, whole: the embedded server, gunicorn, a worker and the clock."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from gateway.storage.connections import connect
from gateway.storage.embedded import embedded_in
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
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture
def gateway(tmp_path: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The gateway, started; its output is in `output`."""
    (tmp_path / "channels.toml").write_text(CONFIG)
    (tmp_path / "run_test_adapter.py").write_text(ADAPTER)
    environ = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    environ |= {"PYTHONPATH": str(ROOT), "GATEWAY_BIND": f"127.0.0.1:{port}"}
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "run"],
            cwd=tmp_path,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    yield process
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
