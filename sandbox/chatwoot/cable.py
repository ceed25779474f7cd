"""Chatwoot's event stream at /cable, as its dashboard listens to it (Rails' ActionCable).

A client subscribes with a user's `pubsub_token` and is told what changes where the user sees it.
A client with a wrong token is not refused: its confirmation never comes.
Source in Chatwoot: app/channels/room_channel.rb.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import queue
import random
import socket
import threading
import time
from dataclasses import dataclass
from typing import BinaryIO

from sandbox.chatwoot.cable_events import Announcer, Broadcast, conversation_as_it_is
from sandbox.chatwoot.records import JSON, User
from sandbox.chatwoot.refusals import NotFound
from sandbox.chatwoot.store import Store
from sandbox.server import Head, Reply, Upgrade
from sandbox.websocket import WebSocket

PATH = "/cable"
SUBPROTOCOL = "actioncable-v1-json"
PING_EVERY = 3.0
SPREAD = 0.03
"""Seconds within which broadcasts overtake each other."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a client has asked for; every message to it repeats the identifier word for word."""

    identifier: str
    account_id: int
    user_id: int


class Cable:
    """The event stream of one Chatwoot, and what can go wrong with it."""

    def __init__(self, store: Store, *, seed: int = 0, ping_every: float = PING_EVERY) -> None:
        self.spread = SPREAD
        self.ping_every = ping_every
        self._store = store
        self._random = random.Random(seed)  # noqa: S311
        self._changed = threading.Condition()
        self._clients: set[_Client] = set()
        self._due: list[tuple[float, int, Broadcast]] = []
        self._count = 0
        self._held = False
        self._stopped = False
        self._thread: threading.Thread | None = None
        self.silent = threading.Event()
        """Set while nothing is sent at all."""
        Announcer(store, self._take, wanted=lambda: bool(self._clients))

    def start(self) -> None:
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="chatwoot-cable", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """What has not left yet is lost."""
        with self._changed:
            self._stopped = True
            self._due.clear()
            self._changed.notify_all()
        self.cut()
        if self._thread is not None:
            self._thread.join(1)

    def cut(self) -> None:
        """End all connections without a farewell. Clients may connect again."""
        with self._changed:
            clients = list(self._clients)
        for client in clients:
            client.cut()

    def hold(self) -> None:
        """Keep all events back until `release`."""
        with self._changed:
            self._held = True

    def release(self) -> None:
        """Send what was held back."""
        with self._changed:
            self._held = False
            self._changed.notify_all()

    def fall_silent(self) -> None:
        """Keep the connections and send nothing, not even a ping. Events are lost meanwhile."""
        self.silent.set()

    def speak_again(self) -> None:
        self.silent.clear()

    def subscriptions(self) -> list[Subscription]:
        """Those that were confirmed and whose connections stand."""
        with self._changed:
            return [each for client in self._clients for each in client.subscriptions()]

    def answer(self, head: Head) -> Reply | Upgrade:
        """The answer to a request for /cable."""
        if head.headers.get("upgrade", "").lower() != "websocket":
            return Reply(404, b"Page not found", "text/plain")
        return Upgrade(lambda connection, stream: self._talk(connection, stream, head))

    def _talk(self, connection: socket.socket, stream: BinaryIO, head: Head) -> None:
        client = _Client(WebSocket(connection, stream, head, SUBPROTOCOL), self)
        with self._changed:
            self._clients.add(client)
        try:
            client.talk()
        finally:
            with self._changed:
                self._clients.discard(client)

    def subscription_for(self, identifier: str) -> Subscription | None:
        """The subscription that a client asks for; None if it is not its to have."""
        try:
            asked = json.loads(identifier)
            with self._store.reading():
                user = self._store.users.get(int(asked["user_id"]))
                account = self._store.accounts.get(int(asked["account_id"]))
                right = asked["channel"] == "RoomChannel" and user.role_in(account.id)
                if right and asked["pubsub_token"] == user.pubsub_token:
                    return Subscription(identifier, account.id, user.id)
        except (KeyError, TypeError, ValueError, NotFound):
            return None
        return None

    def admit(self, client: _Client, subscription: Subscription) -> None:
        """Confirm a subscription, and tell what happens from then on: no event falls between."""
        identifier = subscription.identifier
        with self._changed:
            client.tell(json.dumps({"identifier": identifier, "type": "confirm_subscription"}))
            presence = self._presence(subscription)
            client.tell(json.dumps({"identifier": identifier, "message": presence}))
            client.add(subscription)

    def _presence(self, subscription: Subscription) -> JSON:
        """Who is at work: sent to each who begins to listen."""
        mine = [each for each in self.subscriptions() if each.account_id == subscription.account_id]
        users = {str(each.user_id): "online" for each in [*mine, subscription]}
        data = {"account_id": subscription.account_id, "users": users, "contacts": {}}
        return {"event": "presence.update", "data": data}

    def _take(self, broadcasts: list[Broadcast]) -> None:
        """Called with each finished change, under the store's lock."""
        with self._changed:
            for broadcast in broadcasts:
                self._count += 1
                due = time.monotonic() + self._random.uniform(0, self.spread)
                heapq.heappush(self._due, (due, self._count, broadcast))
            self._changed.notify_all()

    def _run(self) -> None:
        while (broadcast := self._next()) is not None:
            with contextlib.suppress(NotFound):  # the row went before the job came to it
                self._send(broadcast)

    def _next(self) -> Broadcast | None:
        with self._changed:
            while not self._stopped:
                if not self._due or self._held:
                    self._changed.wait()
                elif (left := self._due[0][0] - time.monotonic()) > 0:
                    self._changed.wait(left)
                else:
                    return heapq.heappop(self._due)[2]
        return None

    def _send(self, broadcast: Broadcast) -> None:
        with self._store.reading():
            data = broadcast.data
            if broadcast.conversation_id is not None:
                data = conversation_as_it_is(self._store, broadcast.conversation_id)
            text = json.dumps({"event": broadcast.event, "data": data})
            audience = {user.id for user in self._store.users if self._hears(user, broadcast)}
        with self._changed:
            for client in self._clients:
                for each in client.subscriptions():
                    if each.account_id == broadcast.account_id and each.user_id in audience:
                        name = json.dumps(each.identifier)
                        client.tell(f'{{"identifier":{name},"message":{text}}}')

    def _hears(self, user: User, broadcast: Broadcast) -> bool:
        role = user.role_in(broadcast.account_id)
        if role is None or user.id == broadcast.but_not:
            return False
        if broadcast.inbox_id is None or role == "administrator":
            return True
        inbox = self._store.inboxes.rows.get(broadcast.inbox_id)
        return inbox is not None and user.id in inbox.member_ids


class _Client:
    """One connection: what it subscribed to, and a thread that writes to it."""

    def __init__(self, web_socket: WebSocket, cable: Cable) -> None:
        self._socket = web_socket
        self._cable = cable
        self._outbox: queue.Queue[str | None] = queue.Queue()
        self._subscriptions: dict[str, Subscription] = {}

    def subscriptions(self) -> list[Subscription]:
        return list(self._subscriptions.values())

    def add(self, subscription: Subscription) -> None:
        self._subscriptions[subscription.identifier] = subscription

    def tell(self, text: str) -> None:
        """Put a text into the outbox: a client that does not read delays no other."""
        self._outbox.put(text)

    def cut(self) -> None:
        self._socket.cut()

    def talk(self) -> None:
        """Until the connection ends."""
        self.tell('{"type":"welcome"}')
        writer = threading.Thread(target=self._write, name="chatwoot-cable-client", daemon=True)
        writer.start()
        try:
            for text in self._socket.texts():
                self._obey(text)
        finally:
            self._outbox.put(None)
            writer.join(1)

    def _obey(self, text: str) -> None:
        """Ignores what it does not understand, as Rails does."""
        try:
            order = json.loads(text)
            command, identifier = order["command"], str(order["identifier"])
        except (KeyError, TypeError, ValueError):
            return
        if command == "unsubscribe":
            self._subscriptions.pop(identifier, None)
        elif command == "subscribe" and (asked := self._cable.subscription_for(identifier)):
            self._cable.admit(self, asked)

    def _write(self) -> None:
        """Sends the outbox, and a ping between, until the connection ends."""
        ping_at = time.monotonic() + self._cable.ping_every
        while True:
            try:
                text = self._outbox.get(timeout=max(0.0, ping_at - time.monotonic()))
            except queue.Empty:
                text = json.dumps({"type": "ping", "message": int(time.time())})
                ping_at = time.monotonic() + self._cable.ping_every
            if text is None:
                return
            if self._cable.silent.is_set():
                continue
            try:
                self._socket.send(text)
            except OSError:
                return
