"""What comes in from outside is stored here, durably, before anybody is told «200»."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import redis

from gateway.adapter import Adapter
from gateway.chatwoot.agent_initiated import is_made_up
from gateway.chatwoot.events import (
    AgentMessage,
    AgentStoppedTyping,
    AgentTyping,
    ContactChanged,
    ConversationCreated,
    Event,
    Ignored,
    MessageDeleted,
    MessageUpdated,
    StatusChanged,
)
from gateway.config import Channel
from gateway.intake.doorbell import Bell
from gateway.intake.indicators import Hints
from gateway.lanes import Brake, CursorMove, Entry, Lanes, bodies, ids
from gateway.model import Inbound, Receipt, only_items
from gateway.storage.memory_guard import Room

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a webhook's or a poll's items."""

    ids: tuple[str, ...] = ()
    """Of the new messages."""
    repeated: int = 0
    receipts: int = 0
    outcomes: tuple[str, ...] = field(default=(), repr=False)


class Intake:
    """Turns values into entries of lanes. Threads may share it.

    Every method raises redis.RedisError if nothing can be stored: then the answer must not be 200.
    """

    def __init__(self, lanes: Lanes, bell: Bell) -> None:
        self._lanes = lanes
        self._bell = bell
        self._room = Room(lanes.client)
        self._hints = Hints(lanes.client)

    def take(
        self,
        channel: Channel,
        items: Iterable[Inbound | Receipt],
        *,
        move: CursorMove | None = None,
    ) -> Stored:
        """Store what a network brought; with `move`, a poller's cursor in the same step.

        Raises TypeError, with nothing stored, if an adapter brought something else.
        """
        found = only_items(items)
        messages = [item for item in found if isinstance(item, Inbound)]
        receipts = [item for item in found if isinstance(item, Receipt)]
        for receipt in receipts:
            self._lanes.receipt(channel.name, receipt)
        entries = [_inbound_entry(channel, message) for message in messages]
        outcomes = self._append(entries, move) if entries or move else ()
        new = tuple(e.id for e, how in zip(entries, outcomes, strict=True) if how == "new")
        self._heard(channel, messages)
        return Stored(new, outcomes.count("duplicate"), len(receipts), outcomes)

    def recover(self, channel: Channel, event: AgentMessage, *, age: float, shown: str) -> bool:
        """Store a reply whose webhook never came, `age` seconds old. False if it is known.

        `shown`: its status in Chatwoot, which is «failed» if the webhook found nobody.
        """
        # If its webhook failed, nobody has accepted it before.
        written = None if shown == "failed" else event.created_at
        entry = replace(reply_entry(channel, event), age=age, shown=shown, written=written)
        if age > MINUTE:  # what has gathered is no flood
            entry = replace(entry, brake=None)
        [outcome] = self._append([entry])
        return outcome == "new"

    def take_event(self, channel: Channel, event: Event) -> str:
        """Store what Chatwoot told. Returns what was done with it, for the log and the count."""
        match event:
            case Ignored() | ContactChanged():
                outcome = _ignored(event)
            case _ if event.inbox != channel.config.inbox:
                outcome = "ignored:another inbox"
            case AgentMessage():
                [outcome] = self._append([reply_entry(channel, event)])
                outcome = {"new": "accepted", "duplicate": "repeated"}.get(outcome, outcome)
            case MessageDeleted():
                outcome = self._withdraw(channel, event)
            case MessageUpdated(message=reply, external_error=None):
                outcome = self._suspect(channel, reply)
            case MessageUpdated(message=reply):
                outcome = self._reddened(channel, reply)
            case StatusChanged(status="resolved"):
                outcome = self._resolved(channel, event)
            case ConversationCreated():
                outcome = self._begun(channel, event)
            case AgentTyping() | AgentStoppedTyping():
                outcome = self._typing(channel, event)
            case _:
                outcome = _ignored(event)
        return outcome

    def _heard(self, channel: Channel, messages: Sequence[Inbound]) -> None:
        """Let a worker show, soon, that buttons were heard: also one that was pressed twice."""
        pressed = [message for message in messages if message.press]
        with suppress(redis.RedisError):  # the choices themselves are stored
            for message in pressed:
                self._hints.pressed(channel.name, message)
        if pressed:
            self._bell.ring_if_idle()

    def _begun(self, channel: Channel, event: ConversationCreated) -> str:
        """The customer's next message goes into the newest conversation with them, as on Chatwoot's
        own channels. A thread stays where it is: its lane has another name. So does a conversation
        with a made-up address, which becomes known with its first reply: there is no such lane."""
        lane = ids.inbound_lane(channel.name, event.peer)
        if not self._lanes.begun(lane, event.conversation):
            return "ignored:ConversationCreated"
        return "noted:begun"

    def _resolved(self, channel: Channel, event: StatusChanged) -> str:
        """The customer's next message looks for its conversation again."""
        for peer in {event.peer, self._peer(channel, event)}:
            lane = ids.inbound_lane(channel.name, peer)
            self._lanes.forget(lane, str(event.conversation))
        return "noted:resolved"

    def _typing(self, channel: Channel, event: AgentTyping | AgentStoppedTyping) -> str:
        """A worker shows it, if one gets round to it in time."""
        if isinstance(event, AgentStoppedTyping):
            taken = self._hints.take_away(channel.name, event.conversation)
            return "noted:typing ended" if taken else _ignored(event)
        peer = self._peer(channel, event)
        if channel.adapter.typing is Adapter.typing or is_made_up(peer):
            return "ignored:AgentTyping"
        if not self._hints.typing(channel.name, event.conversation, peer):
            return "ignored:AgentTyping"
        self._bell.ring_if_idle()
        return "noted:typing"

    def _append(self, entries: Sequence[Entry], move: CursorMove | None = None) -> tuple[str, ...]:
        self._room.require()
        appended = self._lanes.append(entries, move=move)
        if appended.ring and appended.new:
            self._bell.ring()
        return appended.outcomes

    def _suspect(self, channel: Channel, reply: AgentMessage) -> str:
        """Chatwoot's Retry button delivers nothing by itself: it only takes the error off a reply.
        Our own statuses do that too, and webhooks come late: so Chatwoot has to be asked."""
        look = look_entry(channel, reply)
        self._room.require()
        if not self._lanes.suspect(ids.reply_id(channel.name, reply.id), look):
            return "ignored:MessageUpdated"
        self._bell.ring_if_idle()
        return "accepted:look"

    def _reddened(self, channel: Channel, reply: AgentMessage) -> str:
        """Chatwoot marks a reply as failed, for good, when a webhook about it is answered late."""
        match self._lanes.redden(ids.reply_id(channel.name, reply.id)):
            case "noted":
                self._bell.ring_if_idle()
                return "noted:reddened"
            case "unknown":  # the webhook that failed was the one that told of it
                return self._suspect(channel, reply)
            case _:
                return "ignored:MessageUpdated"

    def _peer(self, channel: Channel, event: StatusChanged | AgentTyping) -> str:
        """Where the last reply went: not to the conversation's own address, if Chatwoot made that
        up because an agent began, or if an agent put another in its place."""
        lane = ids.reply_lane(channel.name, event.conversation)
        known = "peer" if is_made_up(event.peer) else "moved"
        return self._lanes.recall(lane, known) or event.peer

    def _withdraw(self, channel: Channel, event: MessageDeleted) -> str:
        name = ids.reply_id(channel.name, event.id)
        delete = Entry(
            id=f"{name}:delete",
            lane=ids.reply_lane(channel.name, event.conversation),
            destination=ids.channel_destination(channel.name),
            kind="delete",
            body=bodies.write(bodies.Deletion(event.peer)),
            order=event.id * ids.OPERATIONS + 1,
            status_destination=ids.chatwoot_destination(channel.account.name),
        )
        return f"withdrawn:{self._lanes.withdraw(name, delete)}"


def _ignored(event: Event) -> str:
    return f"ignored:{event.kind if isinstance(event, Ignored) else type(event).__name__}"


def _inbound_entry(channel: Channel, message: Inbound) -> Entry:
    return Entry(
        id=ids.inbound_id(channel.name, message.id),
        lane=ids.inbound_lane(channel.name, message.peer, message.thread),
        destination=ids.chatwoot_destination(channel.account.name),
        kind="in",
        body=bodies.write(message),
        brake=None if _is_late(message) else _brake(channel, message.peer, MINUTE),
        written=message.sent_at,
    )


def _is_late(message: Inbound) -> bool:
    """What has gathered while the network or we were away is no flood."""
    return message.sent_at is not None and time.time() - message.sent_at > MINUTE


def _brake(channel: Channel, peer: str, window: float) -> Brake | None:
    most = channel.config.brake
    return Brake(ids.brake(channel.name, peer), most, window) if most else None


def reply_entry(channel: Channel, event: AgentMessage) -> Entry:
    """The entry of an agent's reply, from Chatwoot's event about it."""
    return waiting_entry(channel, _reply_body(channel, event))


def look_entry(channel: Channel, event: AgentMessage) -> Entry:
    """The entry of a look at Chatwoot: did an agent press Retry below this reply?"""
    return Entry(
        id=ids.look_id(ids.reply_id(channel.name, event.id)),
        lane=ids.status_lane(channel.name, event.conversation),
        destination=ids.chatwoot_destination(channel.account.name),
        kind="retry",
        body=bodies.write(_reply_body(channel, event)),
    )


def _reply_body(channel: Channel, event: AgentMessage) -> bodies.Reply:
    return bodies.Reply(
        message=event.id,
        conversation=event.conversation,
        peer=event.peer,
        text=event.content,
        reply_to=ids.external_id(channel.name, event.in_reply_to_external_id),
        sender=event.sender,
        automatic=event.is_automatic,
        written_at=event.created_at,
        attributes=event.attributes,
        choices=event.choices,
        files=event.attachments,
        contact=event.contact.id,
        to=event.contact.addressee,
    )


def waiting_entry(channel: Channel, reply: bodies.Reply) -> Entry:
    """The entry of a reply that waits to be sent."""
    return Entry(
        id=ids.reply_id(channel.name, reply.message),
        lane=ids.reply_lane(channel.name, reply.conversation),
        destination=ids.channel_destination(channel.name),
        kind="out",
        body=bodies.write(reply),
        settle=channel.config.settle,
        order=reply.message * ids.OPERATIONS,
        # Two machines that answer each other need not be quick to go on for ever.
        brake=_brake(channel, reply.peer, 10 * MINUTE) if reply.automatic else None,
        status_destination=ids.chatwoot_destination(channel.account.name),
    )
