"""What the gateway is told by a Chatwoot webhook, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.chatwoot.files import LinkedFile
from gateway.chatwoot.values import Contact
from gateway.model import Addressee


@dataclass(frozen=True, slots=True)
class AgentMessage:
    """A reply for the customer: an agent's, a rule's, a bot's, or one of Chatwoot's own texts."""

    id: int
    conversation: int
    """The number that agents see; it counts per account."""
    inbox: int
    peer: str
    """The customer's address; a random UUID where an agent began the conversation."""
    contact: Contact
    """Phone, e-mail and identifier, by which such a UUID can be resolved."""
    content: str
    """Markdown, as the agent wrote it; cards, forms and the like are spelled out."""
    content_type: str
    created_at: float
    """Unix seconds."""
    sender: str = ""
    """The agent's name; empty for Chatwoot's own texts."""
    is_template: bool = False
    """Greeting, out-of-office or survey: written by Chatwoot itself."""
    is_automatic: bool = False
    """No agent wrote it: such a text, a rule's message, or a bot's."""
    in_reply_to: int | None = None
    """The Chatwoot message that it answers."""
    in_reply_to_external_id: str = ""
    """The source id of the message that it answers."""
    choices: tuple[str, ...] = ()
    """What it lets the customer choose from; `content` has them numbered."""
    attachments: tuple[LinkedFile, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    """The conversation's additional attributes that are texts."""


@dataclass(frozen=True, slots=True)
class MessageUpdated:
    """Something about a reply changed: its status, its failure, a translation, a survey's answer.

    The dashboard's Retry button is heard only so: a reply that had failed comes without its error.
    """

    message: AgentMessage
    external_error: str | None
    """Why it failed, as stored in Chatwoot; None if it is not marked so."""

    @property
    def inbox(self) -> int:
        return self.message.inbox


@dataclass(frozen=True, slots=True)
class MessageDeleted:
    """An agent deleted a reply."""

    id: int
    conversation: int
    inbox: int
    peer: str


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """A conversation was opened, resolved, snoozed or given to a bot («pending»)."""

    conversation: int
    status: str
    inbox: int
    peer: str


@dataclass(frozen=True, slots=True)
class ConversationCreated:
    """A conversation began: by an agent, by a rule, or by us."""

    conversation: int
    inbox: int
    peer: str


@dataclass(frozen=True, slots=True)
class AgentTyping:
    """An agent is writing a reply."""

    conversation: int
    inbox: int
    peer: str


@dataclass(frozen=True, slots=True)
class AgentStoppedTyping:
    """An agent who was writing a reply does so no more."""

    conversation: int
    inbox: int
    peer: str


@dataclass(frozen=True, slots=True)
class ContactChanged:
    """A contact's phone, e-mail or identifier changed. Told by account webhooks only."""

    account: int
    contact: Contact
    """As Chatwoot knows them now."""
    before: Addressee
    """The same, before the change."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing to relay. `kind` is one of few words, fit for a counter."""

    kind: str


Event: TypeAlias = (
    AgentMessage
    | MessageUpdated
    | MessageDeleted
    | StatusChanged
    | ConversationCreated
    | AgentTyping
    | AgentStoppedTyping
    | ContactChanged
    | Ignored
)
