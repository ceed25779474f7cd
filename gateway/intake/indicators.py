"""Indicators for customers: an agent is typing, or a button press has arrived.

Web and clock leave them for a worker, because neither may keep its caller waiting for a network.
They do not go through lanes: a late indicator is worthless, and losing one loses no message. Each
waits in Redis for a while; a drain with nothing to deliver picks it up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypeAlias, cast

import redis

from gateway.lanes import keys
from gateway.model import Inbound, Place

TYPING_SECONDS = 5
"""How long a typing indicator is worth showing, and how long a conversation gets no second one.
Telegram shows it for as long: https://core.telegram.org/bots/api#sendchataction."""
PRESS_SECONDS = 60
"""How long a customer may be looking at a button after pressing it."""
LONGEST_QUEUE = 64
"""Indicators that wait at once; the oldest make room for new ones."""


@dataclass(frozen=True, slots=True)
class Typing:
    """An agent is writing to this customer."""

    channel: str
    place: Place


@dataclass(frozen=True, slots=True)
class Pressed:
    """A customer has pressed a button, and their choice is stored."""

    channel: str
    message: Inbound
    """Only the fields that `Adapter.acknowledge_press` is promised."""


Indicator: TypeAlias = Typing | Pressed


@dataclass(frozen=True, slots=True)
class IndicatorQueue:
    """The indicators that wait to be shown. Threads may share it.

    Every method raises redis.RedisError if Redis does not answer.
    """

    client: redis.Redis

    def push_typing(self, channel: str, conversation: int, place: Place) -> bool:
        """Queue «an agent is typing». False if this conversation had one a moment ago."""
        name = f"{channel}/{conversation}"
        shown_to = json.dumps([place.peer, place.thread, dict(place.context)])
        if not self.client.set(keys.typing_in(name), shown_to, nx=True, ex=TYPING_SECONDS):
            return False
        self._push(keys.TYPING, name, TYPING_SECONDS)
        return True

    def cancel_typing(self, channel: str, conversation: int) -> bool:
        """The agent has stopped typing. False if no indicator of this conversation was waiting."""
        key = keys.typing_in(f"{channel}/{conversation}")
        return bool(self.client.get(key)) and bool(self.client.delete(key))

    def push_press(self, channel: str, message: Inbound) -> None:
        """Queue «the button press has arrived»."""
        fields = [channel, message.id, message.peer, message.text, message.reply_to, message.press]
        self._push(keys.PRESSED, json.dumps(fields), PRESS_SECONDS)

    def wait(self, seconds: float) -> Indicator | None:
        """Sleep until a lane becomes due or an indicator arrives, at most `seconds`. An indicator
        that has expired is dropped."""
        match self._pop([keys.PRESSED, keys.TYPING, keys.WAKE], seconds):
            case (keys.PRESSED, fields):
                channel, number, peer, text, reply_to, press = json.loads(fields)
                return Pressed(channel, Inbound(number, peer, text, reply_to=reply_to, press=press))
            case (keys.TYPING, name) if shown_to := self._take_place(name):
                return Typing(name.rpartition("/")[0], Place(*json.loads(shown_to)))
            case _:
                return None

    def pause(self, seconds: float) -> None:
        """Sleep until a lane becomes due, at most `seconds`, and leave the indicators queued."""
        self._pop([keys.WAKE], seconds)

    def _take_place(self, name: str) -> str:
        """JSON of where to show typing; empty if it was shown or cancelled. The empty key that
        stays behind records that this conversation had its indicator."""
        shown_to = self.client.set(keys.typing_in(name), "", xx=True, keepttl=True, get=True)
        return str(shown_to or "")

    def _pop(self, names: list[str], seconds: float) -> tuple[str, str] | None:
        popped = self.client.blpop(names, timeout=max(0.01, seconds))
        return cast(tuple[str, str] | None, popped)

    def _push(self, queue: str, item: str, seconds: int) -> None:
        with self.client.pipeline(transaction=False) as pipeline:
            pipeline.rpush(queue, item)
            pipeline.ltrim(queue, -LONGEST_QUEUE, -1)
            pipeline.expire(queue, seconds)
            pipeline.execute()
