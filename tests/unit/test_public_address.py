"""Nothing is posted in Chatwoot before its webhooks find somebody; not for ever."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gateway.config import Settings
from gateway.processes.public_address import await_public_address
from sandbox.ports import free_ports
from tests.scripted import ScriptedServer, answer
from tests.unit.web_kit import settings


@pytest.fixture
def front() -> Iterator[ScriptedServer]:
    """The web server in front of the gateway."""
    with ScriptedServer() as server:
        yield server


def known(url: str, seconds: float = 30.0) -> Settings:
    base = settings()
    change = {"public_url": url, "public_url_wait": seconds}
    return replace(base, gateway=base.gateway.model_copy(update=change))


def test_it_waits_until_the_address_answers(front: ScriptedServer) -> None:
    front.otherwise = answer(502, b"Bad Gateway")
    waiting = threading.Thread(
        target=await_public_address, args=(known(front.url), threading.Event())
    )
    waiting.start()
    deadline = time.monotonic() + 10
    while len(front.requests) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert waiting.is_alive()
    front.otherwise = answer(200, b"alive")
    waiting.join(10)
    assert not waiting.is_alive()
    assert front.requests[0].path == "/healthz"


def test_an_address_that_passes_on_webhooks_alone_answers_too(front: ScriptedServer) -> None:
    front.otherwise = answer(404, b"Not Found")
    await_public_address(known(front.url), threading.Event())
    assert len(front.requests) == 1


def test_it_goes_on_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    [port] = free_ports(1)
    with caplog.at_level(logging.WARNING):
        await_public_address(known(f"http://127.0.0.1:{port}", 0.3), threading.Event())
    assert [record.message for record in caplog.records] == ["address_does_not_answer"]


def test_whoever_is_asked_to_stop_does(front: ScriptedServer) -> None:
    front.otherwise = answer(503, b"")
    stop = threading.Event()
    stop.set()
    await_public_address(known(front.url), stop)
    assert front.requests == []


def test_whom_chatwoot_does_not_call_waits_for_nothing(front: ScriptedServer) -> None:
    base = known(front.url)
    account = base.accounts["main"].model_copy(update={"events": "websocket"})
    channels = {name: replace(each, account=account) for name, each in base.channels.items()}
    listening = replace(base, accounts={"main": account}, channels=channels)
    await_public_address(listening, threading.Event())
    assert front.requests == []
