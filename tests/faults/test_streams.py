"""A mailbox with what used to stop it for ever, read by a clock and a worker as they really run."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
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
SOON = 10.0
"""Seconds from the last mail's arrival, on a machine that has nothing else to do."""
MOST_MEMORY = 150 * MEGABYTE
"""Of the clock and the child in which it reads, together."""
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


@dataclass(slots=True)
class Peaks:
    """The most memory that a process and its children ever had, in bytes, by process id."""

    process: int
    seen: dict[int, int] = field(default_factory=dict)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look again and again: a child that has ended can no longer be asked."""
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(0.02):
                self.look()

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()

    def look(self) -> None:
        for process in (self.process, *self._children()):
            self.seen[process] = max(self.seen.get(process, 0), _peak(process))

    @property
    def most(self) -> int:
        """Of the process and the largest of its children: they have one at a time."""
        children = [size for process, size in self.seen.items() if process != self.process]
        return self.seen[self.process] + max(children)

    def _children(self) -> list[int]:
        found = ""
        for tasks in Path(f"/proc/{self.process}/task").glob("*/children"):
            with suppress(OSError):  # that thread has ended
                found += tasks.read_text()
        return [int(word) for word in found.split()]


def _peak(process: int) -> int:
    """0 for one that has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    found = (int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    return next(found, 0)


@pytest.mark.usefixtures("deep")
def test_no_mail_stops_the_mailbox(tmp_path: Path, redis_url: str) -> None:
    with ChatwootStandIn() as chatwoot, MailStandIn() as provider:
        threading.stack_size(0)
        environ = {"REDIS_URL": redis_url}
        file = write_settings(tmp_path, chatwoot, channel=CHANNEL.format(mail=provider))
        with (
            running("clock", file, environ) as clock,
            running("worker", file, environ),
            (peaks := Peaks(clock.pid)).watched(),
        ):
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
            until(lambda: texts(chatwoot), SOON * busyness())
            [shown] = texts(chatwoot)
            assert "fine" in shown.splitlines()
            assert peaks.most < MOST_MEMORY
        assert log.read_text().count("set_aside") == 4
    settings = load(file, environ)
    told = [line.finding.text for line in examine(settings, redis_url, Runtime())]
    [found] = [text for text in told if "could not be read" in text]
    assert found.startswith("4 could not be read")
    for reason in ("1 s of processor time or 48 MB", "nested", "60 MB", "refuses"):
        assert reason in found


def busyness() -> float:
    """How many times longer work takes here now than on a machine that has nothing else to do."""
    began, used = time.monotonic(), time.thread_time()
    while time.thread_time() - used < 0.2:
        pass
    return (time.monotonic() - began) / 0.2


def texts(chatwoot: ChatwootStandIn) -> list[str]:
    return [
        message["content"]
        for conversation in chatwoot.conversations()
        for message in chatwoot.messages(conversation["id"])
        if message["message_type"] == 0
    ]
