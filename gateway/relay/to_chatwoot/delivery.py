"""Customers' messages on their way to Chatwoot: each exactly once, into the right conversation.

`InboundDelivery.deliver` tells the whole step: where does the message go, was it posted already,
post it, remember.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gateway.chatwoot import interactive
from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.errors import Missing, Stumbled, TooMuch
from gateway.chatwoot.values import Message, MessageType
from gateway.config import Channel
from gateway.errors import Retry, Uncertain
from gateway.lanes import Lane, Lanes, Lease, Ledger, Pace, Routes, Taken, bodies, ids
from gateway.lanes.route import Route, Survey
from gateway.model import Inbound
from gateway.relay.delivery import Done, NotNow
from gateway.relay.floods import Floods
from gateway.relay.retry_policy import Patience
from gateway.relay.to_chatwoot.contact_sync import ContactSync
from gateway.relay.to_chatwoot.exactly_once import (
    Attempt,
    ExactlyOnce,
    Kept,
    Spot,
    spots_of,
    where_unknown,
)
from gateway.relay.to_chatwoot.files import CustomerFiles, Fetched, Share
from gateway.relay.to_chatwoot.new_conversations import NewConversations, is_incomplete
from gateway.relay.to_chatwoot.person_locks import PersonLocks
from gateway.relay.to_chatwoot.place import ChatwootPlace, must_search, remembered_place, route_to
from gateway.relay.to_chatwoot.quoting import Reference, find_reference, with_quotation
from gateway.relay.to_chatwoot.routing import Routing
from gateway.relay.to_chatwoot.subjects import with_subject
from gateway.relay.to_chatwoot.surveys import Surveys

LATE = 300.0
"""Seconds after which a message also tells when it was written."""


@dataclass(frozen=True, slots=True)
class Posted:
    """A customer's message as it stands in Chatwoot, and where it was to go."""

    kept: Kept
    place: ChatwootPlace


@dataclass(frozen=True, slots=True)
class InboundDelivery:
    """Posts the messages of one channel to its Chatwoot inbox."""

    lanes: Lanes
    ledger: Ledger
    routes: Routes
    floods: Floods
    channel: Channel
    chatwoot: Chatwoot
    pace: Pace
    routing: Routing
    new_conversations: NewConversations
    person_locks: PersonLocks
    exactly_once: ExactlyOnce
    files: CustomerFiles
    surveys: Surveys
    contact_sync: ContactSync

    @property
    def patience(self) -> Patience:
        return Patience()  # a customer's message is never given up because Chatwoot is away

    def deliver(self, lease: Lease, taken: Taken) -> Done:
        """Post a customer's message, in several shares if Chatwoot does not take it in one."""
        message = bodies.read_inbound(taken.body, taken.version)
        self.exactly_once.require_wait(taken)
        if (survey := self._answer_survey(taken, message)) is not None:
            return Done(routes={lease.lane: Route(survey=survey)}, external=f"to {survey.message}")
        text = with_subject(taken.route, message, _with_choice(taken.route, message))
        text = _with_time(message, text)
        *earlier, last = self.files.shares(self.channel.name, message, text)
        for share in earlier:
            if share.number not in taken.parts:
                self._deliver_share(Attempt(self.lanes, lease, taken), message, share)
                # Without an id: those of a channel's parts are the network's.
                self.lanes.record_part(lease, taken.id, share.number, share.total, [])
                # What an earlier attempt left uncertain was this share: none behind it was begun,
                # if anything is known of that attempt.
                taken = replace(taken, uncertain=taken.after_failover)
        posted = self._deliver_share(Attempt(self.lanes, lease, taken), message, last)
        return self._remember(lease.lane, taken, message, posted)

    def _answer_survey(self, taken: Taken, message: Inbound) -> Survey | None:
        """The survey that the message has answered; None if it is to be posted as a message."""
        answer = self.surveys.answer_in(taken, message)
        if answer is None:
            return None
        source = ids.source_id(self.channel.name, message.id)
        if taken.uncertain and self.exactly_once.find(spots_of(taken), source):
            return None  # Chatwoot refused it then, and it was posted
        return answer.survey if self.surveys.submit(answer) else None

    def _deliver_share(self, attempt: Attempt, message: Inbound, share: Share) -> Posted:
        """Find the share where an earlier attempt may have left it, or else post it."""
        taken, remembered = attempt.taken, remembered_place(attempt.taken.route)
        if copies := self.exactly_once.find(spots_of(taken), share.source):
            return Posted(self.exactly_once.keep_oldest(copies), remembered)
        place = self._search(attempt, message) if must_search(taken.route) else remembered
        unknown = where_unknown(
            taken, place.conversation_id, 0 if place.contact_id else place.newest
        )
        if copies := self.exactly_once.find(unknown, share.source):
            return Posted(self.exactly_once.keep_oldest(copies), place)
        made = self._post(attempt, message, share, place)
        spot = Spot(place.conversation_id, place.newest)
        kept = self.exactly_once.keep_oldest_of_all(taken, spot, share.source, made)
        return Posted(kept, place)

    def _search(self, attempt: Attempt, message: Inbound) -> ChatwootPlace:
        """Find the contact and conversation in Chatwoot, or make them."""
        with self.person_locks.alone_with(attempt.lease, message):
            try:
                place = self.routing.find_or_create(attempt, message)
            except Missing as gone:
                # Merged or deleted between two calls, or the inbox itself: that can be mended.
                raise Retry(gone.reason, detail=gone.detail) from gone
        found = place.conversation
        if found is not None and (place.is_new or is_incomplete(attempt.taken, found)):
            self.new_conversations.complete(attempt, found)
        return place

    def _post(
        self, attempt: Attempt, message: Inbound, share: Share, place: ChatwootPlace
    ) -> Message:
        """Announce where the share goes, and post it there with its files."""
        reference = self._find_reference(message, share, place)
        share = replace(share, text=with_quotation(reference.quoted, share.text))
        spot = Spot(place.conversation_id, place.newest)
        with self.files.fetch_all(share, attempt.taken) as fetched:
            # Taking a message with a remembered place has announced it already.
            if attempt.taken.uncertain or place.contact_id or share.attachments or share.number > 1:
                attempt.announce(str(spot))
            try:
                return self._create_message(message, share, fetched, reference, spot.conversation)
            except Stumbled as refused:
                return self.exactly_once.find_despite_refusal(refused, spot, share.source)
            except Uncertain as lost:
                if not fetched.attached:
                    raise
                return self.exactly_once.find_despite_silence(lost, spot, share.source)

    def _find_reference(self, message: Inbound, share: Share, place: ChatwootPlace) -> Reference:
        if share.number > 1:
            return Reference()
        return find_reference(self.ledger, self.channel.name, message, place.conversation_id)

    def _create_message(
        self,
        message: Inbound,
        share: Share,
        fetched: Fetched,
        reference: Reference,
        conversation: int,
    ) -> Message:
        try:
            return self.chatwoot.create_message(
                conversation,
                fetched.content,
                message_type=MessageType.INCOMING,
                source_id=share.source,
                content_attributes=reference.attributes,
                files=fetched.attached,
            )
        except TooMuch as refused:
            if not fetched.attached:
                raise
            less = fetched.left_out(refused.reason)
            return self._create_message(message, share, less, reference, conversation)
        except Missing as gone:
            # Merged or deleted since: if we had it from memory, look for the right one again.
            lane = ids.inbound_lane(self.channel.name, message.peer, message.thread)
            if self.routes.forget_conversation(lane, str(conversation)):
                raise NotNow(0.1) from gone
            raise Retry(gone.reason, detail=gone.detail) from gone

    def _remember(self, lane: Lane, taken: Taken, message: Inbound, posted: Posted) -> Done:
        """Bring the contact up to date, and tell what to remember for the next messages."""
        shown, place = posted.kept.message, posted.place
        route = route_to(place, taken.route)
        # Found elsewhere, it says nothing of where the customer's next message belongs.
        if shown.conversation_id == place.conversation_id:
            route = replace(route, conversation=shown.conversation_id, newest=shown.id)
        route = route.updated(self.contact_sync.sync(taken, message, place))
        if message.subject:
            route = replace(route, subject=message.subject)
        if (asked := taken.route.survey) is not None and asked.open:
            route = replace(route, survey=replace(asked, open=False))
        if taken.route.brake is not None:
            self.floods.tell(message.peer, shown.conversation_id)
        routes = {lane: route}
        if message.context or message.thread:
            replies = ids.reply_lane(self.channel.name, shown.conversation_id)
            routes[replies] = Route(thread=message.thread, context=message.context)
        return Done(routes=routes, doubled=posted.kept.removed, external=str(shown.id))


def _with_choice(route: Route, message: Inbound) -> str:
    """The text; of one that is the number of an offered option, also which that is."""
    return interactive.with_choice(message.text, route.choices or ())


def _with_time(message: Inbound, text: str) -> str:
    """`text`; of a message that comes late, also when it was really written."""
    if message.sent_at is None or time.time() - message.sent_at < LATE:
        return text
    written = datetime.fromtimestamp(message.sent_at, UTC)
    return f"{text}\n\n_(written {written:%Y-%m-%d %H:%M} UTC)_"
