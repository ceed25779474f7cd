"""Posting to Chatwoot exactly once, although a process may die or an answer be lost in between.

Chatwoot takes the same message twice without a word: no source id is unique to it
(`app/models/message.rb`). So the ledger is told where a message is going before the call, and after
an uncertain attempt the message is looked for there before it is posted again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.errors import Missing, Stumbled
from gateway.chatwoot.values import Message
from gateway.errors import DeliveryError, ServerTrouble, Uncertain
from gateway.http import may_write, no_fence
from gateway.lanes import Lanes, Lease, Taken
from gateway.relay.delivery import NotNow, announce
from gateway.relay.retry_policy import UncertainAnswer

MESSAGE = "message:"


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a message may be: in a conversation, behind one that was there before the attempt.

    In the ledger «message:<conversation>:<newest>», as the script that hands messages out writes
    it too (`gateway/lanes/prelude/attempts.lua`).
    """

    conversation: int
    newest: int

    def __str__(self) -> str:
        return f"{MESSAGE}{self.conversation}:{self.newest}"

    @classmethod
    def read(cls, text: str) -> Spot:
        conversation, newest = text.removeprefix(MESSAGE).split(":")
        return cls(int(conversation), int(newest))


@dataclass(frozen=True, slots=True)
class Kept:
    """The copy of a message that stays in Chatwoot, and how many others were removed."""

    message: Message
    removed: int = 0


class Announcer(Protocol):
    """Whoever makes a call to Chatwoot says so before."""

    def announce(self, step: str) -> None:
        """`step`: what is about to be made, like «contact» or «labels:<conversation>»."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt at one message: each call is announced before it is made."""

    lanes: Lanes
    lease: Lease
    taken: Taken

    def announce(self, step: str) -> None:
        """Write down where the next call goes; the spots of uncertain attempts stay known too.
        Raises LeaseVoid."""
        target = dict.fromkeys([*map(str, spots_of(self.taken)), step])
        announce(self.lanes, self.lease, self.taken, " ".join(target))


@dataclass(frozen=True, slots=True)
class ExactlyOnce:
    """Finds out whether an uncertain message arrived, and keeps one copy of it.

    Every method but the first raises a `DeliveryError` if Chatwoot cannot be asked.
    """

    chatwoot: Chatwoot
    uncertain_after: float
    """Seconds that Chatwoot may need to finish or drop a request that we gave up on."""

    def require_wait(self, taken: Taken) -> None:
        """Raises `NotNow` while an earlier attempt may still be carried out."""
        if taken.uncertain and taken.since_announced < self.uncertain_after:
            raise NotNow(self.uncertain_after - taken.since_announced)

    def find(self, spots: Iterable[Spot], source: str) -> list[Message]:
        """The copies of a message that have arrived at `spots`: also if the conversation was
        resolved since, but not if it was deleted."""
        return [m for spot in spots for m in self._messages_behind(spot) if m.source_id == source]

    def keep_oldest(self, copies: Iterable[Message]) -> Kept:
        """Remove all but the oldest copy. A deleted message keeps its source id: what an agent has
        deleted did arrive."""
        oldest, *younger = sorted({each.id: each for each in copies}.values(), key=lambda m: m.id)
        doubles = [double for double in younger if not double.deleted]
        for double in doubles:
            with suppress(Missing):
                self.chatwoot.delete_message(double.conversation_id, double.id)
        return Kept(oldest, len(doubles))

    def keep_oldest_of_all(self, taken: Taken, spot: Spot, source: str, posted: Message) -> Kept:
        """Remove doubles of a message that was `posted` just now at `spot`: an earlier request,
        which we had given up on, may have been carried out after we looked."""
        if not may_write():
            # This process stood still. Who has the lane now may have looked, and posted, before us.
            with no_fence():
                return self.keep_oldest([*self.find([*spots_of(taken), spot], source), posted])
        if not taken.uncertain:
            return Kept(posted)
        return self.keep_oldest([*self.find(spots_of(taken), source), posted])

    def find_despite_refusal(self, refused: Stumbled, spot: Spot, source: str) -> Message:
        """The message that Chatwoot refused, if it is there all the same. A refusal is believed
        only if it is not: the request is over, so that can be seen at once."""
        if copies := self._find_after(refused, spot, source):
            return self.keep_oldest(copies).message
        raise ServerTrouble(
            refused.reason, after=refused.after, scope=refused.scope, detail=refused.detail
        ) from refused

    def find_despite_silence(self, lost: Uncertain, spot: Spot, source: str) -> Message:
        """The message whose answer was lost, if it is there. It had files with it: if Chatwoot
        answers else, they may be too much for what stands between. That counts as a refusal, not as
        an outage."""
        if copies := self._find_after(lost, spot, source):
            return self.keep_oldest(copies).message
        raise UncertainAnswer(lost.reason, detail=lost.detail) from lost

    def _find_after(self, trouble: DeliveryError, spot: Spot, source: str) -> list[Message]:
        try:
            return self.find([spot], source)
        except DeliveryError as error:
            raise Uncertain(trouble.reason, detail=trouble.detail) from error

    def _messages_behind(self, spot: Spot) -> Iterator[Message]:
        with suppress(Missing):
            yield from self.chatwoot.messages_after(spot.conversation, spot.newest)


def spots_of(taken: Taken) -> tuple[Spot, ...]:
    """Where the uncertain attempts were going, the first one first."""
    if not taken.uncertain:
        return ()
    return tuple(Spot.read(step) for step in taken.target.split() if step.startswith(MESSAGE))


def where_unknown(taken: Taken, conversation: int, newest: int = 0) -> tuple[Spot, ...]:
    """Where to look for an attempt of which it is not known where it went, if it went at all.

    After a fail-over that is all of the conversation: whatever the server has kept of the message
    and of its lane may be older than the attempt, and what was posted since may be younger.
    """
    if taken.after_failover:
        return (Spot(conversation, 0),)
    return (Spot(conversation, newest),) if taken.uncertain and not taken.target else ()


def last_step(taken: Taken) -> str:
    """What the newest attempt was about to do."""
    return taken.target.rpartition(" ")[2]
