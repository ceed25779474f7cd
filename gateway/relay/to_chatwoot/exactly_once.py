"""Posting to Chatwoot exactly once, although a process may die or an answer be lost in between.

Chatwoot takes the same message twice without a word: no source id is unique to it
(`app/models/message.rb`). So the ledger is told where a message is going before the call, and after
an attempt of which nobody knows the end the message is looked for there before it is posted again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.errors import Missing, Stumbled
from gateway.chatwoot.values import Message
from gateway.errors import DeliveryError, ServerTrouble, Uncertain
from gateway.lanes import Lanes, Lease, Taken
from gateway.relay.delivery import NotNow, announce
from gateway.relay.retry_policy import UncertainAnswer

MESSAGE = "message:"


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a message may be: in a conversation, behind one that was there before the attempt.

    In the ledger «message:<conversation>:<newest>», as the script that hands messages out writes
    it too (`gateway/lanes/prelude.lua`).
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


@dataclass(frozen=True, slots=True)
class ExactlyOnce:
    """Knows whether an uncertain message arrived. Whoever asks for more has waited first."""

    lanes: Lanes
    chatwoot: Chatwoot
    uncertain_after: float
    """Seconds that Chatwoot may need to finish or drop a request that we gave up on."""

    def wait(self, taken: Taken) -> None:
        """Raises `NotNow` while an earlier attempt may still be carried out."""
        if taken.uncertain and taken.since_announced < self.uncertain_after:
            raise NotNow(self.uncertain_after - taken.since_announced)

    def found(self, spots: Iterable[Spot], source: str) -> Kept | None:
        """The message, if it has arrived at one of `spots`: also if the conversation was resolved
        since, but not if it was deleted."""
        copies = self._copies(spots, source)
        return self._oldest_of(copies) if copies else None

    def announce(self, lease: Lease, taken: Taken, step: str) -> None:
        """Write down where the next call goes; the spots of uncertain attempts stay known too."""
        target = dict.fromkeys([*map(str, spots_of(taken)), step])
        announce(self.lanes, lease, taken, " ".join(target))

    def posted(
        self, spot: Spot, source: str, post: Callable[[], Message], *, upload: bool = False
    ) -> Message:
        """What `post` makes of a message that goes to `spot`. A refusal is believed only if the
        message is not there: the request is over, so that can be seen at once.

        `upload`: there are files with it. If its answer is lost while Chatwoot answers else, they
        may be too much for what stands between: that counts as a refusal, not as an outage.
        """
        try:
            return post()
        except Stumbled as refused:
            found = self._despite(refused, spot, source)
            why: ServerTrouble = ServerTrouble(
                refused.reason, after=refused.after, detail=refused.detail
            )
        except Uncertain as lost:
            if not upload:
                raise
            found = self._despite(lost, spot, source)
            why = UncertainAnswer(lost.reason, detail=lost.detail)
        if found is None:
            raise why
        return found.message

    def settled(self, taken: Taken, source: str, posted: Message) -> Kept:
        """What stays of a message that was `posted`: a request that we had given up on may have
        been carried out after we looked."""
        if not taken.uncertain:
            return Kept(posted)
        return self._oldest_of([*self._copies(spots_of(taken), source), posted])

    def _despite(self, trouble: DeliveryError, spot: Spot, source: str) -> Kept | None:
        try:
            return self.found([spot], source)
        except DeliveryError as error:
            raise Uncertain(trouble.reason, detail=trouble.detail) from error

    def _copies(self, spots: Iterable[Spot], source: str) -> list[Message]:
        return [m for spot in spots for m in self._behind(spot) if m.source_id == source]

    def _behind(self, spot: Spot) -> Iterator[Message]:
        with suppress(Missing):
            yield from self.chatwoot.messages_after(spot.conversation, spot.newest)

    def _oldest_of(self, copies: Iterable[Message]) -> Kept:
        """A deleted message keeps its source id: what an agent has deleted did arrive."""
        oldest, *younger = sorted({each.id: each for each in copies}.values(), key=lambda m: m.id)
        doubles = [double for double in younger if not double.deleted]
        for double in doubles:
            with suppress(Missing):
                self.chatwoot.delete_message(double.conversation_id, double.id)
        return Kept(oldest, len(doubles))


def spots_of(taken: Taken) -> tuple[Spot, ...]:
    """Where the attempts were going of which nobody knows the end, the first one first."""
    if not taken.uncertain:
        return ()
    return tuple(Spot.read(step) for step in taken.target.split() if step.startswith(MESSAGE))


def last_step(taken: Taken) -> str:
    """What the newest attempt was about to do."""
    return taken.target.rpartition(" ")[2]
