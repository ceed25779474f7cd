"""A env with two channels in one Chatwoot account: phones, and letters that keep threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import redis

from gateway.adapter import ChannelConfig, email_of, phone_of
from gateway.chatwoot.events import ContactChanged
from gateway.chatwoot.webhook import read
from gateway.config import Channel
from gateway.intake.contact_changes import ContactChanges
from gateway.lanes import KeyValues, Routes
from gateway.lanes.address_changes import AddressChanges
from gateway.model import Addressee, Capabilities, Inbound, Part, Person
from sandbox.chatwoot import ChatwootStandIn, payloads
from sandbox.chatwoot.contacts import create_contact, update_contact
from sandbox.chatwoot.records import Event
from tests.relay.env import Env, Postcards, opened, settings_for

PHONE, EMAIL = "+15551230001", "ada@example.com"


class Phones(Postcards):
    """Reaches people by their phone numbers."""

    def address(self, to: Addressee) -> str:
        return phone_of(to)


class Letters(Postcards):
    """Reaches people by e-mail, each thread a conversation of its own."""

    capabilities = Capabilities(threads=True)

    def address(self, to: Addressee) -> str:
        return email_of(to)


@dataclass
class TwoChannelEnv:
    """What the tests act on and look at, beside the env itself."""

    env: Env

    @property
    def chatwoot(self) -> ChatwootStandIn:
        return self.env.chatwoot

    def channel(self, name: str) -> Channel:
        return self.env.settings.channels[name]

    def sent(self, channel: str) -> list[Part]:
        network = self.env.deliveries.adapters[channel]
        assert isinstance(network, Postcards)
        return network.sent

    def add_contact(self, **fields: Any) -> int:
        with self.chatwoot.store.changing():
            return create_contact(self.chatwoot.store, 1, {"name": "Ada", **fields}).id

    def edit_contact(self, contact: int, **fields: Any) -> None:
        store = self.chatwoot.store
        with store.changing():
            update_contact(store, store.contacts.get(contact), fields)

    def contact_changes(self, contact: int, **fields: Any) -> str:
        """An agent edits a contact; the gateway is told of it, by an account webhook."""
        return self.tell_of_contact(self.noted(lambda: self.edit_contact(contact, **fields))[-1])

    def noted(self, act: Callable[[], object]) -> list[Any]:
        """What an account webhook would send of an act: the bodies, built when it is done."""
        events: list[Event] = []
        store = self.chatwoot.store
        store.listeners.append(events.extend)
        act()
        store.listeners.remove(events.extend)
        with store.reading():
            return [payloads.payload(store, event) for event in events]

    def tell_of_contact(self, body: Any) -> str:
        event, channel = read(body), self.channel("phones")
        if not isinstance(event, ContactChanged):
            return self.env.intake.take_event(channel, event)
        deliveries = self.env.deliveries
        changes = ContactChanges(
            self.env.settings,
            deliveries.adapters,
            Routes(self.env.store),
            AddressChanges(KeyValues(self.env.store)),
        )
        return changes.take(channel.account, event)

    def contacts(self) -> list[Any]:
        with self.chatwoot.store.reading():
            return list(self.chatwoot.store.contacts)

    def agent_begins(self, channel: str, contact: int, text: str) -> int:
        """Start a conversation in a channel's inbox; the gateway is told of it."""
        inbox = self.channel(channel).config.inbox
        number = self.chatwoot.agent_start_conversation(contact, inbox, text)
        self.tell(channel, number, self.chatwoot.messages(number)[-1]["id"])
        return number

    def agent_replies(self, channel: str, conversation: int, text: str) -> int:
        message = self.chatwoot.agent_reply(conversation, text)
        self.tell(channel, conversation, message)
        return message

    def tell(self, channel: str, conversation: int, message: int) -> None:
        store = self.chatwoot.store
        with store.reading():
            payload = payloads.message_webhook(store, store.messages.get(message))
        event = read({**payload, "event": "message_created"})
        self.env.intake.take_event(self.channel(channel), event)

    def agent_resolves(self, channel: str, conversation: int) -> None:
        self.chatwoot.agent_resolve(conversation)
        self.told_of(channel, conversation, "conversation_status_changed")

    def told_of(self, channel: str, conversation: int, event: str) -> str:
        """Chatwoot tells of a conversation."""
        return self.env.told_of(conversation, event, self.channel(channel))

    def customer_writes(self, channel: str, text: str, peer: str, **more: Any) -> None:
        more.setdefault("person", Person(name="Ada"))
        message = Inbound(id=text, peer=peer, text=text, **more)
        self.env.intake.take(self.channel(channel), [message])

    def deliver(self) -> None:
        self.env.drain()

    def texts(self, conversation: int) -> list[str]:
        return [m["content"] for m in self.chatwoot.messages(conversation)]

    def source_ids(self, contact: int, channel: str) -> set[str]:
        inbox = self.channel(channel).config.inbox
        with self.chatwoot.store.reading():
            rows = self.chatwoot.store.contact_inboxes
            mine = [row for row in rows if row.contact_id == contact and row.inbox_id == inbox]
            return {row.source_id for row in mine}

    def forget_everything(self) -> None:
        """Redis is lost."""
        self.env.store.flushdb()

    def requests(self) -> int:
        return self.chatwoot.requests.total()


@pytest.fixture
def pair(redis_url: str, store: redis.Redis) -> Iterator[TwoChannelEnv]:
    with ChatwootStandIn() as chatwoot:
        kinds = {"phones": Phones, "letters": Letters}
        inboxes = {name: chatwoot.add_inbox(name, None) for name in kinds}
        settings = settings_for(chatwoot, inboxes["phones"], redis_url)
        account = settings.accounts["main"]
        channels = {
            name: Channel(
                name,
                ChannelConfig(adapter=name, inbox=inboxes[name], settle=0.0),
                kind,
                account,
            )
            for name, kind in kinds.items()
        }
        with opened(replace(settings, channels=channels), chatwoot, store) as built:
            yield TwoChannelEnv(built)
