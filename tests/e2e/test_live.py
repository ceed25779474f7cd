"""`python -m live` as one runs it, against the stand-in over HTTP, in each release and way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import requests

from sandbox.chatwoot import ChatwootStandIn

ROOT = Path(__file__).parents[2]
WAYS = [("4.10.1", "webhook"), ("4.13.0", "websocket"), ("4.15.1", "webhook")]


def live(chatwoot: ChatwootStandIn, *words: str) -> subprocess.CompletedProcess[str]:
    account = str(chatwoot.account_id)
    command = [sys.executable, "-m", "live", chatwoot.url, chatwoot.administrator.token, account]
    return subprocess.run(
        [*command, *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=400
    )


@pytest.mark.parametrize(("version", "events"), WAYS)
def test_every_check_is_ok_and_nothing_is_left(version: str, events: str) -> None:
    with ChatwootStandIn(version=version) as chatwoot:
        done = live(chatwoot, "--events", events)
        wrong = [line for line in done.stdout.splitlines() if line.startswith("WRONG")]
        assert (wrong, done.returncode) == ([], 0), done.stdout + done.stderr
        count = int(done.stdout.splitlines()[-1].split(" of ")[0])
        assert count >= 60
        assert (list(chatwoot.store.inboxes), list(chatwoot.store.contacts)) == ([], [])
        assert chatwoot.conversations() == []
        assert list(chatwoot.store.webhooks) == []


def test_an_account_with_conversations_is_refused_unless_told() -> None:
    with ChatwootStandIn() as chatwoot:
        inbox = chatwoot.add_inbox("Shop", None)
        contact = add_contact(chatwoot)
        chatwoot.agent_start_conversation(contact, inbox, "hello")
        done = live(chatwoot)
        assert done.returncode == 2
        assert "has conversations (1)" in done.stderr
        assert "--yes" in done.stderr
        assert len(list(chatwoot.store.inboxes)) == 1


def add_contact(chatwoot: ChatwootStandIn) -> int:
    answer = requests.post(
        f"{chatwoot.url}/api/v1/accounts/{chatwoot.account_id}/contacts",
        json={"name": "Ada"},
        headers={"api_access_token": chatwoot.administrator.token},
        timeout=10,
    )
    return int(answer.json()["payload"]["contact"]["id"])
