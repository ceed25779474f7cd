"""What networks bring is read thing by thing: one that cannot be read never stops the others.

What raises, hangs, is too large or has ended the process is *set aside*: kept among the dead
letters, from where a person can have it read again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import sha256
from queue import Empty, SimpleQueue

import redis

from gateway.adapter import Adapter
from gateway.config import Channel
from gateway.errors import BadCredentials, DeliveryError, Rejected, Retry, Throttled, Uncertain
from gateway.intake.limits import within_limits
from gateway.lanes import Kind
from gateway.lanes.set_aside import SetAside
from gateway.model import Inbound, Receipt, Unread, only_items
from gateway.observability import logs

ATTEMPTS = 3
"""How often reading one thing may fail for a reason that may pass, or end the process."""
PATIENCE = 300.0
"""Seconds that reading one thing may take, in all."""
LARGEST = 1 << 20
"""Characters of one unread thing that are read, and kept if it is set aside."""
KEPT = 1 << 16
"""Characters of a larger one that are kept."""

log = logging.getLogger(__name__)

Item = Inbound | Receipt


class Reading:
    """Reads unread things through their channel's adapter. Threads may share it."""

    def __init__(self, store: redis.Redis, *, patience: float = PATIENCE) -> None:
        self._set_aside = SetAside(store)
        self._patience = patience

    def read(
        self, channel: Channel, adapter: Adapter, found: Iterable[Item | Unread]
    ) -> Iterator[Item]:
        """The items of a webhook, in the order in which they came.

        Raises redis.RedisError, a `DeliveryError` if the network must be asked and cannot be, and
        TypeError if there is something else among them.
        """
        for each in found:
            if isinstance(each, Unread):
                yield from self._items(channel, adapter, each, 1)
            else:
                yield from map(within_limits, only_items((each,)))

    def read_counted(
        self, channel: Channel, adapter: Adapter, found: Iterable[Item | Unread]
    ) -> Iterator[Item]:
        """The items of a poll, which comes again until its cursor is moved: each is counted before
        it is read, so that one that ends the process is passed by in the end.

        Raises redis.RedisError, and a `DeliveryError` if the network must be asked and cannot be.
        """
        for each in found:
            if isinstance(each, Unread):
                attempt = self._set_aside.begin(channel.name, each.id)
                yield from self._items(channel, adapter, each, attempt)
                self._set_aside.end(channel.name, each.id)
            else:
                yield from self._checked(channel, each)

    def keep(self, channel: Channel, unread: Unread, reason: str, *, kind: Kind = "unread") -> None:
        """Set it aside, and tell whoever runs the gateway. Raises redis.RedisError."""
        if len(unread.content) > LARGEST:
            unread = replace(unread, content=unread.content[:KEPT])
        if self._set_aside.keep(channel.name, channel.account.name, unread, reason, kind=kind):
            logs.event(
                log,
                "set_aside",
                level=logging.ERROR,
                channel=channel.name,
                unread=unread.id,
                why=reason,
            )

    def _items(
        self, channel: Channel, adapter: Adapter, unread: Unread, attempt: int
    ) -> tuple[Item, ...]:
        """Nothing if it is set aside."""
        reason = _too_much(unread, attempt)
        if not reason:
            try:
                return self._read_in_time(adapter, unread)
            except (redis.RedisError, Throttled, BadCredentials):
                raise
            except (Retry, Uncertain) as error:
                if attempt < ATTEMPTS:
                    raise
                reason = error.reason
            except Exception as error:  # noqa: BLE001 - it is logged, and the stream goes on
                reason = _why(channel, unread, error)
        self.keep(channel, unread, reason)
        return ()

    def _checked(self, channel: Channel, item: Item) -> tuple[Item, ...]:
        try:
            return tuple(map(within_limits, only_items((item,))))
        except Exception as error:  # noqa: BLE001 - likewise
            unread = _already_read(item)
            self.keep(channel, unread, _why(channel, unread, error))
            return ()

    def _read_in_time(self, adapter: Adapter, unread: Unread) -> tuple[Item, ...]:
        """Read on a thread of its own, which is left behind if it hangs."""
        answer: SimpleQueue[tuple[Item, ...] | Exception] = SimpleQueue()

        def work() -> None:
            try:
                answer.put(tuple(map(within_limits, only_items(adapter.read(unread)))))
            except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
                answer.put(error)
            except BaseException as error:
                answer.put(RuntimeError(f"reading ended with {type(error).__name__}"))
                raise

        threading.Thread(target=work, name="reading", daemon=True).start()
        try:
            found = answer.get(timeout=self._patience)
        except Empty:
            raise TimeoutError(f"reading took more than {self._patience:g} s") from None
        if isinstance(found, Exception):
            raise found
        return found


def _too_much(unread: Unread, attempt: int) -> str:
    if attempt > ATTEMPTS:
        return f"Reading it has failed, or ended the gateway's process, {ATTEMPTS} times"
    if len(unread.content) > LARGEST:
        return f"It is too large: {len(unread.content)} characters"
    return ""


def _why(channel: Channel, unread: Unread, error: Exception) -> str:
    """For whoever runs the gateway; what an adapter's own fault was is in the log alone."""
    if isinstance(error, DeliveryError | Rejected | TimeoutError):
        return str(error)
    logs.event(
        log,
        "unreadable_item",
        level=logging.ERROR,
        error=error,
        channel=channel.name,
        unread=unread.id,
    )
    return f"A fault in the adapter stopped it ({type(error).__name__}): see the gateway's log"


def _already_read(item: object) -> Unread:
    """What something is set aside as that its poll has read by itself: for a person's eyes."""
    shown = repr(item)
    digest = sha256(shown.encode(errors="replace")).hexdigest()[:16]
    return Unread(f"{type(item).__name__}:{digest}", shown[:KEPT])
