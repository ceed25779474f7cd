"""What agents are told: what became of their replies, and private notes."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.errors import Missing
from gateway.chatwoot.values import Kind, Message
from gateway.errors import DeliveryError
from gateway.lanes import Lease, Pace, Taken, bodies, ids
from gateway.lanes.bodies import NoteText
from gateway.model import Status
from gateway.relay.cached import Cached
from gateway.relay.delivery import Done
from gateway.relay.retry_policy import Patience
from gateway.relay.to_chatwoot.exactly_once import ExactlyOnce, Spot, spots_of

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
        if "status" not in taken.subject:  # an agent pressed Retry: it begins anew
            return Done()
        status = Status(taken.subject["status"])
        drawn = self._drawn(status)
        if drawn != taken.subject.get("shown", Status.SENT):
            self._tell(lease, taken, drawn)
        return Done(told=status)

    def _drawn(self, status: Status) -> Status:
        """The status that looks right on the agent's screen."""
        if status is Status.DELIVERED and not self.draws_delivered.get():
            return Status.SENT
        return status

    def _tell(self, lease: Lease, taken: Taken, status: Status) -> None:
        message = ids.reply_number(taken.id)
        # If the message or its conversation was deleted, nobody is left to be told.
        with suppress(Missing):
            self.chatwoot.update_status(
                int(lease.lane.key), message, status, taken.subject.get("reason", "")
            )


@dataclass(frozen=True, slots=True)
class NoteDelivery:
    """Leaves a private note in a conversation, once."""

    chatwoot: Chatwoot
    exactly_once: ExactlyOnce
    pace: Pace

    @property
    def patience(self) -> Patience:
        return Patience()

    def deliver(self, lease: Lease, taken: Taken) -> Done:
        note = bodies.read_note(taken.body, taken.version)
        self.exactly_once.wait(taken)
        source = ids.source_id(lease.lane.channel, taken.id)
        if (found := self.exactly_once.found(spots_of(taken), source)) is not None:
            return Done(doubled=found.removed)
        # If the conversation was deleted, nobody is left to be told.
        with suppress(Missing):
            return Done(doubled=self._leave(lease, taken, note, source))
        return Done()

    def _leave(self, lease: Lease, taken: Taken, note: NoteText, source: str) -> int:
        # A note is rare: one call more, to have something behind which it can be looked for.
        older = note.in_reply_to or self.chatwoot.conversation(note.conversation).newest_message
        spot = Spot(note.conversation, older)
        self.exactly_once.announce(lease, taken, str(spot))
        posted = self.exactly_once.posted(spot, source, partial(self._post, note, source))
        return self.exactly_once.settled(taken, source, posted).removed

    def _post(self, note: NoteText, source: str) -> Message:
        return self.chatwoot.create_message(
            note.conversation,
            _without_liquid(note.text),
            source_id=source,
            kind=Kind.NOTE,
            content_attributes={"in_reply_to": note.in_reply_to} if note.in_reply_to else None,
        )


def _without_liquid(text: str) -> str:
    """Chatwoot expands `{{…}}` and `{%…%}` in all that is not incoming, notes included
    (`app/models/concerns/liquidable.rb`); a network's own words are not meant so."""
    return text.replace("{{", "{ {").replace("{%", "{ %")
