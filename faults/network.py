"""The outside network: takes replies for customers, and brings what customers write."""

from __future__ import annotations

import heapq
import http.client
import itertools
import json
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from faults.wire import signature
from sandbox.faults import Faults, FaultyApplication
from sandbox.server import Head, Reply, Server

TIMEOUT = 2.5
"""Seconds that the network waits for an answer to a webhook."""
AGAIN = (0.1, 0.6)
"""Seconds between two attempts."""
DOUBLED = 0.05
"""Share of the webhooks that are delivered once more although they were answered."""
LATE = 0.02
"""Share of the webhooks that leave a second late."""
THREADS = 12
HELD = 0.5
"""Seconds that a question for new messages is held until there are some."""
PAGE = 50
"""Messages in one answer, at most."""


class Inbox:
    """Where replies for customers arrive: `POST /<channel>/messages` with id, to and text.

    `GET /<channel>/updates?after=…` brings what customers wrote behind a number, for a network
    that must be asked.
    """

    def __init__(self) -> None:
        self.arrived: Callable[[str, str, str, str], None] = lambda *told: None
        """Called with each reply's channel, text, our id of it, and the network's."""
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._named: dict[str, str] = {}
        self._kept: deque[dict[str, object]] = deque()
        self._brought = threading.Condition()
        self.faults = Faults()
        self._server = Server(FaultyApplication(self._answer, self.faults))

    @property
    def url(self) -> str:
        return self._server.url

    def start(self) -> None:
        """Raises OSError if the port was taken meanwhile."""
        self.faults.start()
        self._server.start()

    def go_away(self) -> None:
        """Stop listening and break connections. What was being done is done."""
        self._server.stop()

    def come_back(self) -> None:
        self._server.start()

    def keep(self, messages: Iterable[dict[str, str]]) -> None:
        """Customers' messages of the channel «asked», until it is asked for."""
        with self._brought:
            for message in messages:
                self._kept.append({"number": next(self._numbers), "message": message})
            self._brought.notify_all()

    @property
    def kept(self) -> int:
        """How many the gateway has not confirmed yet, by asking for what comes behind them."""
        return len(self._kept)

    def _answer(self, head: Head, read: Callable[[], bytes]) -> Reply:
        body = read()
        if head.method == "GET":
            return _reply({"updates": self._behind(int(head.query["after"][0]))})
        return self._take(head, json.loads(body))

    def _behind(self, after: int) -> list[dict[str, object]]:
        """What comes behind a number, soon; what comes before is done with."""
        with self._brought:
            while self._kept and int(str(self._kept[0]["number"])) <= after:
                self._kept.popleft()
            self._brought.wait_for(lambda: self._kept, HELD)
            return list(itertools.islice(self._kept, PAGE))

    def _take(self, head: Head, message: dict[str, str]) -> Reply:
        channel = head.path.split("/")[1]
        with self._lock:
            if channel == "named" and message["id"] in self._named:
                return _reply({"id": self._named[message["id"]]})
            external = f"{channel}-{next(self._numbers)}"
            if channel == "named":
                self._named[message["id"]] = external
            self.arrived(channel, message["text"], message["id"], external)
        return _reply({"id": external})


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook on its way: repeated until it is answered with 200."""

    channel: str
    body: bytes
    begin: Callable[[], None] = lambda: None
    """Called before the first attempt."""
    answered: Callable[[], None] = lambda: None
    """Called when it has been answered with 200, the first time."""
    again: int = 0
    """How often it is to be delivered after that."""


class Postman:
    """Delivers webhooks to either of the gateway's web processes: late, doubled, until answered."""

    def __init__(self, addresses: Sequence[str], key: str, seed: str) -> None:
        self._addresses = [urlsplit(address) for address in addresses]
        self._key = key
        self._random = random.Random(f"{seed} postman")
        self._due: list[tuple[float, int, Webhook]] = []
        self._numbers = itertools.count()
        self._busy = 0
        self._changed = threading.Condition()
        self._stopped = False

    def start(self) -> None:
        for _ in range(THREADS):
            threading.Thread(target=self._run, name="postman", daemon=True).start()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def take(self, webhook: Webhook) -> None:
        """Deliver it soon."""
        with self._changed:
            late = 1.0 if self._random.random() < LATE else 0.0
            again = int(self._random.random() < DOUBLED)
            self._put(replace(webhook, again=again), late)

    def idle(self) -> bool:
        """Whether everything has been delivered."""
        with self._changed:
            return not self._due and not self._busy

    def _put(self, webhook: Webhook, seconds: float) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._numbers), webhook))
        self._changed.notify()

    def _run(self) -> None:
        while (webhook := self._next()) is not None:
            webhook.begin()
            took = self._attempt(webhook)
            with self._changed:
                self._busy -= 1
                if not took:
                    unheard = replace(webhook, begin=lambda: None)
                    self._put(unheard, self._random.uniform(*AGAIN))
                elif webhook.again:
                    self._put(Webhook(webhook.channel, webhook.body), self._random.uniform(0, 2))
            if took:
                webhook.answered()

    def _next(self) -> Webhook | None:
        with self._changed:
            while not self._stopped:
                left = self._due[0][0] - time.monotonic() if self._due else None
                if left is not None and left <= 0:
                    self._busy += 1
                    return heapq.heappop(self._due)[2]
                self._changed.wait(left)
        return None

    def _attempt(self, webhook: Webhook) -> bool:
        with self._changed:
            address = self._random.choice(self._addresses)
        connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=TIMEOUT
        )
        headers = {
            "Content-Type": "application/json",
            "X-Wire-Signature": signature(self._key, webhook.body),
        }
        try:
            path = f"/channels/{webhook.channel}/webhook"
            connection.request("POST", path, webhook.body, headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return answer.status == 200


def _reply(content: object) -> Reply:
    return Reply(200, json.dumps(content).encode())
