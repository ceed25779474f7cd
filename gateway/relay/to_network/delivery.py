"""Replies on their way to the customer: rendered, split into parts, and sent part by part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from gateway.adapter import Adapter
from gateway.chatwoot.events import Reply
from gateway.chatwoot.files import LinkedFile
from gateway.config import Channel
from gateway.errors import Permanent
from gateway.lanes import Lane, Lanes, Lease, Pace, Taken, bodies, ids, notes
from gateway.lanes.route import Route, Survey, merged
from gateway.model import Capabilities, Part, Place, Sent
from gateway.relay.addressing import Address, Addressing
from gateway.relay.delivery import Done, announce, still_seen
from gateway.relay.floods import Floods
from gateway.relay.retry_policy import MAY_HAVE_ARRIVED, Patience, is_too_old
from gateway.relay.to_network import parts
from gateway.relay.to_network.choices import Choices, choices_in, survey_in
from gateway.relay.to_network.files import AgentFiles
from gateway.relay.to_network.rendering import Renderer

MAY_STILL_SEE = (
    "The customer may still see the message that was deleted here: a call to the network ended "
    "without an answer."
)


@dataclass(frozen=True, slots=True)
class OutboundDelivery:
    """Sends the replies of one channel."""

    lanes: Lanes
    floods: Floods
    channel: Channel
    adapter: Adapter
    addressing: Addressing
    files: AgentFiles
    renderer: Renderer

    @property
    def pace(self) -> Pace:
        able = self.adapter.capabilities
        return Pace(able.rate, able.peer_rate)

    @property
    def patience(self) -> Patience:
        config = self.channel.config
        able = self.adapter.capabilities
        # Nobody need decide about what the network itself can tell, or recognises.
        known = able.idempotent or self.adapter.finds
        ask = config.on_uncertain == "ask" and not known
        return Patience(config.age_limit or able.age_limit, ask_when_uncertain=ask)

    def deliver(self, lease: Lease, taken: Taken) -> Done:
        reply = bodies.read_reply(taken.body, taken.version)
        if is_too_old(taken, self.patience):
            raise Permanent("Too old to be sent now: it waited longer than this channel allows")
        address = self.addressing.find(lease, taken, reply)
        self.floods.withhold(taken, reply, address.peer)
        choices = self._choices(reply)
        planned = self._parts(taken, reply, address, choices)
        waiting = [(part, files) for part, files in planned if part.number not in taken.parts]
        sent: Sent | None = None
        learned: dict[str, str] = {}
        for n, (part, files) in enumerate(waiting):
            # The slot of the first call was reserved when the message was handed out.
            pace = self.pace if n else None
            if not announce(self.lanes, lease, taken, f"part:{part.number}", pace=pace):
                break
            told = replace(part, context={**part.context, **learned})
            with self.files.fetch_all(told, files, taken) as whole:
                # Files take their time: the agent may have withdrawn the reply meanwhile.
                if files and not announce(self.lanes, lease, taken, f"part:{part.number}"):
                    break
                again = taken.uncertain and (n == 0 or taken.after_failover)
                sent = self._send_again(whole, taken) if again else self._send(whole)
            learned |= sent.context
            ids = [name for name in sent.external_ids if name]
            self.lanes.record_part(lease, taken.id, part.number, part.total, ids)
        return Done(
            external=sent.external_id if sent else "",
            routes=merged(
                address.routes,
                self._offered(lease, taken, reply, choices, address),
                {lease.lane: Route(context={**address.context, **learned})} if learned else {},
            ),
        )

    def _choices(self, reply: Reply) -> Choices:
        able, config = self.adapter.capabilities, self.channel.config
        if not reply.survey:
            return choices_in(reply, able)
        if not config.survey:  # a sentence with a link, as Chatwoot made it
            able, hint = Capabilities(), ""
        else:
            hint = config.survey_hint
        return survey_in(reply, able, self.channel.account.url, hint)

    def _offered(
        self, lease: Lease, taken: Taken, reply: Reply, choices: Choices, address: Address
    ) -> dict[Lane, Route]:
        """What the customer may answer with a number now; any later reply ends the offer. Kept
        with the replies to know of it here, and where the customer's answer will be read."""
        listed, survey = choices.listed, self._survey_after(taken, reply)
        if not listed and not taken.route.choices and survey is None:
            return {}
        offer = Route(choices=listed, survey=survey)
        answers = ids.inbound_lane(self.channel.name, address.peer, address.thread)
        return {lease.lane: offer, answers: offer}

    def _survey_after(self, taken: Taken, reply: Reply) -> Survey | None:
        """The survey that a digit answers from now on, or no more; None: as before."""
        if reply.survey and self.channel.config.survey:
            return Survey(reply.message, reply.conversation, reply.peer)
        known = taken.route.survey
        return replace(known, open=False) if known is not None and known.open else None

    def _send(self, part: Part) -> Sent:
        """Raises TypeError, in words for its author, if an adapter does not tell the id."""
        send: Callable[[Part], object] = self.adapter.send
        if isinstance(sent := send(part), Sent):
            return sent
        raise TypeError(f"send must return a Sent, and returned a {type(sent).__name__}")

    def _send_again(self, part: Part, taken: Taken) -> Sent:
        """Send a part that may have arrived already: ask first, where the network can be asked."""
        if self.adapter.capabilities.idempotent:
            return self._send(part)
        if self.adapter.finds:
            return self.adapter.find(part) or self._send(part)
        # Once for each press of Retry: an attempt after it that died asks the agent again.
        told_to = taken.replayed and not taken.crashes
        if self.patience.ask_when_uncertain and not told_to:
            raise Permanent(MAY_HAVE_ARRIVED)
        return self._send(part)

    def _parts(
        self, taken: Taken, reply: Reply, address: Address, choices: Choices
    ) -> Sequence[tuple[Part, Sequence[LinkedFile]]]:
        """Each part with the files that are still to be fetched for it."""
        able = self.adapter.capabilities
        rich = self.renderer.render(choices.text, able.styles)
        planned = parts.planned(rich, reply.files, able, self.files.largest)
        if not planned:
            raise Permanent("The reply has neither text nor a file")
        made = [(self._part(taken, reply, address, piece), piece.files) for piece in planned]
        last, files = made[-1]
        return [*made[:-1], (replace(last, buttons=choices.buttons), files)]

    def _part(self, taken: Taken, reply: Reply, address: Address, piece: parts.Piece) -> Part:
        name = ids.part_id(taken.id, piece.number)
        answered = ids.external_id(self.channel.name, reply.in_reply_to)
        return Part(
            id=name,
            peer=address.peer,
            text=piece.text.text,
            spans=piece.text.spans,
            number=piece.number,
            total=piece.total,
            reply_to=answered if piece.number == 1 else "",
            thread=address.thread,
            context=address.context,
            sender=reply.sender,
            callback_url=f"{self.adapter.site.webhook_url}?part={quote(name, safe='')}",
        )


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

    def deliver(self, lease: Lease, taken: Taken) -> Done:
        ids = [
            name for number in sorted(taken.subject.parts) for name in taken.subject.parts[number]
        ]
        if not taken.subject.parts:
            if taken.subject.was_uncertain:  # withdrawn before it was sent again
                say(self.lanes, self.channel, lease, taken, MAY_STILL_SEE)
            return Done()
        if not self.adapter.deletes or not ids:
            self._say(lease, taken, f"{self.channel.config.adapter} cannot take a message back")
            return Done()
        told, route = bodies.read_deletion(taken.body, taken.version).peer, taken.route
        peer = route.peer or told  # an address that Chatwoot made up was resolved
        place = Place(peer, route.thread or "", route.context or {})
        for name in ids:
            # A note is left once: of several refusals the first is told.
            try:
                self.adapter.delete(place, name)
            except Permanent as error:
                self._say(lease, taken, error.reason)
        return Done()

    def _say(self, lease: Lease, taken: Taken, why: str) -> None:
        say(self.lanes, self.channel, lease, taken, still_seen(why))


def say(lanes: Lanes, channel: Channel, lease: Lease, taken: Taken, words: str) -> None:
    """Leave a private note in the conversation, once for each message."""
    destination = ids.chatwoot_destination(channel.account.name)
    conversation = int(lease.lane.key)
    note = notes.deletion_note(
        taken.id, channel.name, conversation, destination=destination, text=words
    )
    lanes.add_note(note)
