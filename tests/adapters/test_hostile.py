"""Whatever a stranger writes costs at most a second and 64 MB, and the next one is read as well."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.email import Email
from adapters.email.slimming import slimmed
from adapters.telegram import Telegram
from gateway.adapter import SecretStr, Site
from gateway.errors import Malformed, Permanent
from gateway.intake.limits import LONGEST_TEXT, within_limits
from gateway.model import Inbound, Style, Unread, WebRequest
from gateway.relay.to_network.rendering import Renderer
from gateway.runtime import Runtime
from tests.adapters.email_kit import channel, mail
from tests.adapters.hostile import MAILS, MARKDOWN, UPDATES

SECONDS = 1.0
OUR_OWN = 0.5
"""Seconds of processor time that starting a child anew may take beside."""
MEGABYTES = 64
PIECE = 1 << 20


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Email]:
    adapter = channel(imap_port=1, smtp_port=1)
    yield adapter
    adapter.close()


@pytest.fixture(scope="module")
def telegram() -> Iterator[Telegram]:
    runtime = Runtime()
    config = Telegram.Config(adapter="telegram", inbox=1, token=SecretStr("1:x"), mode="polling")
    adapter = Telegram(config, Site("bot", "https://gw.example/x", "s", runtime))
    yield adapter
    adapter.close()
    runtime.close()


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    renderer = Renderer()
    yield renderer
    renderer.close()


def read_mail(mailbox: Email, content: bytes) -> list[Inbound]:
    """As `Email.read` does it once it has fetched the mail."""
    pieces = (content[start : start + PIECE] for start in range(0, len(content), PIECE))
    mail = slimmed(pieces)
    mailbox._inbox.fetch = lambda where: mail  # type: ignore[method-assign]
    return list(mailbox.read(Unread("mail:1:1", "1:1")))


def within_budget(work: Callable[[], Any]) -> Any:
    """What it returns; None if it is refused. Fails if it costs more than it may."""
    seconds, memory = _seconds(), _peak()
    try:
        done = work()
    except (Malformed, Permanent):
        done = None
    assert _seconds() - seconds <= SECONDS + OUR_OWN
    assert _peak() - memory <= MEGABYTES * 1024
    return done


def _seconds() -> float:
    """Processor time of this process, of its children that live, and of those that have ended."""
    ended = sum(
        resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return ended + sum(map(_seconds_of, _children()))


def _children() -> list[str]:
    tasks = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return [child for task in tasks for child in task.read_text().split()]


def _seconds_of(process: str) -> float:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak() -> int:
    """The most memory that this process ever had, in kB. The child's limit is the kernel's."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_there_are_enough() -> None:
    assert len(MAILS) + len(UPDATES) + len(MARKDOWN) >= 100


@pytest.mark.parametrize("name", MAILS)
def test_a_mail(mailbox: Email, name: str) -> None:
    content = MAILS[name]()
    # Once, so that its first child is there, and nothing else is measured.
    assert read_mail(mailbox, mail("before"))[0].text == "before"
    for inbound in within_budget(lambda: read_mail(mailbox, content)) or ():
        assert len(inbound.text) <= LONGEST_TEXT
        assert within_limits(inbound) == within_limits(within_limits(inbound))
        assert "root:" not in inbound.text
    assert read_mail(mailbox, mail("after"))[0].text == "after"


@pytest.mark.parametrize("name", UPDATES)
def test_an_update(telegram: Telegram, name: str) -> None:
    unread = UPDATES[name]()

    def read() -> list[Inbound]:
        try:
            return list(telegram.read(unread))
        except RecursionError:
            raise Malformed("nested too deeply") from None

    within_budget(read)


@pytest.mark.parametrize("body", [b"[" * 500_000, b'{"a":' * 300_000, b'"' + b"\\ud800" * 100_000])
def test_a_webhooks_body(telegram: Telegram, body: bytes) -> None:
    request = WebRequest("POST", "https://gw.example/x", {}, {}, {}, body)
    within_budget(lambda: list(telegram.parse(request)))


@pytest.mark.parametrize("name", MARKDOWN)
def test_an_agents_markdown(renderer: Renderer, name: str) -> None:
    text = MARKDOWN[name]()
    renderer.render("x" * 3000, frozenset(Style))
    assert within_budget(lambda: renderer.render(text, frozenset(Style))).text
