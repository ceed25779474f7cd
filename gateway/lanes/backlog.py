"""What waits, why, and for how long."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import uuid4

import redis

from gateway.lanes import wire
from gateway.lanes.lane import Lane
from gateway.lanes.scripts import Scripts
from gateway.lanes.values import Delayed, GateState, Note, Waiting


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in all lanes, for those who watch it.

    Threads may share it. Every method raises redis.RedisError if Redis cannot be asked.
    """

    client: redis.Redis
    _run: Scripts = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_run", Scripts(self.client))

    def read(self, *, most: int = 1000) -> Waiting:
        """What waits and why, looking at no more than `most` lanes of each destination."""
        gates, ages = self._run("backlog", most)
        return Waiting(
            tuple(
                GateState(name, lanes, state or "open", reason, seconds)
                for name, lanes, state, reason, seconds in gates
            ),
            {_split(name): age / 1000 for name, age in ages},
        )

    def delayed(self, destination: str, *, seconds: float, most: int = 2000) -> tuple[Delayed, ...]:
        """Replies that have waited longer and that nobody was told of: the first of each lane,
        looking at no more than `most` lanes."""
        found = self._run("delayed", destination, round(seconds * 1000), most)
        return tuple(
            Delayed(Lane.read(lane), message, reason, at / 1000)
            for lane, message, reason, at in found
        )

    def tell_of_delay(self, delayed: Delayed, note: Note, follows: Note, *, nonce: str = "") -> str:
        """Tell agents of a delayed reply, once; `follows` is left when it is delivered.

        «told»; «known» if that was done before; «moved» if it does not wait any more.
        """
        answer: str = self._run(
            "tell_of_delay",
            str(delayed.lane),
            delayed.message,
            nonce or uuid4().hex,
            wire.storable(wire.note(note)),
            wire.storable(wire.note(follows)),
        )
        return answer


def _split(name: str) -> tuple[str, str]:
    channel, direction = name.split("|")
    return channel, direction
