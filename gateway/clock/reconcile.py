"""Finds replies that Chatwoot never told us about: it sends each webhook once only.

Every minute Chatwoot is asked which conversations of an inbox changed lately, and outgoing messages
that we have never seen are stored as if their webhook had come. The ledger refuses what it knows.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from types import MappingProxyType
from uuid import uuid4

import redis

from gateway.chatwoot.client import CONVERSATIONS_PER_PAGE, LATEST_MESSAGES, Chatwoot
from gateway.chatwoot.errors import Missing
from gateway.chatwoot.events import MarkedFailed, Reply, SentElsewhere
from gateway.chatwoot.replies import as_event
from gateway.chatwoot.values import Conversation, Message
from gateway.clock.failed_calls import FailedCalls, is_customers
from gateway.config import Channel, Settings
from gateway.errors import DeliveryError, ServerTrouble
from gateway.intake.intake import Found, Intake
from gateway.intake.known_contacts import KnownContacts
from gateway.lanes import KeyValues, Ledger, Locks, ids, keys
from gateway.lanes.returns import Returns
from gateway.lanes.watermark import Watermark, set_watermark, watermark_of
from gateway.observability import logs
from gateway.relay.retry_policy import backoff

LAG = 300.0
"""Seconds. Chatwoot gives ids before it commits: a younger message may appear first, an older one
minutes later. So the watermark never passes a message that is younger than this."""
LONGEST_LOOK = 7 * 24 * 3600.0
LONG_LOOK = 3600.0
"""Seconds. A longer look asks page by page: all conversations in one answer may be too many."""
AT_ONCE, PAUSE = 50, 0.05
"""After so many conversations, so many seconds before each further one: Chatwoot's limit of
requests (`config/initializers/rack_attack.rb`) is for all that the gateway has to do."""
BROKEN = 3
"""So many conversations that Chatwoot fails to show are passed over; more, and Chatwoot is ill."""
LEASE = 3.0
"""Seconds that another clock waits if this one is killed. Renewed with every tick."""
GLANCE = 0.5
"""Seconds between two questions whether a look is due, or wanted since a web process returned."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Finds what was missed on one channel."""

    channel: Channel
    chatwoot: Chatwoot
    ledger: Ledger
    values: KeyValues
    intake: Intake
    pause: Callable[[float], object] = time.sleep
    contacts: KnownContacts | None = None
    """Where the contact of each reply that was missed is noted, if webhooks do not tell of them."""
    _read: dict[int, float] = field(init=False, default_factory=dict)
    """Of a look that failed: the conversations that it had read, and when they had changed last."""

    def look(self) -> int:
        """Store what was missed. Returns the number of replies.

        Raises a `DeliveryError` if Chatwoot cannot be asked, redis.RedisError if nothing can be
        stored. What was found before that stays stored, and the next look goes back as far.
        """
        now = self.chatwoot.now()
        mark = watermark_of(self.values, self.channel.name)
        if mark is None:
            self._set_first_mark(now)
            return 0
        recovered, newest = 0, mark.message
        calls = FailedCalls(self.channel, self.values)
        try:
            for conversation, messages in self._read_messages(mark, now):
                recovered += self._take(conversation, messages, mark, now, calls)
                # Of any kind: whatever has a lower id in this inbox was looked at as well.
                settled = (each.id for each in messages if each.created_at < now - LAG)
                newest = max([newest, *settled])
        finally:
            if recovered:
                logs.event(log, "recovered", channel=self.channel.name, replies=recovered)
        if self.channel.is_called_by_chatwoot:
            calls.conclude()
        set_watermark(self.values, self.channel.name, replace(mark, message=newest, looked=now))
        self._read.clear()
        return recovered

    def _take(
        self,
        conversation: Conversation,
        messages: Sequence[Message],
        mark: Watermark,
        now: float,
        calls: FailedCalls,
    ) -> int:
        """Store what was missed of one conversation. Returns the number of replies."""
        above = [message for message in messages if message.id > mark.message]
        was_missed = self._store(conversation, above, mark.since, now)
        for message in above:
            if message.id in was_missed:
                calls.see_reply(message, was_missed=was_missed[message.id])
            elif is_customers(message):
                calls.see(message)
        for message in messages:
            self._take_standing(conversation, message)
        return sum(was_missed.values())

    def _read_messages(
        self, mark: Watermark, now: float
    ) -> Iterator[tuple[Conversation, Sequence[Message]]]:
        """Of all changed conversations, even if Chatwoot cannot show one of them."""
        broken: list[ServerTrouble] = []
        for number, conversation in enumerate(self._list_unread(mark, now)):
            if number >= AT_ONCE:
                self.pause(PAUSE)
            try:
                with suppress(Missing):  # deleted between the two calls
                    yield conversation, tuple(self._messages_of(conversation.id, mark.message))
                self._read[conversation.id] = conversation.updated_at
            except ServerTrouble as error:
                broken.append(error)
                if len(broken) > BROKEN:  # it is not the conversation
                    break
        if broken:
            raise broken[0]

    def _messages_of(self, conversation: int, mark: int) -> Iterator[Message]:
        """All above the mark; and what is shown last, which may have been marked as failed since:
        Chatwoot does that with messages of any age, when it cannot tell us of a change."""
        latest = self.chatwoot.latest_messages(conversation)
        if len(latest) < LATEST_MESSAGES or latest[0].id <= mark:
            yield from latest
        else:
            yield from self.chatwoot.messages_after(conversation, mark)

    def _list_unread(self, mark: Watermark, now: float) -> Iterator[Conversation]:
        """A look that failed goes on where it was: a Chatwoot in trouble would never get through
        it from the beginning."""
        for conversation in self._list_changed(mark, now):
            read = self._read.get(conversation.id)
            if not read or read != conversation.updated_at:
                yield conversation

    def _list_changed(self, mark: Watermark, now: float) -> Iterable[Conversation]:
        seconds = min(LONGEST_LOOK, now - mark.looked + LAG)
        if seconds > LONG_LOOK:
            return self._list_page_by_page(now - seconds, now)
        return self.chatwoot.recently_updated(self.channel.config.inbox, round(seconds))

    def _list_page_by_page(self, since: float, now: float) -> Iterator[Conversation]:
        """A conversation that goes on meanwhile moves to the first page, which has been read: so
        those that have changed since are asked for at the end, in one answer."""
        listed = dict[int, int]()
        for conversation in self.chatwoot.active_since(self.channel.config.inbox, since):
            listed[conversation.id] = conversation.newest_message
            yield conversation
        if len(listed) < CONVERSATIONS_PER_PAGE:
            return
        seconds = round(self.chatwoot.now() - now + LAG)
        for conversation in self.chatwoot.recently_updated(self.channel.config.inbox, seconds):
            if listed.get(conversation.id) != conversation.newest_message:
                yield conversation

    def _store(
        self, conversation: Conversation, messages: Iterable[Message], since: float, now: float
    ) -> Mapping[int, bool]:
        """The replies among the messages, by number: whether each was missed."""
        # Its age counts from when it was written: too old a reply is failed rather than sent.
        found = [
            Found(event, max(0.0, now - event.written_at), message.status)
            for message in messages
            if isinstance(event := as_event(conversation, message), Reply)
            and event.written_at >= since
        ]
        if found and self.contacts is not None:
            self.contacts.update(conversation.contact)
        was_new = self.intake.recover(self.channel, found)
        return {each.reply.message: new for each, new in zip(found, was_new, strict=True)}

    def _take_standing(self, conversation: Conversation, message: Message) -> None:
        """Chatwoot may have marked it by itself, and the webhook that said so was lost as well; nor
        does anything tell again that the customer has it from elsewhere."""
        match as_event(conversation, message):
            case MarkedFailed() | SentElsewhere() as event:
                self.intake.take_event(self.channel, event)
            case Reply() if message.is_failed:
                self.ledger.record_marked_failed(ids.reply_id(self.channel.name, message.id))

    def _set_first_mark(self, now: float) -> None:
        # The conversation with the newest message is on the first page.
        active = self.chatwoot.active_since(self.channel.config.inbox, since=0.0)
        known = islice(active, CONVERSATIONS_PER_PAGE)
        newest = max((conversation.newest_message for conversation in known), default=0)
        # Chatwoot tells whole seconds only.
        mark = Watermark(message=newest, since=math.floor(now), looked=now)
        set_watermark(self.values, self.channel.name, mark)
        logs.event(
            log,
            "first_contact",
            level=logging.WARNING,
            channel=self.channel.name,
            after_message=newest,
            text="replies written before now are not looked at",
        )


class Reconciliation:
    """Looks for what was missed on every channel in turn, every minute or as set, and at once
    after a web process has returned.

    Of several clocks one does, for each channel. `contacts`: those of each account that does not
    tell by webhook what changes about them.
    """

    def __init__(
        self,
        settings: Settings,
        store: redis.Redis,
        intake: Intake,
        stop: threading.Event,
        *,
        contacts: Mapping[str, KnownContacts] = MappingProxyType({}),
    ) -> None:
        chatwoots = {
            name: Chatwoot(account.api_url, account.account, account.token)
            for name, account in settings.accounts.items()
        }
        self._every = settings.gateway.reconcile_every
        self._locks = Locks(store)
        self._returns = Returns(store)
        self._stop = stop
        self._token = uuid4().hex
        self._watches = [
            _Watch(
                Reconciler(
                    channel,
                    chatwoots[channel.account.name],
                    Ledger(store),
                    KeyValues(store),
                    intake,
                    stop.wait,
                    contacts.get(channel.account.name),
                )
            )
            for channel in settings.channels.values()
        ]

    def run(self) -> None:
        """Look at once, then at intervals and whenever a web process returns, until the clock
        stops."""
        while not self._stop.is_set():
            for watch in self._watches:
                self._attend(watch)
            self._stop.wait(GLANCE)

    def renew_lease(self) -> None:
        """Keep the leases that are ours. Raises redis.RedisError."""
        for watch in self._watches:
            if watch.is_ours:
                watch.is_ours = self._lock(watch)

    def release_leases(self) -> None:
        """Let another clock look at once, without waiting for the leases to run out."""
        for watch in self._watches:
            with suppress(redis.RedisError):
                self._locks.unlock(keys.lock_reconciler(watch.name), self._token)

    def _lock(self, watch: _Watch) -> bool:
        return self._locks.lock(keys.lock_reconciler(watch.name), self._token, seconds=LEASE)

    def _attend(self, watch: _Watch) -> None:
        try:
            if not watch.is_ours and self._lock(watch):
                # Who had it before may have died before a look.
                watch.is_ours, watch.next_look = True, 0.0
            if watch.is_ours:
                self._look_if_due(watch)
        except Exception as error:
            # Nor may a fault of ours end the thread, or keep other channels waiting.
            watch.failures, watch.failed_at = watch.failures + 1, time.monotonic()
            expected = isinstance(error, (DeliveryError, redis.RedisError))
            logs.event(
                log,
                "not_reconciled",
                level=logging.WARNING if expected else logging.ERROR,
                error=None if expected else error,
                channel=watch.name,
                why=str(error),
            )

    def _look_if_due(self, watch: _Watch) -> None:
        """While replies wait for it there is no pause to speak of after a look that failed."""
        wanted = self._returns.wanted_look(watch.name)
        due = 0.0 if wanted else watch.next_look
        if watch.failures:
            pause = GLANCE if wanted else min(self._every, backoff(watch.failures))
            due = max(due, watch.failed_at + pause)
        if time.monotonic() < due:
            return
        watch.reconciler.look()
        watch.failures, watch.next_look = 0, time.monotonic() + self._every
        if wanted:
            self._returns.end_look(watch.name, wanted)


@dataclass(slots=True)
class _Watch:
    """When a channel is looked at."""

    reconciler: Reconciler
    is_ours: bool = False
    """We have the lease."""
    next_look: float = 0.0
    """Monotonic seconds."""
    failures: int = 0
    """Of the last looks, in a row."""
    failed_at: float = 0.0
    """Monotonic seconds."""

    @property
    def name(self) -> str:
        return self.reconciler.channel.name
