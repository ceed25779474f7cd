"""A client of Chatwoot's event stream, as its dashboard is one: it writes down what it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from sandbox.chatwoot import ChatwootStandIn


class Listener:
    """Keeps all frames, pings apart."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.pings = 0
        self.ended = False
        self._frames: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def subscribe(self, identifier: str) -> None:
        self.connection.send(json.dumps({"command": "subscribe", "identifier": identifier}))

    def frames(self) -> list[dict[str, Any]]:
        with self._changed:
            return list(self._frames)

    def told(self, event: str = "") -> list[dict[str, Any]]:
        """The data of what came for an event, of all events if none is named."""
        messages = [frame["message"] for frame in self.frames() if "message" in frame]
        return [each["data"] for each in messages if event in {"", each["event"]}]

    def wait_for(self, condition: Callable[[], object], seconds: float = 5.0) -> None:
        """Raises AssertionError if the condition does not come true in time."""
        with self._changed:
            assert self._changed.wait_for(condition, seconds), self._frames

    def wait_for_event(self, event: str, number: int = 1) -> list[dict[str, Any]]:
        self.wait_for(lambda: len(self.told(event)) >= number)
        return self.told(event)

    def wait_until_confirmed(self) -> None:
        self.wait_for(lambda: any(_kind(each) == "confirm_subscription" for each in self.frames()))

    def _listen(self) -> None:
        try:
            for text in self.connection:
                self._keep(json.loads(text))
        except ConnectionClosed:
            pass
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def _keep(self, frame: dict[str, Any]) -> None:
        with self._changed:
            if _kind(frame) == "ping":
                self.pings += 1
            else:
                self._frames.append(frame)
            self._changed.notify_all()


def _kind(frame: dict[str, Any]) -> str:
    return str(frame.get("type"))


def identifier(chatwoot: ChatwootStandIn, access_token: str, **instead: Any) -> str:
    """What a client subscribes with, made from the user's profile."""
    headers = {"Api-Access-Token": access_token}
    profile = requests.get(f"{chatwoot.url}/api/v1/profile", headers=headers, timeout=5).json()
    asked = {
        "channel": "RoomChannel",
        "pubsub_token": profile["pubsub_token"],
        "account_id": 1,
        "user_id": profile["id"],
    }
    return json.dumps({**asked, **instead})


@contextmanager
def connected(chatwoot: ChatwootStandIn) -> Iterator[Listener]:
    """A connection that has not subscribed to anything yet."""
    address = chatwoot.url.replace("http://", "ws://") + "/cable"
    with connect(address, subprotocols=[Subprotocol("actioncable-v1-json")]) as connection:
        yield Listener(connection)


@contextmanager
def listening(chatwoot: ChatwootStandIn, access_token: str | None = None) -> Iterator[Listener]:
    """A subscription that is confirmed; the administrator's if no token is given."""
    with connected(chatwoot) as listener:
        listener.subscribe(identifier(chatwoot, access_token or chatwoot.access_token))
        listener.wait_until_confirmed()
        listener.wait_for_event("presence.update")
        yield listener
