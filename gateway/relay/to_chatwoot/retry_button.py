"""Did an agent press Retry? The button only takes the error off a reply; other things do too."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.errors import Missing
from gateway.chatwoot.events import Reply
from gateway.chatwoot.values import Message
from gateway.config import Channel
from gateway.intake.entries import reply_entry
from gateway.lanes import KeyValues, Lanes, Lease, Ledger, Pace, Taken, bodies, ids
from gateway.lanes.subject import Subject
from gateway.lanes.watermark import watermark_of
from gateway.model import Status
from gateway.relay.delivery import Done
from gateway.relay.retry_policy import Patience

STORED_BY_ANOTHER = (
    "Not sent: another program stored this message in Chatwoot, and the customer may have it "
    "already. Write it once more to send it"
)


@dataclass(frozen=True, slots=True)
class RetryCheckDelivery:
    """Looks at a reply in Chatwoot, and sends again what failed of it if an agent wants that.

    It stands in the status lane, behind what was still to be told: whatever Chatwoot shows then,
    it has heard our last word.
    """

    lanes: Lanes
    ledger: Ledger
    values: KeyValues
    channel: Channel
    chatwoot: Chatwoot
    pace: Pace

    @property
    def patience(self) -> Patience:
        return Patience()

    def deliver(self, lease: Lease, taken: Taken) -> Done:
        reply = bodies.read_reply(taken.body, taken.version)
        is_known = taken.subject.is_known
        if not is_known and not self._may_be_missed(reply):
            return Done()
        if (message := self._ask_chatwoot(reply)) is None:
            return Done()
        if not is_known and message.source_id:
            self._refuse(reply)
        elif not is_known:
            self._recover(reply, message)
        elif message.status != "failed" and not message.external_error:
            name = ids.reply_id(self.channel.name, reply.message)
            self.ledger.retry(name, bodies.write(_readdressed(reply, taken.subject)))
        return Done()

    def _ask_chatwoot(self, reply: Reply) -> Message | None:
        """What Chatwoot shows; None if the reply was deleted."""
        try:
            message = self.chatwoot.message(reply.conversation, reply.message)
        except Missing:
            return None
        return None if message.deleted else message

    def _may_be_missed(self, reply: Reply) -> bool:
        watermark = watermark_of(self.values, self.channel.name)
        return watermark is not None and watermark.is_below(reply.message, reply.written_at)

    def _refuse(self, reply: Reply) -> None:
        """Another program stored it, perhaps what the owner typed on their phone. The button has
        taken off what would tell, so the customer may have it."""
        self.ledger.forbid(ids.reply_id(self.channel.name, reply.message))
        with suppress(Missing):
            self.chatwoot.update_status(
                reply.conversation, reply.message, Status.FAILED, STORED_BY_ANOTHER
            )

    def _recover(self, reply: Reply, message: Message) -> None:
        """Its own webhook never reached us, or comes later: then it will be a repetition."""
        age = max(0.0, self.chatwoot.now() - reply.written_at)
        entry = reply_entry(self.channel, reply)
        late = replace(entry, age=age, shown=message.status, written=reply.written_at)
        self.lanes.append([late])


def _readdressed(reply: Reply, subject: Subject) -> Reply:
    """The reply as it waited, if it still does: the button takes off what it answers and offers.
    Whom it is for may have been mended since."""
    if subject.body is None:
        return reply
    before = bodies.read_reply(subject.body, subject.version)
    return replace(before, peer=reply.peer, contact=reply.contact, to=reply.to)
