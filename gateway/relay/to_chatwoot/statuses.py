"""What agents are told: what became of their replies, and private notes."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass

from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.errors import Missing, Stumbled
from gateway.chatwoot.values import Message, MessageType
from gateway.errors import DeliveryError
from gateway.lanes import Lanes, Lease, Pace, Taken, bodies, ids
from gateway.lanes.bodies import NoteText
from gateway.lanes.subject import MARKED_FAILED
from gateway.model import Status
from gateway.relay.cached import Cached
from gateway.relay.delivery import Done
from gateway.relay.retry_policy import Patience
from gateway.relay.to_chatwoot.exactly_once import (
    Attempt,
    ExactlyOnce,
    Spot,
    spots_of,
    where_unknown,
)

DRAWS_DELIVERED = (4, 11)
"""Before it the dashboard draws «delivered» on API inboxes as a clock, as if it were on its way
(`MessageMeta.vue`); «sent» has the ticks."""


def draws_delivered(chatwoot: Chatwoot) -> bool:
    """Whether this release's dashboard draws «delivered» as delivered; assumed where the release
    cannot be learned."""
    try:
        number = re.match(r"(\d+)\.(\d+)", chatwoot.installation().version)
    except DeliveryError:
        return True
    return number is None or (int(number[1]), int(number[2])) >= DRAWS_DELIVERED


@dataclass(frozen=True, slots=True)
class StatusDelivery:
    """Sets the status that Chatwoot shows for a reply. The newest wins; repeating does no harm."""

    chatwoot: Chatwoot
    draws_delivered: Cached[bool]
    """Whether the dashboard of this release draws «delivered» as delivered."""
    pace: Pace

    @property
    def patience(self) -> Patience:
        return Patience()

    def deliver(self, lease: Lease, taken: Taken) -> Done:
        status = taken.subject.status
        if status is None and taken.subject.shown == MARKED_FAILED:  # and it still waits
            status = Status.SENT
        if status is None:  # an agent pressed Retry: it begins anew
            return Done()
        drawn = self._choose_drawn(status)
        if drawn != taken.subject.shown:
            self._update(lease, taken, drawn)
        return Done(told=status)

    def _choose_drawn(self, status: Status) -> Status:
        """The status that looks right on the agent's screen."""
        if status is Status.DELIVERED and not self.draws_delivered.get():
            return Status.SENT
        return status

    def _update(self, lease: Lease, taken: Taken, status: Status) -> None:
        message = ids.reply_number(taken.id)
        # If the message or its conversation was deleted, nobody is left to be told.
        with suppress(Missing):
            self.chatwoot.update_status(int(lease.lane.key), message, status, taken.subject.reason)


@dataclass(frozen=True, slots=True)
class NoteDelivery:
    """Leaves a private note in a conversation, once."""

    chatwoot: Chatwoot
    lanes: Lanes
    exactly_once: ExactlyOnce
    pace: Pace

    @property
    def patience(self) -> Patience:
        return Patience()

    def deliver(self, lease: Lease, taken: Taken) -> Done:
        note = bodies.read_note(taken.body, taken.version)
        self.exactly_once.require_wait(taken)
        source = ids.source_id(lease.lane.channel, taken.id)
        spots = [*spots_of(taken), *where_unknown(taken, note.conversation)]
        if copies := self.exactly_once.find(spots, source):
            return Done(doubled=self.exactly_once.keep_oldest(copies).removed)
        # If the conversation was deleted, nobody is left to be told.
        with suppress(Missing):
            posted = self._post(Attempt(self.lanes, lease, taken), note, source)
            spot = Spot(note.conversation, note.in_reply_to)
            kept = self.exactly_once.keep_oldest_of_all(taken, spot, source, posted)
            return Done(doubled=kept.removed)
        return Done()

    def _post(self, attempt: Attempt, note: NoteText, source: str) -> Message:
        # A note is rare: one call more, to have something behind which it can be looked for.
        older = note.in_reply_to or self.chatwoot.conversation(note.conversation).newest_message
        spot = Spot(note.conversation, older)
        attempt.announce(str(spot))
        try:
            return self._create_message(note, source)
        except Stumbled as refused:
            return self.exactly_once.find_despite_refusal(refused, spot, source)

    def _create_message(self, note: NoteText, source: str) -> Message:
        return self.chatwoot.create_message(
            note.conversation,
            _without_liquid(note.text),
            source_id=source,
            message_type=MessageType.NOTE,
            content_attributes={"in_reply_to": note.in_reply_to} if note.in_reply_to else None,
        )


def _without_liquid(text: str) -> str:
    """Chatwoot expands `{{…}}` and `{%…%}` in all that is not incoming, notes included
    (`app/models/concerns/liquidable.rb`); a network's own words are not meant so."""
    return text.replace("{{", "{ {").replace("{%", "{ %")
