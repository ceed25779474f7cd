"""What is remembered of lanes from message to message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import redis

from gateway.lanes import keys
from gateway.lanes.keys import BrakeField
from gateway.lanes.lane import Lane
from gateway.lanes.route import Route
from gateway.lanes.scripts import Scripts


@dataclass(frozen=True, slots=True)
class Routes:
    """Reads what is remembered of lanes, and forgets what is not true any more.

    Threads may share it. Every method raises redis.RedisError if Redis cannot be asked.
    """

    client: redis.Redis
    _run: Scripts = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_run", Scripts(self.client))

    def get(self, lane: Lane) -> Route:
        """What is remembered of a lane."""
        stored = self.client.hgetall(keys.route(lane))
        return Route.read(cast(Mapping[str, str], stored))

    def brake_since(self, customer: str) -> str:
        """Since when the brake of a customer is on (Redis's clock, ms); empty if it is off."""
        return str(self.client.hget(keys.brake(customer), BrakeField.SINCE) or "")

    def forget_conversation(self, lane: Lane, conversation: str) -> bool:
        """The customer's next message must look for its conversation again, if it was this one."""
        return bool(self._run("forget_conversation", str(lane), conversation))

    def record_conversation_started(self, lane: Lane, conversation: int) -> bool:
        """A conversation began: the customer's next message must look for the right one again, if
        an older one is remembered. False if none is."""
        return bool(self._run("record_conversation_started", str(lane), conversation))
