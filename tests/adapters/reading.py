"""What an adapter brings, read at once: the gateway does it one by one, and counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from gateway.adapter import Adapter
from gateway.model import Batch, Inbound, Receipt, Unread


def polled(adapter: Adapter, cursor: str | None) -> Batch:
    """One poll, with everything in it read."""
    batch = adapter.poll(cursor)
    return replace(batch, items=tuple(read_all(adapter, batch.items)))


def read_all(
    adapter: Adapter, found: Iterable[Inbound | Receipt | Unread]
) -> Iterator[Inbound | Receipt]:
    for each in found:
        yield from adapter.read(each) if isinstance(each, Unread) else (each,)
