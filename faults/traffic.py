"""Numbered messages, both ways, over many conversations; noted down before they are fed."""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from faults.network import Inbox, Postman, Webhook
from faults.notes import Message, Notes
from faults.settings import CHANNELS
from sandbox.chatwoot import ChatwootStandIn
from sandbox.chatwoot.records import Event
from sandbox.chatwoot.webhooks import Delivery

TALKS = 64
"""Conversations that go on at the same time."""
ON_THE_WAY = 400
"""Messages that may be under way at once: more would only wait."""
IN_A_ROW = (1, 1, 1, 2, 3)
"""How many messages somebody writes at once."""
RESOLVED = 0.04
"""Share of the replies after which the agent closes the conversation: the next makes a new one."""
SHUFFLED = 0.2
"""Share of the customers whose network delivers several webhooks at once, in any order."""
RECEIPTS = 0.1
"""Share of the replies of which the network tells that they were delivered."""
TICK = 0.005
STALLED = 90.0
"""Seconds without any arrival after which feeding is given up."""


@dataclass(slots=True)
class Talk:
    """A customer and an agent."""

    channel: str
    peer: str
    at_once: int
    """Webhooks of this customer that may be under way at once."""
    conversation: int = 0
    """The newest, by its number in Chatwoot; 0 before the first message is there."""
    written: int = 0
    """Messages of the customer's so far."""
    replied: int = 0
    delivering: int = 0
    missing: set[Message] = field(default_factory=set)
    """What was fed and has not arrived."""

    @property
    def inward(self) -> str:
        return f"in:{self.channel}:{self.peer}"

    @property
    def outward(self) -> str:
        return f"out:{self.channel}:{self.peer}/{self.conversation}"


def named(message: Message) -> str:
    """The text of a message: what it is found by wherever it arrives."""
    return f"{message.stream} {message.number}"


def read_name(text: str) -> Message | None:
    stream, _, number = text.rpartition(" ")
    return Message(stream, int(number)) if stream and number.isdecimal() else None


class Traffic:
    """Feeds `total` messages, as fast as they get through and as `allowed` lets it."""

    def __init__(
        self,
        total: int,
        chatwoot: ChatwootStandIn,
        inbox: Inbox,
        postman: Postman,
        notes: Notes,
        *,
        each: int,
        seed: str,
    ) -> None:
        """`each`: messages of one conversation, each way; then another customer begins."""
        self.total = total
        self._each = each
        self.fed = 0
        self.arrived = 0
        self.resolved: Counter[str] = Counter()
        """How often a customer's conversation was closed."""
        self._chatwoot = chatwoot
        self._inbox = inbox
        self._postman = postman
        self._notes = notes
        self._random = random.Random(f"{seed} traffic")
        self._chance = random.Random(f"{seed} receipts")
        self._peers = itertools.count(1)
        self._arrived_at = 0.0
        self._lock = threading.Lock()
        self._talks: dict[str, Talk] = {}
        self._replies: dict[int, Message] = {}
        inbox.arrived = self._note_seen_by_customer
        chatwoot.store.listeners.append(self._note_seen_in_chatwoot)
        chatwoot.webhooks.leaves = partial(self._note_webhook, notes.note_begun)
        chatwoot.webhooks.answered = partial(self._note_webhook, notes.note_told)

    def feed(self, allowed: Callable[[], float], ends: float) -> None:
        """Until all is fed, or until `ends` on the monotonic clock. `allowed`: how many by now.

        Raises TimeoutError if nothing arrives any more.
        """
        self._arrived_at = time.monotonic()
        while self.fed < self.total and time.monotonic() < ends:
            if self.seconds_since_arrival() > STALLED:
                raise TimeoutError(f"nothing has arrived for {STALLED:g} s")
            room = min(allowed(), self.total, self.arrived + ON_THE_WAY) - self.fed
            if room < 1 or not self._feed_one():
                time.sleep(TICK)

    def seconds_since_arrival(self) -> float:
        return time.monotonic() - self._arrived_at

    def missing(self) -> list[Message]:
        """What was fed and has not arrived yet."""
        with self._lock:
            return [message for talk in self._talks.values() for message in talk.missing]

    def _note_seen_by_customer(self, channel: str, text: str, name: str, external: str) -> None:
        """A reply has arrived. `name`: the gateway's id of it, `external`: the network's."""
        if (message := read_name(text)) is not None:
            self._notes.note_arrived(message, name)
            self._note_arrival(message)
        if self._chance.random() < RECEIPTS:
            receipt = json.dumps({"delivered": external}).encode()
            self._postman.take(Webhook(channel, receipt))

    def _feed_one(self) -> bool:
        """False if neither side can write at the moment."""
        with self._lock:
            self._retire()
            able = list(self._possible_turns())
            say = self._random.choice(able) if able else None
        if say is not None:
            say()
        return say is not None

    def _possible_turns(self) -> Iterator[Callable[[], None]]:
        for talk in self._talks.values():
            if talk.written < self._each and talk.delivering < talk.at_once:
                yield partial(self._write, talk)
            if talk.replied < self._each and talk.conversation:
                yield partial(self._reply, talk)

    def _retire(self) -> None:
        done = [
            talk.peer
            for talk in self._talks.values()
            if talk.written >= self._each and talk.replied >= self._each and not talk.missing
        ]
        for peer in done:
            del self._talks[peer]
        while len(self._talks) < TALKS:
            self._begin()

    def _begin(self) -> None:
        peer = f"peer-{next(self._peers)}"
        shuffled = self._random.random() < SHUFFLED
        channel = self._random.choice(CHANNELS)
        self._talks[peer] = Talk(channel, peer, at_once=3 if shuffled else 1)

    def _write(self, talk: Talk) -> None:
        """The customer writes up to three messages, which the network brings together."""
        with self._lock:
            most = min(self._each - talk.written, self.total - self.fed)
            count = min(most, self._random.choice(IN_A_ROW))
            messages = [
                Message(talk.inward, number)
                for number in range(talk.written + 1, talk.written + count + 1)
            ]
            talk.written += count
            talk.missing.update(messages)
            self.fed += count
        content = [
            {"id": f"{talk.peer}-{m.number}", "from": talk.peer, "text": named(m)} for m in messages
        ]
        if talk.channel == "asked":
            self._keep(messages, content)
        else:
            self._send(talk, messages, content)

    def _keep(self, messages: list[Message], content: list[dict[str, str]]) -> None:
        """It waits at the network, in order: an answer with the younger has the older too."""
        now = time.monotonic()
        for message in messages:
            self._notes.note_fed(message, now)
            self._notes.note_told(message, now)
        self._inbox.keep(content)

    def _send(self, talk: Talk, messages: list[Message], content: list[dict[str, str]]) -> None:
        with self._lock:
            talk.delivering += 1
        webhook = Webhook(
            talk.channel,
            json.dumps({"messages": content}).encode(),
            begin=partial(self._note_first_attempt, messages),
            answered=partial(self._note_answer, talk, messages),
        )
        self._postman.take(webhook)

    def _note_first_attempt(self, messages: list[Message]) -> None:
        now = time.monotonic()
        for message in messages:
            self._notes.note_fed(message, now)

    def _note_answer(self, talk: Talk, messages: list[Message]) -> None:
        now = time.monotonic()
        for message in messages:
            self._notes.note_told(message, now)
        with self._lock:
            talk.delivering -= 1

    def _reply(self, talk: Talk) -> None:
        """The agent writes, up to three in a row: Chatwoot stores each, and tells of it once."""
        with self._lock:
            most = min(self._each - talk.replied, self.total - self.fed)
            count = min(most, self._random.choice(IN_A_ROW))
            conversation, first = talk.conversation, talk.replied + 1
            messages = [Message(talk.outward, first + n) for n in range(count)]
            talk.replied += count
            talk.missing.update(messages)
            self.fed += count
        for message in messages:
            self._notes.note_fed(message, time.monotonic())
            self._chatwoot.agent_reply(conversation, named(message))
        if self._random.random() < RESOLVED:
            self.resolved[talk.peer] += 1
            self._chatwoot.agent_resolve(conversation)

    def _note_webhook(self, note: Callable[[Message, float], None], delivery: Delivery) -> None:
        """A webhook of Chatwoot's leaves, or was taken by the gateway."""
        if delivery.event.name != "message_created":
            return
        now = time.monotonic()
        with self._chatwoot.store.reading():
            row = self._chatwoot.store.messages.get(delivery.event.subject_id)
            reply = read_name(row.content or "") if row.message_type == "outgoing" else None
        if reply is not None:
            note(reply, now)

    def _note_seen_in_chatwoot(self, events: list[Event]) -> None:
        """Called with each change, under the store's lock."""
        store = self._chatwoot.store
        for event in events:
            if event.name != "message_created":
                continue
            row = store.messages.get(event.subject_id)
            message = read_name(row.content or "")
            if row.message_type == "incoming" and message is not None:
                place = store.conversations.get(row.conversation_id).display_id
                self._note_arrival(message, place)

    def _note_arrival(self, message: Message, conversation: int = 0) -> None:
        with self._lock:
            talk = self._talks.get(message.stream.rpartition(":")[2].partition("/")[0])
            if talk is None:
                return
            talk.conversation = max(talk.conversation, conversation)
            if message in talk.missing:
                talk.missing.discard(message)
                self.arrived += 1
                self._arrived_at = time.monotonic()
