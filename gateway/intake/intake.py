"""Stores what comes in from outside, durably, before it is answered with 200."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import redis

from gateway.adapter import Adapter
from gateway.chatwoot.agent_initiated import is_made_up
from gateway.chatwoot.events import (
    AgentStoppedTyping,
    AgentTyping,
    ContactChanged,
    ConversationCreated,
    Event,
    Ignored,
    MarkedFailed,
    MessageDeleted,
    MessageUpdated,
    Reply,
    SentElsewhere,
    StatusChanged,
)
from gateway.config import Channel
from gateway.intake.doorbell import Doorbell
from gateway.intake.entries import (
    MINUTE,
    deletion_entry,
    inbound_entry,
    reply_entry,
    retry_check_entry,
)
from gateway.intake.indicators import IndicatorQueue
from gateway.lanes import CursorMove, Entry, KeyValues, Lanes, Ledger, Routes, ids
from gateway.lanes.watermark import watermark_of
from gateway.model import Inbound, Place, Receipt, only_items
from gateway.storage.memory_guard import MemoryGuard


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a webhook's or a poll's items."""

    ids: tuple[str, ...] = ()
    """Of the new messages."""
    repeated: int = 0
    receipts: int = 0
    outcomes: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Found:
    """A reply that was found in Chatwoot."""

    reply: Reply
    age: float
    """Seconds."""
    shown: str
    """Its status in Chatwoot, which is «failed» if the webhook found nobody."""


class Intake:
    """Turns values into entries of lanes. Threads may share it.

    Every method raises redis.RedisError if nothing can be stored: then the answer must not be 200.
    """

    def __init__(self, lanes: Lanes, doorbell: Doorbell) -> None:
        self._lanes = lanes
        self._ledger = Ledger(lanes.client)
        self._routes = Routes(lanes.client)
        self._values = KeyValues(lanes.client)
        self._doorbell = doorbell
        self._memory = MemoryGuard(lanes.client)
        self._indicators = IndicatorQueue(lanes.client)

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
        known = [self._ledger.record_receipt(channel.name, receipt) for receipt in receipts]
        if "noted" in known:  # Chatwoot may have to be told
            self._doorbell.ring_if_idle()
        entries = [inbound_entry(channel, message) for message in messages]
        outcomes = self._append(entries, move) if entries or move else ()
        new = tuple(e.id for e, how in zip(entries, outcomes, strict=True) if how == "new")
        self._acknowledge_presses(channel, messages)
        return Stored(new, outcomes.count("duplicate"), len(receipts), outcomes)

    def recover(self, channel: Channel, found: Sequence[Found]) -> tuple[bool, ...]:
        """Store, in one step, replies whose webhook may never have come. Whether each was new."""
        entries = [_found_entry(channel, each) for each in found]
        outcomes = self._append(entries) if entries else ()
        was_new = tuple(outcome == "new" for outcome in outcomes)
        # That their conversation began may have been told as little as they were.
        missed = [each.reply for each, new in zip(found, was_new, strict=True) if new]
        for peer, conversation in {(reply.peer, reply.conversation) for reply in missed}:
            self._record_conversation(channel, peer, conversation)
        return was_new

    def take_event(self, channel: Channel, event: Event) -> str:
        """Store an event of Chatwoot. Returns what was done with it, for the log and the count."""
        match event:
            case Ignored() | ContactChanged():
                outcome = _ignored(event)
            case _ if event.inbox != channel.config.inbox:
                outcome = "ignored:another inbox"
            case Reply():
                [outcome] = self._append([reply_entry(channel, event)])
                outcome = {"new": "accepted", "duplicate": "repeated"}.get(outcome, outcome)
            case MessageDeleted():
                outcome = self._withdraw(channel, event)
            case MessageUpdated() | MarkedFailed() | SentElsewhere():
                outcome = self._take_standing(channel, event)
            case StatusChanged(status="resolved"):
                outcome = self._note_resolved(channel, event)
            case ConversationCreated():
                outcome = self._note_new_conversation(channel, event)
            case AgentTyping() | AgentStoppedTyping():
                outcome = self._indicate_typing(channel, event)
            case _:
                outcome = _ignored(event)
        return outcome

    def _acknowledge_presses(self, channel: Channel, messages: Sequence[Inbound]) -> None:
        """Let a worker acknowledge pressed buttons soon, also those pressed twice."""
        pressed = [message for message in messages if message.press]
        with suppress(redis.RedisError):  # the choices themselves are stored
            for message in pressed:
                self._indicators.push_press(channel.name, message)
        if pressed:
            self._doorbell.ring_if_idle()

    def _note_new_conversation(self, channel: Channel, event: ConversationCreated) -> str:
        if not self._record_conversation(channel, event.peer, event.conversation):
            return "ignored:ConversationCreated"
        return "noted:conversation_started"

    def _record_conversation(self, channel: Channel, peer: str, conversation: int) -> bool:
        """The customer's next message goes into the newest conversation with them, as on Chatwoot's
        own channels. A thread stays where it is: its lane has another name. So does a conversation
        with a made-up address, which becomes known with its first reply: it has no lane yet."""
        lane = ids.inbound_lane(channel.name, peer)
        return self._routes.record_conversation_started(lane, conversation)

    def _note_sent_elsewhere(self, channel: Channel, event: SentElsewhere) -> str:
        """The customer has this message already, and must not get it from us: also not when an
        agent presses Retry, which takes off whatever says so."""
        self._ledger.forbid(ids.reply_id(channel.name, event.message))
        if event.is_failed:
            return self._restore(channel, event.as_failed())
        return "ignored:sent_elsewhere"

    def _note_resolved(self, channel: Channel, event: StatusChanged) -> str:
        """The customer's next message looks for its conversation again."""
        for peer in {event.peer, self._place(channel, event).peer}:
            lane = ids.inbound_lane(channel.name, peer)
            self._routes.forget_conversation(lane, str(event.conversation))
        return "noted:resolved"

    def _indicate_typing(self, channel: Channel, event: AgentTyping | AgentStoppedTyping) -> str:
        """Queue the indicator; a worker shows it if one is free in time."""
        if isinstance(event, AgentStoppedTyping):
            taken = self._indicators.cancel_typing(channel.name, event.conversation)
            return "noted:typing_ended" if taken else _ignored(event)
        place = self._place(channel, event)
        if channel.adapter.show_typing is Adapter.show_typing or is_made_up(place.peer):
            return "ignored:AgentTyping"
        if not self._indicators.push_typing(channel.name, event.conversation, place):
            return "ignored:AgentTyping"
        self._doorbell.ring_if_idle()
        return "noted:typing"

    def _append(self, entries: Sequence[Entry], move: CursorMove | None = None) -> tuple[str, ...]:
        self._memory.require()
        appended = self._lanes.append(entries, move=move)
        if appended.ring and appended.new:
            self._doorbell.ring()
        return appended.outcomes

    def _take_standing(
        self, channel: Channel, event: MessageUpdated | MarkedFailed | SentElsewhere
    ) -> str:
        """How a message stands in Chatwoot now; it is not new to be sent."""
        match event:
            case MarkedFailed():
                return self._restore(channel, event)
            case SentElsewhere():
                return self._note_sent_elsewhere(channel, event)
            case MessageUpdated(message=reply, external_error=None):
                return self._check_retry(channel, reply)
            case _:
                return self._note_marked_failed(channel, event.message)

    def _check_retry(self, channel: Channel, reply: Reply) -> str:
        """Chatwoot's Retry button delivers nothing by itself: it only takes the error off a reply.
        Our own statuses do that too, and webhooks come late: so Chatwoot has to be asked.

        Most updates are of replies that did not fail (a mark that they were read), or from before
        our time (two contacts are merged): one or two reads tell, and nothing else is done."""
        failed = self._ledger.is_failed(ids.reply_id(channel.name, reply.message))
        if failed is False or (failed is None and not self._may_be_missed(channel, reply)):
            return "ignored:MessageUpdated"
        look = retry_check_entry(channel, reply)
        self._memory.require()
        if not self._ledger.check_retry(ids.reply_id(channel.name, reply.message), look):
            return "ignored:MessageUpdated"
        self._doorbell.ring_if_idle()
        return "accepted:retry_check"

    def _may_be_missed(self, channel: Channel, reply: Reply) -> bool:
        mark = watermark_of(self._values, channel.name)
        return mark is None or mark.is_below(reply.message, reply.written_at)

    def _note_marked_failed(self, channel: Channel, reply: Reply) -> str:
        """Chatwoot marks a reply as failed, for good, when a webhook about it is answered late."""
        match self._ledger.record_marked_failed(ids.reply_id(channel.name, reply.message)):
            case "noted":
                self._doorbell.ring_if_idle()
                return "noted:marked_failed"
            case "unknown":  # the webhook that failed was the one that told of it
                return self._check_retry(channel, reply)
            case _:
                return "ignored:MessageUpdated"

    def _restore(self, channel: Channel, event: MarkedFailed) -> str:
        """Whatever Chatwoot says of it, the message is there: that is told once more."""
        self._memory.require()
        self._ledger.restore(
            ids.reply_id(channel.name, event.message),
            ids.status_lane(channel.name, event.conversation),
            ids.chatwoot_destination(channel.account.name),
        )
        self._doorbell.ring_if_idle()
        return "noted:marked_failed"

    def _place(self, channel: Channel, event: StatusChanged | AgentTyping) -> Place:
        """Where the last reply went: not to the conversation's own address, if Chatwoot made that
        up because an agent began, or if an agent put another in its place."""
        lane = ids.reply_lane(channel.name, event.conversation)
        route = self._routes.get(lane)
        peer = (route.peer if is_made_up(event.peer) else route.changed_peer) or event.peer
        return Place(peer, route.thread or "", route.context or {})

    def _withdraw(self, channel: Channel, event: MessageDeleted) -> str:
        reply, deletion = ids.reply_id(channel.name, event.id), deletion_entry(channel, event)
        outcome = self._ledger.withdraw(reply, deletion)
        if outcome == "delete":
            self._doorbell.ring_if_idle()
        return f"withdrawn:{outcome}"


def _found_entry(channel: Channel, found: Found) -> Entry:
    # Also if Chatwoot shows it as failed: it may have been recovered before, and forgotten.
    reply, age = found.reply, found.age
    entry = reply_entry(channel, reply)
    entry = replace(entry, age=age, shown=found.shown, written=reply.written_at)
    return entry if age <= MINUTE else replace(entry, brake=None)  # a backlog is not a flood


def _ignored(event: Event) -> str:
    return f"ignored:{event.kind if isinstance(event, Ignored) else type(event).__name__}"
