"""Replies on their way to the customer: rendered, split into parts, and sent part by part."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from gateway import bodies, naming, text
from gateway.adapter import Adapter
from gateway.bodies import NoteText, Reply
from gateway.chatwoot import contacts
from gateway.config import Channel
from gateway.errors import Permanent
from gateway.lanes import Entry, Hold, Lane, Lanes, Pace, Taken
from gateway.model import Part, Sent
from gateway.relay.consequences import MAY_HAVE_ARRIVED, Patience, too_old
from gateway.relay.delivery import Done, announce

FILES_STAY = "The text was sent, but this channel takes only text. Files that were left behind"


@dataclass(frozen=True, slots=True)
class OutboundDelivery:
    """Sends the replies of one channel."""

    lanes: Lanes
    channel: Channel
    adapter: Adapter

    @property
    def pace(self) -> Pace:
        able = self.adapter.capabilities
        return Pace(able.rate, able.peer_rate)

    @property
    def patience(self) -> Patience:
        config = self.channel.config
        limit = config.age_limit or self.adapter.capabilities.age_limit
        return Patience(limit, hold_unknown=config.on_unknown == "hold")

    def deliver(self, hold: Hold, taken: Taken) -> Done:
        if too_old(taken, self.patience):
            raise Permanent("Too old to be sent now: it waited longer than this channel allows")
        reply = bodies.read_reply(taken.body, taken.version)
        parts = self._parts(taken, reply)
        waiting = [part for part in parts if part.number not in taken.parts]
        sent: Sent | None = None
        for n, part in enumerate(waiting):
            # The slot of the first call was reserved when the message was handed out.
            pace = self.pace if n else None
            if not announce(self.lanes, hold, taken, f"part:{part.number}", pace=pace):
                break
            first_again = taken.uncertain and n == 0
            sent = self._again(part, taken) if first_again else self.adapter.send(part)
            ids = [name for name in sent.external_ids if name]
            self.lanes.progress(hold, taken.id, part.number, part.total, ids)
        if reply.files:
            say(self.lanes, self.channel, hold, taken, f"{FILES_STAY}: {reply.files}.")
        return Done(
            external=sent.external_id if sent else "", memos=self._offered(hold, taken, reply)
        )

    def _offered(self, hold: Hold, taken: Taken, reply: Reply) -> dict[Lane, dict[str, str]]:
        """What the customer may answer with a number now; any later reply ends the offer. Kept
        with the replies to know of it here, and where the customer's answer will be read."""
        if not reply.choices and not taken.route.get("choices"):
            return {}
        thread, _ = _thread(taken.route, reply.attributes)
        memo = {"choices": json.dumps(reply.choices, ensure_ascii=False) if reply.choices else ""}
        answers = naming.inbound_lane(self.channel.name, reply.peer, thread)
        return {hold.lane: memo, answers: memo}

    def _again(self, part: Part, taken: Taken) -> Sent:
        """Send a part that may have arrived already: ask first, where the network can be asked."""
        if self.adapter.capabilities.idempotent:
            return self.adapter.send(part)
        if self.adapter.finds:
            return self.adapter.find(part) or self.adapter.send(part)
        if self.patience.hold_unknown and not taken.replayed:
            raise Permanent(MAY_HAVE_ARRIVED)
        return self.adapter.send(part)

    def _parts(self, taken: Taken, reply: Reply) -> Sequence[Part]:
        able = self.adapter.capabilities
        rich = text.render(reply.text, able.styles)
        if not rich.text.strip():
            raise Permanent("There is no text in it, and this channel takes only text")
        pieces = text.split(rich, able.text_limit, able.text_unit)
        thread, context = _thread(taken.route, reply.attributes)
        return [
            Part(
                id=(name := naming.part_id(taken.id, number)),
                peer=reply.peer,
                text=piece.text,
                spans=piece.spans,
                number=number,
                total=len(pieces),
                reply_to=reply.reply_to if number == 1 else "",
                thread=thread,
                context=context,
                sender=reply.sender,
                callback_url=f"{self.adapter.site.webhook_url}?part={quote(name, safe='')}",
            )
            for number, piece in enumerate(pieces, start=1)
        ]


@dataclass(frozen=True, slots=True)
class DeleteDelivery:
    """Takes back what was sent, where the network can; says so where it cannot."""

    lanes: Lanes
    channel: Channel
    adapter: Adapter

    @property
    def pace(self) -> Pace:
        return Pace(self.adapter.capabilities.rate)

    @property
    def patience(self) -> Patience:
        return Patience(self.adapter.capabilities.age_limit)

    def deliver(self, hold: Hold, taken: Taken) -> Done:
        ids = [
            name for number in sorted(taken.subject_parts) for name in taken.subject_parts[number]
        ]
        if not ids:
            return Done()
        if not self.adapter.deletes:
            self._say(hold, taken, f"{self.channel.config.adapter} cannot take a message back")
            return Done()
        peer = bodies.read_deletion(taken.body, taken.version).peer
        try:
            for name in ids:
                self.adapter.delete(peer, name)
        except Permanent as error:
            self._say(hold, taken, error.reason)
        return Done()

    def _say(self, hold: Hold, taken: Taken, why: str) -> None:
        words = f"The customer still sees the message that was deleted here: {why}."
        say(self.lanes, self.channel, hold, taken, words)


def say(lanes: Lanes, channel: Channel, hold: Hold, taken: Taken, words: str) -> None:
    """Leave a private note in the conversation, once for each message."""
    conversation = int(hold.lane.key)
    note = Entry(
        id=f"{taken.id}:note",
        lane=naming.status_lane(channel.name, conversation),
        destination=naming.chatwoot_destination(channel.account.name),
        kind="note",
        body=bodies.write(NoteText(conversation, words)),
    )
    lanes.append([note])


def _thread(route: Mapping[str, str], attributes: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The thread of a conversation and its newest context; from Chatwoot if we have lost it."""
    if "thread" in route or "context" in route:
        return route.get("thread", ""), json.loads(route.get("context", "{}"))
    return attributes.get("thread", ""), contacts.context_in(attributes)
