"""When a customer writes far too much: slowly, one note, and no automatic replies.

The scripts count what comes and slow the customer's lanes down (`gateway/lanes/append.lua`);
nothing is refused. What writes so fast is rarely a person, and where Chatwoot has a bot or an
automatic text the two would answer each other for ever: here it is broken off.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass

import redis

from gateway.chatwoot.events import Reply
from gateway.config import Channel
from gateway.errors import Permanent
from gateway.lanes import Lanes, Routes, Taken, ids, notes
from gateway.observability import logs

WITHHELD = "Not sent: an automatic reply to a customer who writes this fast may answer a machine"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Floods:
    """What is done about the customers of one channel who write far too much."""

    lanes: Lanes
    routes: Routes
    channel: Channel

    def tell(self, peer: str, conversation: int) -> bool:
        """Leave agents a note, once, if the customer's brake is on. Returns whether it is."""
        channel = self.channel
        customer = ids.brake(channel.name, peer)
        since = self.routes.brake_since(customer)
        if not since:
            return False
        entry = notes.flood_entry(
            customer,
            since,
            channel.name,
            conversation,
            destination=ids.chatwoot_destination(channel.account.name),
            text=_words(channel.config.brake),
        )
        # In a full Redis what waits must still be delivered: the next message tries the note again.
        with suppress(redis.OutOfMemoryError):
            if self.lanes.append([entry]).new:
                logs.event(
                    log,
                    "braked",
                    level=logging.WARNING,
                    channel=channel.name,
                    conversation=conversation,
                )
        return True

    def withhold(self, taken: Taken, reply: Reply, peer: str) -> None:
        """Raise `Permanent` for an automatic reply while the customer's brake is on. An agent who
        presses Retry has it sent."""
        if not reply.automatic or taken.replayed or taken.parts:
            return
        if self.tell(peer, reply.conversation):
            raise Permanent(WITHHELD)


def _words(most: int) -> str:
    return (
        f"This customer writes very fast: more than {most} messages in a minute, or as many "
        "automatic replies in ten. Nothing is lost, but until a minute passes without a message "
        "only one is shown every 10 seconds, and automatic replies are not sent."
    )
