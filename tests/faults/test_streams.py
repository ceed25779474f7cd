"""A mailbox with what used to stop it for ever, read by a clock and a worker as they really run."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config import load
from gateway.runtime import Runtime
from gateway.setup.doctor import examine
from sandbox.chatwoot import ChatwootStandIn
from sandbox.mail import MailStandIn
from tests.adapters.email_kit import mail
from tests.adapters.hostile import nested_mails, wide_table
from tests.faults.roles import running, write_settings
from tests.waiting import until

MEGABYTE = 1 << 20
SOON = 40.0
"""Seconds; ten on a machine that has nothing else to do."""
MOST_MEMORY = 150 * MEGABYTE
CHANNEL = """adapter = "email"
address = "{mail.address}"
password = "{mail.password}"
imap_host = "127.0.0.1"
imap_port = {mail.imap_port}
imap_security = "plain"
smtp_host = "127.0.0.1"
smtp_port = {mail.smtp_port}
smtp_security = "plain"
"""


@pytest.fixture
def deep() -> Iterator[None]:
    """The stand-in reads nested mails too, and must survive them."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(50_000)
    threading.stack_size(512 * MEGABYTE)
    yield
    threading.stack_size(0)
    sys.setrecursionlimit(before)


def peak(process: int) -> int:
    """The most memory that a process ever had, in bytes."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@pytest.mark.usefixtures("deep")
def test_no_mail_stops_the_mailbox(tmp_path: Path, redis_url: str) -> None:
    with ChatwootStandIn() as chatwoot, MailStandIn() as provider:
        threading.stack_size(0)
        environ = {"REDIS_URL": redis_url}
        file = write_settings(tmp_path, chatwoot, channel=CHANNEL.format(mail=provider))
        with running("clock", file, environ) as clock, running("worker", file, environ):
            log = tmp_path / "clock.log"
            until(lambda: "polled" in log.read_text())  # from here on
            for raw in (
                wide_table(210_000),
                nested_mails(990),
                mail(b"A" * 76 + b"\r\n" + b"B" * (60 * MEGABYTE)),
            ):
                provider.customer_writes("x@customer.example", raw=raw)
            provider.refuse_fetch_of_next()
            provider.customer_writes("x@customer.example", raw=mail("refused"))
            provider.customer_writes(
                "x@customer.example", raw=mail("fine", Message_ID="<2@c.example>")
            )
            until(lambda: texts(chatwoot), SOON)
            [shown] = texts(chatwoot)
            assert "fine" in shown.splitlines()
            assert peak(clock.pid) < MOST_MEMORY
        assert log.read_text().count("set_aside") == 4
    settings = load(file, environ)
    told = [line.finding.text for line in examine(settings, redis_url, Runtime())]
    [found] = [text for text in told if "could not be read" in text]
    assert found.startswith("4 could not be read")
    for reason in ("1 s of processor time or 64 MB", "nested", "60 MB", "refuses"):
        assert reason in found


def texts(chatwoot: ChatwootStandIn) -> list[str]:
    return [
        message["content"]
        for conversation in chatwoot.conversations()
        for message in chatwoot.messages(conversation["id"])
        if message["message_type"] == 0
    ]
