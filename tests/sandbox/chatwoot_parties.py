"""The two parties that the Chatwoot stand-in's tests need: a bridge's client, and its receiver."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests

from sandbox.chatwoot import ChatwootStandIn
from sandbox.server import Head, Reply, Server

SOURCE = "tg:1234567890"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook as it came, and when (monotonic seconds)."""

    headers: dict[str, str]
    raw: bytes
    at: float
    path: str = "/hook"

    @property
    def body(self) -> dict[str, Any]:
        return dict(json.loads(self.raw))

    @property
    def event(self) -> str:
        return str(self.body["event"])


class Receiver:
    """Takes webhooks and answers with `status`, after `gate` lets it."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.inside = 0
        self.most_inside = 0
        self._deliveries: list[Delivery] = []
        self._changed = threading.Condition()
        self.server = Server(self._take)

    @property
    def url(self) -> str:
        return self.server.url + "/hook"

    def forget(self) -> None:
        """Count from here on what comes."""
        with self._changed:
            self._deliveries.clear()

    def deliveries(self, event: str = "") -> list[Delivery]:
        with self._changed:
            return [each for each in self._deliveries if event in {"", each.event}]

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Raises AssertionError if the condition does not come true within five seconds."""
        with self._changed:
            assert self._changed.wait_for(condition, 5), [each.event for each in self._deliveries]

    def wait_for_event(self, event: str, number: int = 1) -> list[dict[str, Any]]:
        self.wait_for(lambda: len(self.deliveries(event)) >= number)
        return [each.body for each in self.deliveries(event)]

    def _take(self, head: Head, read: Callable[[], bytes]) -> Reply:
        with self._changed:
            self._deliveries.append(
                Delivery(dict(head.headers), read(), time.monotonic(), head.path)
            )
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
            self._changed.notify_all()
        self.gate.wait(5)
        with self._changed:
            self.inside -= 1
        return Reply(self.status, headers=self.headers)


@dataclass(frozen=True, slots=True)
class Bridge:
    """A client of the application API, with one API inbox and its webhook receiver."""

    chatwoot: ChatwootStandIn
    receiver: Receiver
    inbox: int
    session: requests.Session = field(default_factory=requests.Session)

    def call(
        self, method: str, path: str, *, token: str | None = None, account: int = 1, **options: Any
    ) -> requests.Response:
        headers = {"Api-Access-Token": token or self.chatwoot.access_token}
        url = f"{self.chatwoot.url}/api/v1/accounts/{account}{path}"
        return self.session.request(method, url, headers=headers, timeout=10, **options)

    def post(self, path: str, body: Any, **options: Any) -> Any:
        """Raises AssertionError for an answer other than 200."""
        answer = self.call("POST", path, json=body, **options)
        assert answer.status_code == 200, answer.text
        return answer.json() if answer.content else None

    def get(self, path: str, **options: Any) -> Any:
        answer = self.call("GET", path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def contact(self, source: str = SOURCE, **fields: Any) -> int:
        body = {"inbox_id": self.inbox, "source_id": source, "name": "Ada L", **fields}
        return int(self.post("/contacts", body)["payload"]["contact"]["id"])

    def conversation(self, contact: int | None = None, source: str = SOURCE, **more: Any) -> int:
        """A new one, for a new contact if none is given."""
        number = self.contact(source) if contact is None else contact
        body = {"inbox_id": self.inbox, "contact_id": number, "source_id": source, **more}
        return int(self.post("/conversations", body)["id"])

    def write(self, conversation: int, text: str, **fields: Any) -> dict[str, Any]:
        """A message of the customer."""
        body = {"content": text, "message_type": "incoming", **fields}
        return dict(self.post(f"/conversations/{conversation}/messages", body))

    def message(self, conversation: int, number: int) -> dict[str, Any]:
        """As the stand-in has it now."""
        found = [each for each in self.chatwoot.messages(conversation) if each["id"] == number]
        return dict(found[0])

    def settle(self) -> None:
        assert self.chatwoot.wait_for_webhooks(5)


@contextmanager
def other_receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.server.start()
    try:
        yield receiver
    finally:
        receiver.server.stop()


@contextmanager
def bridge(**options: Any) -> Iterator[Bridge]:
    """A running stand-in with an inbox whose webhooks are received."""
    receiver = Receiver()
    receiver.server.start()
    try:
        with ChatwootStandIn(**options) as chatwoot:
            inbox = chatwoot.add_inbox("Telegram bridge", receiver.url)
            yield Bridge(chatwoot, receiver, inbox)
    finally:
        receiver.gate.set()
        receiver.server.stop()
