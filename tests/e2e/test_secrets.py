"""Marked secrets through every process and command: none may be seen in anything they write.

Chatwoot and the networks are one server that answers with what it was sent, credentials and all, as
badly made servers do; one of the channels lets its key out wherever it can.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import requests

from gateway.config import Settings, load
from gateway.storage.connections import connect_bytes
from gateway.storage.embedded import EmbeddedValkey
from sandbox.chatwoot.posting import signature
from sandbox.ports import free_ports
from tests.scripted import Exchange, ScriptedServer
from tests.unit.web_kit import reply
from tests.waiting import until

ROOT = Path(__file__).parents[2]
REDIS = "marked-redis/password"
TEXTS = ("marked words of a customer", "marked words of an agent")
PUBSUB = "marked-pubsub-token"
CHANNELS = """
[gateway]
public_url = "{here}"
secret = ["marked-gateway-secret-new", "marked-gateway-secret-old"]
admin_token = "marked-admin-token"
uncertain_after = 0
[chatwoot.main]
url = "{away}"
account = 1
token = "marked-chatwoot-token"
[channels.leaky]
adapter = "tests.e2e.leaky:Leaky"
inbox = 7
settle = 0
signing_secret = "marked-signing-secret"
key = "marked-\\"network\\" key/+&"
api_url = "{away}"
[channels.bot]
adapter = "telegram"
inbox = 8
settle = 0
token = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDmark"
api_url = "{away}"
[channels.sms]
adapter = "twilio"
inbox = 9
settle = 0
account_sid = "AC0123456789abcdef0123456789abcdef"
auth_token = "marked-auth-token"
api_key = "SK0123456789abcdef0123456789abcdef"
api_secret = "marked-api-secret"
sender = "+15550100001"
api_url = "{away}"
[channels.post]
adapter = "email"
inbox = 10
settle = 0
address = "support@example.org"
password = "marked-mail-password"
imap_host = "127.0.0.1"
imap_port = 9
imap_security = "plain"
smtp_host = "127.0.0.1"
smtp_port = 9
smtp_security = "plain"
"""
WITH_OTHER_SETTINGS = (("check", "broken"), ("check", "named"), ("setup", "named"))
COMMANDS = ("check", "setup", "doctor", "doctor --json", "dead list", "dead show none")


def echo() -> Any:
    """All that was sent but for the body, with one status after another."""
    statuses = itertools.cycle([401, 500, 422, 302, 200, 404])

    def behave(exchange: Exchange) -> None:
        status = next(statuses)
        told = {"error": {"path": exchange.path, "headers": dict(exchange.headers)}}
        told["message"] = told["description"] = json.dumps(told)  # type: ignore[assignment]
        where = {"Location": f"/elsewhere{exchange.path}"} if status == 302 else {}
        exchange.answer(status, where, json.dumps(told).encode())

    return behave


@dataclass
class Gateway:
    """Every process of the gateway; what they write is in `output`."""

    folder: Path
    environ: dict[str, str]
    url: str
    settings: Settings

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()

    def command(self, line: str, **environ: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "gateway", *line.split()],
            cwd=self.folder,
            env=self.environ | environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout + done.stderr
        return done.stdout + done.stderr

    def chatwoot_says(self, channel: str, number: int, text: str) -> int:
        known = self.settings.channels[channel]
        conversation = reply()["conversation"] | {"inbox_id": known.config.inbox}
        conversation["contact_inbox"]["source_id"] = "+15551230001"
        body = reply(id=number, content=text, conversation=conversation)
        address = self.settings.chatwoot_url(known)
        return requests.post(address, json=body, timeout=10).status_code


@pytest.fixture
def away() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        server.otherwise = echo()
        yield server


@pytest.fixture
def gateway(tmp_path: Path, away: ScriptedServer) -> Iterator[Gateway]:
    valkey = EmbeddedValkey(tmp_path / "valkey")
    valkey.prepare()
    url = valkey.url.replace("unix://", "unix://:marked-redis%2Fpassword@")
    server = subprocess.Popen([*valkey.command(), "--requirepass", REDIS])
    here = f"http://127.0.0.1:{free_ports(1)[0]}"
    (tmp_path / "channels.toml").write_text(CHANNELS.format(here=here, away=away.url))
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "REDIS_URL": url}
    environ |= {"GATEWAY_BIND": here.removeprefix("http://"), "PYTHONUNBUFFERED": "1"}
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "run"],
            cwd=tmp_path,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    settings = load(tmp_path / "channels.toml", environ)
    try:
        yield Gateway(tmp_path, environ, here, settings)
    finally:
        process.terminate()
        process.wait(15)
        server.kill()
        server.wait()


def _ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=5).ok
    except requests.RequestException:
        return False


def test_no_process_command_or_page_shows_a_secret(gateway: Gateway) -> None:
    until(lambda: _ready(gateway.url), 30)
    told = _feed(gateway)
    until(lambda: all(word in gateway.output for word in HAPPENED), 30)
    with ThreadPoolExecutor(4) as pool:
        told += pool.map(lambda asked: gateway.command(asked[0], **asked[1]), _asked(gateway))
    everything = {"output": gateway.output, "answers": "\n".join(told), "redis": _stored(gateway)}
    secrets = {*gateway.settings.secret_values(), PUBSUB, "marked-redis%2Fpassword"}
    assert len(secrets) > 15
    for where, text in everything.items():
        for secret in secrets:
            for spelling in {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]}:
                assert spelling not in text, (where, _around(text, spelling))
    for text in TEXTS:
        assert text not in everything["output"], _around(everything["output"], text)
    assert "AAHdqTcvCH1v" not in everything["output"] + everything["answers"]


HAPPENED = (
    "event=channel_trouble channel=leaky",
    "event=channel_trouble channel=bot",
    "event=channel_trouble channel=post",
    "event=unreadable",
    "event=refused",
    "event=not_reconciled",
    "event=delivery_crashed",
    *(f"lane=out/{name}/" for name in ("leaky", "bot", "sms", "post")),
    "lane=in/leaky/ada",
)


def _feed(gateway: Gateway) -> list[str]:
    """Webhooks good and bad, and every page. What was answered."""
    hook, key = f"{gateway.url}/channels/leaky/webhook", gateway.settings.channels["leaky"].config
    right = {"X-Key": cast(Any, key).key.get_secret_value().encode(), "Authorization": "Bearer x"}
    admin = {"Authorization": f"Bearer {gateway.settings.admin_token}"}
    answers = [
        requests.post(hook, json={"id": "1", "text": TEXTS[0]}, headers=right, timeout=10),
        requests.post(hook, json={"break": 1}, headers=right, timeout=10),
        requests.post(hook, json={"other": 1}, headers=right, timeout=10),
        requests.post(hook, json={}, headers={"X-Key": "wrong"}, timeout=10),
        requests.post(f"{gateway.settings.chatwoot_url(gateway.settings.channels['sms'])}x"),
        requests.post(gateway.settings.chatwoot_url(gateway.settings.channels["sms"]), data=b"{"),
        # Not signed, though the settings have the secret with which it should be.
        requests.post(gateway.settings.chatwoot_url(gateway.settings.channels["leaky"]), json={}),
    ]
    for page in ("/", "/healthz", "/readyz", "/health/backlog", "/metrics", "/no"):
        answers += [requests.get(gateway.url + page, headers=h, timeout=10) for h in (admin, {})]
    for n, name in enumerate(gateway.settings.channels):
        for m, text in enumerate((TEXTS[1], "this will break")):
            gateway_says = _signed if name == "leaky" else Gateway.chatwoot_says
            assert gateway_says(gateway, name, 100 + 10 * n + m, text) == 200
    return [answer.text + str(answer.headers) for answer in answers]


def _signed(gateway: Gateway, name: str, number: int, text: str) -> int:
    """Chatwoot's reply on the channel that has a signing secret."""
    known = gateway.settings.channels[name]
    conversation = reply()["conversation"] | {"inbox_id": known.config.inbox}
    body = json.dumps(reply(id=number, content=text, conversation=conversation)).encode()
    stamp = str(int(time.time()))
    headers = {
        "X-Chatwoot-Timestamp": stamp,
        "X-Chatwoot-Signature": signature("marked-signing-secret", stamp, body),
    }
    address = gateway.settings.chatwoot_url(known)
    return requests.post(address, data=body, headers=headers, timeout=10).status_code


def _asked(gateway: Gateway) -> list[tuple[str, dict[str, str]]]:
    """Commands, and what to change in the environment: many cannot do their work, because of a
    wrong password, no server, or settings that are wrong."""
    wrong = gateway.environ["REDIS_URL"].replace("marked-redis", "marked-gateway-secret-new")
    nobody = "redis://:marked-chatwoot-token@127.0.0.1:1/0?password=marked-chatwoot-token"
    asked: list[tuple[str, dict[str, str]]] = [(line, {}) for line in COMMANDS]
    asked += [("worker", {"REDIS_URL": nobody}), ("check", {"REDIS_URL": wrong})]
    asked += [("dead list", {"REDIS_URL": url}) for url in (wrong, nobody)]
    asked += [(line, {"REDIS_URL": wrong, "GATEWAY_DEBUG": "1"}) for line in ("worker", "doctor")]
    settings = (gateway.folder / "channels.toml").read_text()
    broken = settings.replace("account = 1", 'account = "marked-chatwoot-token"')
    broken = broken.replace("settle = 0", 'settle = "marked-auth-token"', 1)
    broken = broken.replace("inbox = 9", "inbox = 9\nmarkedkey = 'marked-mail-password'")
    (gateway.folder / "broken.toml").write_text(broken)
    unnumbered = settings.replace("inbox = 9", 'inbox = "By name"')
    (gateway.folder / "named.toml").write_text(unnumbered)
    return [*asked, *((w, {"GATEWAY_CONFIG": f"{f}.toml"}) for w, f in WITH_OTHER_SETTINGS)]


def _stored(gateway: Gateway) -> str:
    """Everything in Redis, RQ's jobs too."""
    store = connect_bytes(gateway.environ["REDIS_URL"], connections=1, retries=3)
    read: dict[Any, Callable[[bytes], Any]] = {
        b"hash": store.hgetall,
        b"string": store.get,
        b"list": lambda key: store.lrange(key, 0, -1),
        b"zset": lambda key: store.zrange(key, 0, -1),
        b"set": store.smembers,
        b"stream": store.xrange,
    }
    found = [(key, read[store.type(key)](key)) for key in store.scan_iter("*")]
    return "\n".join(_readable(entry) for entry in found)


def _readable(value: Any) -> str:
    """As text; unpacked, since RQ packs the trace of a job that failed."""
    if isinstance(value, bytes):
        with suppress(zlib.error):
            value = zlib.decompress(value)
        return str(value, "utf-8", "backslashreplace")
    if isinstance(value, dict):
        value = value.items()
    return " ".join(map(_readable, value))


def _around(text: str, found: str) -> str:
    place = text.index(found)
    return text[max(0, place - 300) : place + 100]
