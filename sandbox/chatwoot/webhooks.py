"""Delivers webhooks as Chatwoot does: several at once, in no order, one attempt each.

Source in Chatwoot: app/dispatchers/async_dispatcher.rb, app/listeners/webhook_listener.rb and
agent_bot_listener.rb, app/jobs/webhook_job.rb.
"""

from __future__ import annotations

import heapq
import logging
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial

from sandbox.chatwoot.activities import BOT_FAILED, note
from sandbox.chatwoot.conversations import change_unnoted
from sandbox.chatwoot.messages import update_status
from sandbox.chatwoot.payloads import payload
from sandbox.chatwoot.posting import Carrier, DeliveryFailed, Envelope, encode
from sandbox.chatwoot.records import Event
from sandbox.chatwoot.refusals import NotFound, RecordInvalid
from sandbox.chatwoot.store import Store

log = logging.getLogger(__name__)

THREADS = 10
SPREAD = 0.03
"""Seconds within which deliveries overtake each other, if nobody says otherwise."""
_CHANGES = {"conversation_status_changed", "conversation_updated"}
_BOTS_WORDS = {"open": "conversation_opened", "resolved": "conversation_resolved"}
_TOLD_TO_BOTS = {"message_created", "message_updated"}


class Receiver(Enum):
    """Whose address it is: that of an API inbox, of an account's webhook, of an agent bot."""

    INBOX = "inbox"
    ACCOUNT = "account"
    BOT = "bot"


@dataclass(frozen=True, slots=True)
class Address:
    receiver: Receiver
    url: str
    secret: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one address."""

    event: Event
    receiver: Receiver
    envelope: Envelope


class WebhookSender:
    """A pool of threads with two kinds of jobs, each after a random delay: what an event says is
    made from the rows as they are by then, once for all its receivers; then each is told."""

    def __init__(
        self,
        store: Store,
        *,
        timeout: float = 5.0,
        seed: int = 0,
        duplicates: bool = False,
    ) -> None:
        self.timeout = timeout
        self.private_network = True
        """Whether private addresses are called, in releases that ask."""
        self.duplicates = duplicates
        """Whether each delivery is made twice, as when Chatwoot's queue repeats a job."""
        self.spread = SPREAD
        """Seconds within which deliveries overtake each other."""
        self.leaves: Callable[[Delivery], None] = lambda delivery: None
        """Called before each delivery."""
        self.answered: Callable[[Delivery], None] = lambda delivery: None
        """Called after each delivery that was answered with 2xx."""
        self._store = store
        self._random = random.Random(seed)  # noqa: S311
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._busy = 0
        self._stopped = False
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        store.listeners.append(self.take)

    def start(self) -> None:
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._run, name="chatwoot-webhooks", daemon=True)
            for _ in range(THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """What has not left yet is lost, as when Chatwoot's queue is lost."""
        with self._changed:
            self._stopped = True
            self._due.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(1)

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait until every delivery has had its one attempt. False if time ran out first."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._due and not self._busy, seconds)

    def take(self, events: list[Event]) -> None:
        """Called with each finished change, under the store's lock."""
        for event in events:
            self._put(partial(self._tell, event))

    def _put(self, job: Callable[[], None]) -> None:
        with self._changed:
            self._count += 1
            due = time.monotonic() + self._random.uniform(0, self.spread / 2)
            heapq.heappush(self._due, (due, self._count, job))
            self._changed.notify()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except Exception:
                log.exception("a webhook of the stand-in broke")
            finally:
                with self._changed:
                    self._busy -= 1
                    self._changed.notify_all()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._stopped:
                if not self._due:
                    self._changed.wait()
                elif (left := self._due[0][0] - time.monotonic()) > 0:
                    self._changed.wait(left)
                else:
                    self._busy += 1
                    return heapq.heappop(self._due)[2]
        return None

    def _tell(self, event: Event) -> None:
        try:
            with self._store.reading():
                deliveries = list(self._deliveries(event))
        except NotFound:
            return  # the row went before the job came to it
        for delivery in deliveries * (2 if self.duplicates else 1):
            self._put(partial(self._deliver, delivery))

    def _deliveries(self, event: Event) -> Iterator[Delivery]:
        addresses = list(self._addresses(event))
        body = encode(payload(self._store, event)) if addresses else b""
        for address in addresses:
            yield self._delivery(event, address, body)
        if bot := self._bot(event):
            for told in self._bots_events(event):
                yield self._delivery(told, bot, encode(payload(self._store, told)))

    def _delivery(self, event: Event, address: Address, body: bytes) -> Delivery:
        secret = address.secret if self._store.version.signs_webhooks else None
        envelope = Envelope(address.url, body, secret, str(uuid.uuid4()))
        return Delivery(event, address.receiver, envelope)

    def _addresses(self, event: Event) -> Iterator[Address]:
        inbox = self._store.inboxes.rows.get(event.inbox_id or 0)
        if inbox is not None and inbox.webhook_url:
            yield Address(Receiver.INBOX, inbox.webhook_url, inbox.secret)
        for webhook in self._store.webhooks:
            if webhook.account_id == event.account_id and event.name in webhook.subscriptions:
                yield Address(Receiver.ACCOUNT, webhook.url, webhook.secret)

    def _bot(self, event: Event) -> Address | None:
        inbox = self._store.inboxes.rows.get(event.inbox_id or 0)
        bot = self._store.bots.rows.get(inbox.bot_id or 0) if inbox else None
        if bot is None or not bot.outgoing_url:
            return None
        return Address(Receiver.BOT, bot.outgoing_url, bot.secret)

    def _bots_events(self, event: Event) -> Iterator[Event]:
        """What the inbox's bot hears of it; of a new status in words of its own, too."""
        if event.name == "conversation_status_changed":
            status = self._store.conversations.get(event.subject_id).status
            if status in _BOTS_WORDS:
                yield replace(event, name=_BOTS_WORDS[status], details={})
        newer = self._store.version.tells_bots_of_changes and event.name in _CHANGES
        if newer or event.name in _TOLD_TO_BOTS:
            yield event

    def _deliver(self, delivery: Delivery) -> None:
        self.leaves(delivery)
        carrier = Carrier(self._store.version, self.timeout, self.private_network)
        try:
            carrier.post(delivery.envelope)
            self.answered(delivery)
        except DeliveryFailed as error:
            log.info("webhook %s failed: %s", delivery.event.name, error)
            if delivery.event.name.startswith("message_"):
                self._take_failure(delivery, str(error))

    def _take_failure(self, delivery: Delivery, reason: str) -> None:
        """A message that its inbox did not take has failed, whoever wrote it. Emits
        message_updated, unless the message says just this already."""
        try:
            with self._store.changing():
                message = self._store.messages.get(delivery.event.subject_id)
                if delivery.receiver is Receiver.INBOX:
                    update_status(self._store, message, "failed", reason)
                elif delivery.receiver is Receiver.BOT:
                    self._relieve_bot(message.conversation_id)
        except (NotFound, RecordInvalid) as error:
            log.info("the message could not be marked as failed: %s", error)

    def _relieve_bot(self, conversation_id: int) -> None:
        """A bot that cannot be reached holds no conversation."""
        conversation = self._store.conversations.get(conversation_id)
        if conversation.status == "pending":
            change_unnoted(self._store, conversation, status="open")
            note(self._store, conversation, BOT_FAILED)
