"""The web process as it runs: gunicorn, real HTTP, and a Redis server that dies and comes back."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis
import requests

from gateway.connections import connect
from gateway.embedded import EmbeddedValkey
from tests.unit.web_kit import (
    ADMIN,
    CHATWOOT_TOKEN,
    HOOK,
    KEY,
    PUBLIC_URL,
    SECRETS,
    SIGNED,
    chatwoot_path,
    reply,
    text,
)

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
"""


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(EmbeddedValkey(tmp_path_factory.mktemp("valkey")))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def web(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    channels = tmp_path_factory.mktemp("web") / "channels.toml"
    channels.write_text(CHANNELS)
    settings = {
        "GATEWAY_CONFIG": str(channels),
        "REDIS_URL": server.valkey.url,
        "PYTHONPATH": str(ROOT),
    }
    gunicorn = ("-m", "gunicorn", "--worker-class=gthread", "--threads=8", "--bind=127.0.0.1:0")
    process = subprocess.Popen(
        [sys.executable, *gunicorn, "gateway.web.wsgi:app_from_environment()"],
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


def test_a_chunked_body_over_the_limit(web: Web) -> None:
    host = web.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=5)
    whole = json.dumps(text("long", "x" * 5000)).encode()
    connection.request("POST", HOOK, iter([whole[:4096], whole[4096:]]), SIGNED)
    assert connection.getresponse().status == 413
    connection.close()


def test_a_chunked_body_within_the_limit(web: Web) -> None:
    body = json.dumps(text("chunked")).encode()
    answer = requests.post(web.url + HOOK, data=iter([body[:9], body[9:]]), headers=SIGNED)
    assert answer.status_code == 200
    until(lambda: "i:shop:chunked" in web.output)


def test_redis_killed_is_a_quick_503_and_back_again_a_200(web: Web, server: Server) -> None:
    with requests.Session() as session:
        assert session.post(web.url + HOOK, json=text("before"), headers=SIGNED).ok
        server.kill()
        began = time.monotonic()
        for path, body in ((HOOK, text("during")), (chatwoot_path(), reply())):
            answer = session.post(web.url + path, json=body, headers=SIGNED)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
            assert "Traceback" not in answer.text
        assert time.monotonic() - began < 1
        assert session.get(web.url + "/readyz").status_code == 503
        server.start()
        answer = session.post(web.url + HOOK, json=text("after"), headers=SIGNED)
        assert answer.status_code == 200
        assert session.get(web.url + "/readyz").status_code == 200
    client = connect(server.valkey.url, connections=1, retries=0)
    assert client.exists("gw:msg:i:shop:before") and client.exists("gw:msg:i:shop:after")
    assert not client.exists("gw:msg:i:shop:during")
    client.close()


def test_threads_share_three_connections(web: Web, server: Server) -> None:
    def burst(begin: int) -> None:
        with requests.Session() as session:
            for n in range(begin, begin + 20):
                session.post(web.url + HOOK, json=text(f"b{n}"), headers=SIGNED)

    crowd = [threading.Thread(target=burst, args=(n * 100,)) for n in range(8)]
    client = connect(server.valkey.url, connections=1, retries=0)
    # Each rings anew, or the bell's connection would stay idle and not be counted.
    client.delete("rq:queue:gateway")
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert len(client.client_list()) - 1 <= 3
    assert client.zcard("gw:lane:in/shop/ada") >= 160
    client.close()


def test_the_process_shows_that_it_lives(web: Web, server: Server) -> None:
    client = connect(server.valkey.url, connections=1, retries=0)
    until(lambda: web.url and any(str(b).startswith("web:") for b in client.hkeys("gw:beats")))
    client.close()


def test_nothing_that_it_writes_or_answers_holds_a_secret(web: Web) -> None:
    """Every kind of answer, with every secret in what is sent; then all that was written."""
    address, token = web.url, chatwoot_path().rsplit("/", 1)[1]
    asked = [
        ("POST", HOOK, json.dumps(text("secret-free", "hi")).encode(), SIGNED),
        ("POST", HOOK, b"{", SIGNED),
        ("POST", HOOK, json.dumps({"kind": "break"}).encode(), SIGNED),
        ("POST", f"{HOOK}?break-verify=1", b"{}", SIGNED),
        ("POST", HOOK, b"{}", {"X-Key": "wrong"}),
        ("POST", chatwoot_path(), json.dumps(reply(id=5)).encode(), {}),
        ("POST", chatwoot_path(1), b"{", {}),
        ("POST", chatwoot_path(), json.dumps(reply(content=None, sender=3)).encode(), {}),
        ("POST", f"{chatwoot_path()}x", b"{}", {}),
        ("GET", chatwoot_path(), b"", {}),
        ("POST", chatwoot_path(), b"x" * 5000, {}),
        ("GET", f"/channels/shop/none/{token}", b"", {}),
        ("GET", "/", b"", {}),
        ("GET", "/health/backlog", b"", {"Authorization": f"Bearer {ADMIN}"}),
        ("GET", "/metrics", b"", {"Authorization": f"Bearer {ADMIN}"}),
        ("GET", "/metrics", b"", {}),
    ]
    told = [requests.request(m, address + p, data=b, headers=h) for m, p, b, h in asked]
    assert {answer.status_code for answer in told} == {200, 400, 401, 403, 404, 405, 413, 500}
    until(lambda: web.output.count("event=undigested") == 1)
    seen = web.output + "".join(answer.text + str(answer.headers) for answer in told)
    marked = [*SECRETS, KEY, CHATWOOT_TOKEN, ADMIN, "marked-pubsub-token"]
    for secret in [*marked, token, chatwoot_path(1).rsplit("/", 1)[1]]:
        assert secret not in seen
    assert not any("Traceback" in answer.text for answer in told)
    assert "message" in web.output and "i:shop:secret-free" in web.output
