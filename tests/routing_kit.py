"""The search for a message's place over a given client, without the rest of the gateway."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pydantic import SecretStr

from gateway.adapter import Adapter, ChannelConfig
from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.values import Contact, Inbox
from gateway.config import Channel, ChatwootAccount
from gateway.model import Inbound
from gateway.relay.cached import Cached
from gateway.relay.to_chatwoot.contacts import Contacts
from gateway.relay.to_chatwoot.new_conversations import NewConversations
from gateway.relay.to_chatwoot.place import ChatwootPlace
from gateway.relay.to_chatwoot.routing import Routing


@dataclass(frozen=True, slots=True)
class Steps:
    """Hears what is announced."""

    hear: Callable[[str], None] = lambda step: None

    def announce(self, step: str) -> None:
        self.hear(step)


@dataclass(frozen=True, slots=True)
class FormerAddresses:
    """Knows of former addresses only."""

    former: Sequence[str] = field(default=())

    def first_address(self, contact: Contact) -> str:
        return ""

    def former_addresses(self, peer: str) -> Sequence[str]:
        return self.former


def resolve(
    chatwoot: Chatwoot,
    inbox: Inbox,
    inbound: Inbound,
    *,
    steps: Steps = Steps(),
    former: Sequence[str] = (),
) -> ChatwootPlace:
    """Where the message goes."""
    account = ChatwootAccount(name="main", url="http://chatwoot", account=1, token=SecretStr("t"))
    config = ChannelConfig(adapter="cards", inbox=inbox.id)
    routing = Routing(
        chatwoot,
        inbox=Cached(lambda: inbox),
        addresses=FormerAddresses(former),
        contacts=Contacts(chatwoot, inbox.id),
        new_conversations=NewConversations(
            Channel("cards", config, Adapter, account),
            chatwoot,
            teams=Cached(lambda: ()),
            agents=Cached(lambda: ()),
        ),
    )
    return routing.find_or_create(steps, inbound)
