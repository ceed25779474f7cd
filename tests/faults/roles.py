"""The gateway's roles as real processes, each by itself, over a Redis and Chatwoot's stand-in."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import requests

from sandbox.chatwoot import ChatwootStandIn

ROOT = Path(__file__).parents[2]
KEY = "the network's key"
SIGNED = {"X-Key": KEY}
HOOK = "/channels/shop/webhook"

CHANNELS = """
[gateway]
public_url = "http://127.0.0.1:1"
public_url_wait = 0
secret = "a long enough secret for the tests"
lease = 2
uncertain_after = 1
{more}

[chatwoot.main]
url = "{url}"
account = 1
token = "{token}"
{limits}

[channels.shop]
inbox = {inbox}
{channel}
"""
PUSHES = f'adapter = "tests.unit.web_kit:Push"\nkey = "{KEY}"'


def write_settings(
    folder: Path,
    chatwoot: ChatwootStandIn,
    *,
    more: str = "",
    limits: str = "requests_per_minute = 0",
    channel: str = PUSHES,
) -> Path:
    """A file with one channel, `shop`, by default one whose network calls us.

    `more` is for [gateway], `limits` for the Chatwoot account, `channel` for the channel.
    """
    file = folder / "channels.toml"
    file.write_text(
        CHANNELS.format(
            url=chatwoot.url,
            token=chatwoot.access_token,
            inbox=chatwoot.add_inbox("Shop", None),
            more=more,
            limits=limits,
            channel=channel,
        )
    )
    return file


@contextlib.contextmanager
def running(
    role: str, file: Path, environ: Mapping[str, str], *, patch: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m gateway <role>`; what it says is in a file named after it, beside `file`.

    `patch`: statements that make another release of it before it starts.
    """
    given = {**os.environ, "GATEWAY_CONFIG": str(file), "PYTHONUNBUFFERED": "1", **environ}
    start = ["-m", "gateway", role]
    if patch:
        start = [
            "-c",
            f"{patch}\nimport sys\nfrom gateway.cli import main\nsys.exit(main({[role]}))",
        ]
    command = [sys.executable, *start]
    with (file.parent / f"{role}.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=given, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def answers(address: str) -> bool:
    """Whether a web process does."""
    with contextlib.suppress(requests.ConnectionError):
        return requests.get(f"{address}/healthz", timeout=5).ok
    return False


def posted(chatwoot: ChatwootStandIn) -> dict[str, list[str]]:
    """By customer: the texts, in the order in which agents see them."""
    return {
        conversation["meta"]["sender"]["name"]: [
            message["content"]
            for message in chatwoot.messages(conversation["id"])
            if not message["content_attributes"].get("deleted")
        ]
        for conversation in chatwoot.conversations()
    }
