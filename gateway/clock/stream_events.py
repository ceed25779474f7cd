"""Stores what a frame of Chatwoot's event stream tells, as if its webhook had come."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from gateway.chatwoot import event_stream
from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.errors import Missing
from gateway.chatwoot.event_stream import ContactTold, ConversationTold, ReplyTold
from gateway.chatwoot.events import Event, Ignored, MarkedFailed, MessageDeleted, reply_number
from gateway.chatwoot.fields import Fields
from gateway.chatwoot.values import Contact
from gateway.clock.known_conversations import KnownConversations
from gateway.config import Channel, ChatwootAccount
from gateway.intake.intake import Intake
from gateway.intake.known_contacts import KnownContacts
from gateway.observability import logs

log = logging.getLogger(__name__)


class StreamEvents:
    """Takes the frames of one account's stream, one after the other, in one thread.

    `channels`: those of the account.
    """

    def __init__(
        self,
        account: ChatwootAccount,
        channels: Iterable[Channel],
        chatwoot: Chatwoot,
        intake: Intake,
        contacts: KnownContacts,
    ) -> None:
        self._account = account.account
        self._channels = {channel.config.inbox: channel for channel in channels}
        self._chatwoot = chatwoot
        self._intake = intake
        self._contacts = contacts
        self._conversations = KnownConversations(chatwoot)

    def forget(self) -> None:
        """A new connection begins: what changed between two was not told."""
        self._conversations = KnownConversations(self._chatwoot)

    def take(self, frame: Fields) -> None:
        """Store what the frame tells.

        Raises `Malformed` if it cannot be read, and, with nothing stored, redis.RedisError or the
        `DeliveryError` of a question to Chatwoot.
        """
        told = event_stream.read(frame, self._account, self._channels)
        match told:
            case ReplyTold():
                self._take_reply(told)
            case ConversationTold(conversation, event):
                self._conversations.put(conversation)
                self._store(conversation.inbox_id, event)
            case ContactTold(contact):
                self._take_contact(contact)
            case MessageDeleted() | MarkedFailed():
                self._store(told.inbox, told)
            case Ignored():  # most of them: nobody is asked, and nothing is written
                log.debug("ignored %s", told.kind)

    def _take_contact(self, contact: Contact) -> None:
        self._conversations.put_contact(contact)
        self._contacts.update(contact)

    def _take_reply(self, told: ReplyTold) -> None:
        try:
            conversation = self._conversations.get(told.message.conversation_id)
        except Missing:  # deleted since
            return
        self._contacts.update(conversation.contact)
        self._store(told.inbox, told.event(conversation))

    def _store(self, inbox: int, event: Event) -> None:
        channel = self._channels[inbox]
        outcome = self._intake.take_event(channel, event)
        ignored = outcome.startswith("ignored")
        logs.event(
            log,
            "ignored" if ignored else "accepted",
            level=logging.DEBUG if ignored else logging.INFO,
            channel=channel.name,
            chatwoot_event=type(event).__name__,
            message=reply_number(event),
            outcome=outcome,
        )
