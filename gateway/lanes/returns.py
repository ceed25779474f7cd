"""What is to be asked for after a web process could not take webhooks for a while."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Final

import redis

from gateway.lanes import keys, wire
from gateway.lanes.ids import channel_destination
from gateway.lanes.scripts import Scripts

LONGEST_HOLD: Final = 10.0
"""Seconds that a channel's replies wait for a look."""
LOOK_WANTED: Final = 20.0
"""Seconds from the first return. A look that has not come about by then comes with the next round;
before it has, or until then, no further return holds replies: half of the time they go."""
CATCH_UP_WANTED: Final = 600.0
"""Seconds; the same, of a network's history."""


@dataclass(frozen=True, slots=True)
class Missed:
    """What of a channel nobody hears while no web process listens."""

    channel: str
    look: bool
    """Its replies: Chatwoot's webhooks tell of them."""
    catch_up: bool
    """Its customers' messages, for which the network can be asked."""


@dataclass(frozen=True, slots=True)
class Returns:
    """The returns of web processes, each named by a token, until what was missed is in.

    Threads may share it. Every method raises redis.RedisError if Redis cannot be asked.
    """

    client: redis.Redis
    _run: Scripts = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_run", Scripts(self.client))

    def record(self, token: str, missed: Iterable[Missed]) -> None:
        """A web process has returned: replies wait, and what was missed is to be asked for."""
        items = [
            {**asdict(each), "destination": channel_destination(each.channel)} for each in missed
        ]
        seconds = (LONGEST_HOLD, LOOK_WANTED, CATCH_UP_WANTED)
        self._run("record_return", token, wire.storable(items), *(round(s * 1000) for s in seconds))

    def wanted_look(self, channel: str) -> str:
        """The token of the return after which nobody has looked at the channel's inbox yet; or
        empty."""
        return str(self.client.get(keys.look_wanted(channel)) or "")

    def end_look(self, channel: str, token: str) -> None:
        """The look is done that was wanted when it began: the channel's replies may go."""
        self._run("end_look", channel, channel_destination(channel), token)

    def wanted_catch_up(self, channel: str) -> str:
        """The token of the return after which nobody has asked the network yet; or empty."""
        return str(self.client.get(keys.catch_up_wanted(channel)) or "")

    def end_catch_up(self, channel: str, token: str) -> None:
        """The network has been asked, which was wanted when that began."""
        self._run("unlock", keys.catch_up_wanted(channel), token)
