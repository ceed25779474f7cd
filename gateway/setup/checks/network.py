"""Lets an adapter check or register its account. Any failure in it becomes a finding."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from gateway.adapter import Adapter, Finding
from gateway.config import Channel, Settings
from gateway.errors import DeliveryError
from gateway.runtime import Runtime

FIX = "Fix this, and run the command again."


def look_at_network(settings: Settings, channel: Channel, runtime: Runtime) -> Iterator[Finding]:
    """Let the channel's adapter check its account, and change nothing."""
    return _run(settings, channel, runtime, lambda adapter: adapter.check())


def connect_network(settings: Settings, channel: Channel, runtime: Runtime) -> Iterator[Finding]:
    """Let the channel's adapter register with the network."""
    return _run(
        settings, channel, runtime, lambda adapter: [Finding.good("network", adapter.connect())]
    )


def _run(
    settings: Settings,
    channel: Channel,
    runtime: Runtime,
    step: Callable[[Adapter], Iterable[Finding]],
) -> Iterator[Finding]:
    try:
        adapter = channel.adapter(channel.config, settings.site(channel, runtime))
        with contextlib.closing(adapter):
            yield from step(adapter)
    except DeliveryError as error:
        yield Finding.bad("network", error.reason, FIX)
    except Exception as error:
        yield Finding.bad("network", f"{type(error).__name__}: {error}", _place(error))


def _place(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"The adapter failed in {Path(last.filename).name}, line {last.lineno}: fix it there."
