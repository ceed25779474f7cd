"""Customers' messages on their way to Chatwoot: each exactly once, into the right conversation."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from gateway.chatwoot import interactive
from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.errors import Missing, TooMuch
from gateway.chatwoot.values import Inbox, Kind, Message
from gateway.config import Channel
from gateway.errors import LeaseLost, Retry
from gateway.http import check_fence
from gateway.lanes import Lanes, Lease, Pace, Taken, bodies, ids
from gateway.model import Inbound
from gateway.relay.addressing import Addressing
from gateway.relay.cached import Cached
from gateway.relay.delivery import Done, NotNow
from gateway.relay.floods import tell_of_flood
from gateway.relay.retry_policy import Patience
from gateway.relay.to_chatwoot.contact_sync import ContactSync
from gateway.relay.to_chatwoot.exactly_once import ExactlyOnce, Kept, Spot, spots_of
from gateway.relay.to_chatwoot.files import CustomerFiles, Fetched, Share
from gateway.relay.to_chatwoot.new_conversations import NewConversations, was_interrupted
from gateway.relay.to_chatwoot.quoting import Answer, answer, quoting
from gateway.relay.to_chatwoot.routing import Place, resolve

LATE = 300.0
BLOCKED_LOOK = 60.0
"""Seconds after which it is looked whether a blocked contact still is: no webhook tells."""
PERSON_SECONDS = 120.0
"""More than finding and making a contact and a conversation may take, with every call slow: eight
at most, with the lists of teams and agents."""


@dataclass(frozen=True, slots=True)
class InboundDelivery:
    """Posts the messages of one channel to its Chatwoot inbox."""

    lanes: Lanes
    channel: Channel
    chatwoot: Chatwoot
    inbox: Cached[Inbox]
    pace: Pace
    addressing: Addressing
    contact_sync: ContactSync
    files: CustomerFiles
    new_conversations: NewConversations
    exactly_once: ExactlyOnce

    @property
    def patience(self) -> Patience:
        return Patience()  # a customer's message is never given up because Chatwoot is away

    def deliver(self, lease: Lease, taken: Taken) -> Done:
        message = bodies.read_inbound(taken.body, taken.version)
        self.exactly_once.wait(taken)
        text = _with_time(message, _with_choice(taken, message))
        *earlier, last = self.files.shares(self.channel.name, message, text)
        for share in earlier:
            if share.number not in taken.parts:
                self._delivered(lease, taken, message, share)
                # Without an id: those of a channel's parts are the network's.
                self.lanes.record_part(lease, taken.id, share.number, share.total, [])
                # What an earlier attempt left uncertain was this share: none behind it was begun,
                # if anything is known of that attempt.
                taken = replace(taken, uncertain=taken.after_failover)
        return self._delivered(lease, taken, message, last)

    def _delivered(self, lease: Lease, taken: Taken, message: Inbound, share: Share) -> Done:
        if (found := self.exactly_once.found(spots_of(taken), share.source)) is not None:
            return self._done(lease, taken, message, found, _place(taken))
        place = self._place(lease, taken, message)
        if taken.uncertain and not taken.target:
            # Nothing is known of the earlier attempt, not even when it was.
            anywhere = Spot(place.conversation_id, 0 if place.contact_id else place.newest)
            if (found := self.exactly_once.found([anywhere], share.source)) is not None:
                return self._done(lease, taken, message, found, place)
        answered = self._answered(message, share, place)
        share = replace(share, text=quoting(answered.quoted, share.text))
        spot = Spot(place.conversation_id, place.newest)
        with self.files.at_hand(share, taken) as fetched:
            if taken.uncertain or place.contact_id or share.attachments or share.number > 1:
                self.exactly_once.announce(lease, taken, str(spot))
            posted = self.exactly_once.posted(
                spot,
                share.source,
                partial(self._post, message, share, fetched, answered, spot.conversation),
                upload=bool(fetched.attached),
            )
        kept = self.exactly_once.settled(taken, share.source, posted)
        return self._done(lease, taken, message, kept, place)

    def _answered(self, message: Inbound, share: Share, place: Place) -> Answer:
        if share.number > 1:
            return Answer()
        return answer(self.lanes, self.channel.name, message, place.conversation_id)

    def _post(
        self, message: Inbound, share: Share, fetched: Fetched, answered: Answer, conversation: int
    ) -> Message:
        try:
            return self.chatwoot.create_message(
                conversation,
                fetched.content,
                kind=Kind.INCOMING,
                source_id=share.source,
                content_attributes=answered.attributes,
                files=fetched.attached,
            )
        except TooMuch as refused:
            if not fetched.attached:
                raise
            less = fetched.left_out(refused.reason)
            return self._post(message, share, less, answered, conversation)
        except Missing as gone:
            # Merged or deleted since: if we had it from memory, look for the right one again.
            lane = ids.inbound_lane(self.channel.name, message.peer, message.thread)
            if self.lanes.forget_conversation(lane, str(conversation)):
                raise NotNow(0.1) from gone
            raise Retry(gone.reason, detail=gone.detail) from gone

    def _place(self, lease: Lease, taken: Taken, message: Inbound) -> Place:
        if "conversation" in taken.route and not _was_blocked(taken):
            return _place(taken)

        def before(step: str) -> None:
            self.exactly_once.announce(lease, taken, step)

        with self._alone_with(lease, message):
            try:
                place = resolve(
                    self.chatwoot,
                    self.inbox.get(),
                    message,
                    before,
                    self.addressing.first_of,
                    begin=self.new_conversations.begin,
                    former=self.addressing.former,
                )
            except Missing as gone:
                # Merged or deleted between two calls, or the inbox itself: that can be mended.
                raise Retry(gone.reason, detail=gone.detail) from gone
        if (found := place.conversation) and (place.begun or was_interrupted(taken, found)):
            self.new_conversations.finish(taken, found, before)
        return place

    @contextmanager
    def _alone_with(self, lease: Lease, message: Inbound) -> Iterator[None]:
        """Two lanes can be one person: no two may look for, and then make, the same contact."""
        # The lane's own name: whoever takes the lane over from a dead worker has its locks too.
        token, person = str(lease.lane), message.person
        names = [
            f"person:{self.channel.account.name}:{value.lower()}"
            for value in sorted({message.peer, person.phone, person.email, person.identifier})
            if value
        ]
        try:
            if not all(self.lanes.lock(name, token, seconds=PERSON_SECONDS) for name in names):
                raise NotNow(0.3)
            yield
        finally:
            with suppress(LeaseLost):  # then they are the other worker's
                check_fence()
                for name in names:
                    self.lanes.unlock(name, token)

    def _done(
        self,
        lease: Lease,
        taken: Taken,
        message: Inbound,
        kept: Kept,
        place: Place,
    ) -> Done:
        memo, posted = {}, kept.message
        # Found elsewhere, it says nothing of where the customer's next message belongs.
        if posted.conversation_id == place.conversation_id:
            memo = {"conversation": str(posted.conversation_id), "newest": str(posted.id)}
        if place.contact_id:
            memo["contact"] = str(place.contact_id)
        memo.update(self.contact_sync.kept_fresh(taken, message, place))
        memo.update(_memo_of_the_search(taken, place))
        if "brake" in taken.route:
            tell_of_flood(self.lanes, self.channel, message.peer, posted.conversation_id)
        routes = {lease.lane: memo}
        if message.context or message.thread:
            replies = ids.reply_lane(self.channel.name, posted.conversation_id)
            context = json.dumps(dict(message.context), ensure_ascii=False)
            routes[replies] = {"thread": message.thread, "context": context}
        return Done(routes=routes, doubled=kept.removed, external=str(posted.id))


def _place(taken: Taken) -> Place:
    """Where the lane's messages go, as remembered."""
    conversation, newest = (int(taken.route.get(key, 0)) for key in ("conversation", "newest"))
    return Place(contact_id=0, conversation_id=conversation, newest=newest)


def _was_blocked(taken: Taken) -> bool:
    """Whether the conversation was chosen because the contact is blocked, a while ago: unblocked
    since, they get a new one instead of one that was resolved."""
    looked = float(taken.route.get("blocked") or 0)
    return 0 < looked < time.time() - BLOCKED_LOOK


def _memo_of_the_search(taken: Taken, place: Place) -> dict[str, str]:
    """When a contact was seen to be blocked, and which conversations were there to choose from."""
    memo = {}
    if place.conversation_id and "newer" in taken.route:
        memo["looked"] = taken.route["newer"]
    blocked = place.contact is not None and place.contact.blocked
    if place.contact_id and (blocked or "blocked" in taken.route):
        memo["blocked"] = str(int(time.time())) if blocked else ""
    return memo


def _with_choice(taken: Taken, message: Inbound) -> str:
    """The text; of one that is the number of an offered option, also which that is."""
    return interactive.with_choice(message.text, json.loads(taken.route.get("choices") or "[]"))


def _with_time(message: Inbound, text: str) -> str:
    """`text`; of a message that comes late, also when it was really written."""
    if message.sent_at is None or time.time() - message.sent_at < LATE:
        return text
    written = datetime.fromtimestamp(message.sent_at, UTC)
    return f"{text}\n\n_(written {written:%Y-%m-%d %H:%M} UTC)_"
