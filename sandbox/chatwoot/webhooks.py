"""Delivers webhooks as Chatwoot does: several at once, in no order, one attempt each.

Source in Chatwoot: lib/webhooks/trigger.rb, app/jobs/webhook_job.rb.
"""

from __future__ import annotations

import hashlib
import heapq
import hmac
import http.client
import json
import logging
import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from sandbox.chatwoot.messages import update_status
from sandbox.chatwoot.payloads import payload
from sandbox.chatwoot.records import Event
from sandbox.chatwoot.refusals import NotFound, RecordInvalid
from sandbox.chatwoot.store import Store

log = logging.getLogger(__name__)

THREADS = 10
SPREAD = 0.03
"""Seconds within which deliveries overtake each other, if nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one address."""

    event: Event
    url: str
    secret: str | None
    to_inbox: bool
    id: str


class DeliveryFailed(Exception):
    """The receiver did not answer with 2xx in time; the text is what an agent gets to see."""


class WebhookSender:
    """A pool of threads that take the deliveries that are due, each after a random delay."""

    def __init__(
        self, store: Store, *, timeout: float = 5.0, seed: int = 0, duplicates: bool = False
    ) -> None:
        self.timeout = timeout
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
        self._due: list[tuple[float, int, Delivery]] = []
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
        deliveries = [each for event in events for each in self._deliveries(event)]
        with self._changed:
            for delivery in deliveries * (2 if self.duplicates else 1):
                self._count += 1
                due = time.monotonic() + self._random.uniform(0, self.spread)
                heapq.heappush(self._due, (due, self._count, delivery))
                self._changed.notify()

    def _deliveries(self, event: Event) -> list[Delivery]:
        signs = self._store.version.signs_webhooks
        found = []
        inbox = self._store.inboxes.rows.get(event.inbox_id or 0)
        if inbox is not None and inbox.webhook_url:
            found.append((inbox.webhook_url, inbox.secret, True))
        found += [
            (webhook.url, webhook.secret, False)
            for webhook in self._store.webhooks
            if webhook.account_id == event.account_id and event.name in webhook.subscriptions
        ]
        return [
            Delivery(event, url, secret if signs else None, to_inbox, str(uuid.uuid4()))
            for url, secret, to_inbox in found
        ]

    def _run(self) -> None:
        while (delivery := self._next()) is not None:
            try:
                self._deliver(delivery)
            except Exception:
                log.exception("a webhook of the stand-in broke")
            finally:
                with self._changed:
                    self._busy -= 1
                    self._changed.notify_all()

    def _next(self) -> Delivery | None:
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

    def _deliver(self, delivery: Delivery) -> None:
        try:
            with self._store.reading():
                body = encode(payload(self._store, delivery.event))
        except NotFound:
            return  # the row went before the job came to it
        self.leaves(delivery)
        try:
            post(delivery, body, self.timeout)
            self.answered(delivery)
        except DeliveryFailed as error:
            log.info("webhook %s failed: %s", delivery.event.name, error)
            if delivery.to_inbox and delivery.event.name.startswith("message_"):
                self._mark_failed(delivery.event, str(error))

    def _mark_failed(self, event: Event, reason: str) -> None:
        """Emits message_updated, unless the message says just this already."""
        try:
            with self._store.changing():
                update_status(
                    self._store, self._store.messages.get(event.subject_id), "failed", reason
                )
        except (NotFound, RecordInvalid) as error:
            log.info("the message could not be marked as failed: %s", error)


def encode(body: object) -> bytes:
    """Compact JSON with the escapes that Rails adds: signatures are made over these bytes."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode("utf-8", errors="replace")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Hex HMAC-SHA256 over the time stamp, a dot and the raw body, keyed with the secret's text."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"


def post(delivery: Delivery, body: bytes, timeout: float) -> None:
    """One attempt, no redirects. Raises DeliveryFailed."""
    address = urlsplit(delivery.url)
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if delivery.secret is not None:
        stamp = str(int(time.time()))
        headers |= {
            "X-Chatwoot-Delivery": delivery.id,
            "X-Chatwoot-Timestamp": stamp,
            "X-Chatwoot-Signature": signature(delivery.secret, stamp, body),
        }
    try:
        status, reason = _exchange(address, body, headers, timeout)
    except TimeoutError:
        raise DeliveryFailed("Timed out reading data from server") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        host = f"{address.hostname}:{address.port or address.scheme}"
        raise DeliveryFailed(f"Failed to open TCP connection to {host} ({error})") from None
    if not 200 <= status < 300:
        raise DeliveryFailed(f"{status} {reason}")


def _exchange(
    address: SplitResult, body: bytes, headers: dict[str, str], timeout: float
) -> tuple[int, str]:
    secure = address.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=timeout)
    try:
        query = f"?{address.query}" if address.query else ""
        connection.request("POST", (address.path or "/") + query, body, headers)
        answer = connection.getresponse()
        answer.read()
    finally:
        connection.close()
    return answer.status, answer.reason
