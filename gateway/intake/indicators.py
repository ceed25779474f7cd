"""Hints at what customers should be shown: that an agent is typing, that a button was heard.

From web and clock, which must not keep anybody waiting for a network, to a worker. They do not go
through lanes: a hint is worth nothing late and nothing is lost with it. It lies in Redis for a
while; a drain that has nothing better to do picks it up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypeAlias, cast

import redis

from gateway.model import Inbound

WORTH = 5
"""Seconds that a hint at typing is good for, and in which a conversation gets no second one. That
is how long Telegram shows the sign: https://core.telegram.org/bots/api#sendchataction."""
PRESS_WORTH = 60
"""Seconds for which somebody may look at a button that they pressed."""
MOST = 64
"""Hints that wait at once; older ones make room."""


@dataclass(frozen=True, slots=True)
class Typing:
    """An agent is writing to this customer."""

    channel: str
    peer: str


@dataclass(frozen=True, slots=True)
class Pressed:
    """A customer has pressed a button, and their choice is stored."""

    channel: str
    message: Inbound
    """No more of it than `Adapter.pressed` is promised."""


Hint: TypeAlias = Typing | Pressed


@dataclass(frozen=True, slots=True)
class Hints:
    """Leaving hints, and waiting for them. Threads may share it.

    Every method raises redis.RedisError if Redis cannot be asked.
    """

    client: redis.Redis
    namespace: str = "gw"

    def typing(self, channel: str, conversation: int, peer: str) -> bool:
        """Leave word that an agent is typing. False if this conversation had it a moment ago."""
        name = f"{channel}/{conversation}"
        if not self.client.set(self._key(name), peer, nx=True, ex=WORTH):
            return False
        self._push(self._typing, name, WORTH)
        return True

    def take_away(self, channel: str, conversation: int) -> bool:
        """The agent writes no more. False if there is no hint that still waits to be shown."""
        key = self._key(f"{channel}/{conversation}")
        return bool(self.client.get(key)) and bool(self.client.delete(key))

    def pressed(self, channel: str, message: Inbound) -> None:
        """Leave word of a button that was pressed."""
        told = [channel, message.id, message.peer, message.text, message.reply_to, message.press]
        self._push(self._pressed, json.dumps(told), PRESS_WORTH)

    def wait(self, seconds: float) -> Hint | None:
        """Sleep until a lane becomes due or a hint comes, at most `seconds`. A hint that has
        outlived its worth is dropped."""
        match self._pop([self._pressed, self._typing, self._wake], seconds):
            case (self._pressed, told):
                channel, number, peer, text, reply_to, press = json.loads(told)
                return Pressed(channel, Inbound(number, peer, text, reply_to=reply_to, press=press))
            case (self._typing, name) if peer := self._not_shown(name):
                return Typing(name.rpartition("/")[0], peer)
            case _:
                return None

    def pause(self, seconds: float) -> None:
        """Sleep until a lane becomes due, at most `seconds`, and leave the hints for later."""
        self._pop([self._wake], seconds)

    def _not_shown(self, name: str) -> str:
        """The customer of a hint, to be shown now; empty if it was shown or taken away. What stays
        in its place is that this conversation had one."""
        peer = self.client.set(self._key(name), "", xx=True, keepttl=True, get=True)
        return str(peer or "")

    def _pop(self, names: list[str], seconds: float) -> tuple[str, str] | None:
        popped = self.client.blpop(names, timeout=max(0.01, seconds))
        return cast(tuple[str, str] | None, popped)

    def _push(self, hints: str, hint: str, worth: int) -> None:
        with self.client.pipeline(transaction=False) as pipeline:
            pipeline.rpush(hints, hint)
            pipeline.ltrim(hints, -MOST, -1)
            pipeline.expire(hints, worth)
            pipeline.execute()

    @property
    def _wake(self) -> str:
        return f"{self.namespace}:wake"

    @property
    def _typing(self) -> str:
        return f"{self.namespace}:typing"

    @property
    def _pressed(self) -> str:
        return f"{self.namespace}:pressed"

    def _key(self, name: str) -> str:
        return f"{self.namespace}:typing:{name}"
