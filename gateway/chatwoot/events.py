"""What the gateway is told by a Chatwoot webhook, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.chatwoot.files import LinkedFile
from gateway.chatwoot.values import Contact
from gateway.model import Addressee


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply for the customer: an agent's, a rule's, a bot's, or one of Chatwoot's own texts.

    It waits in its lane as it is: its fields are stored under these names.
    """

    message: int
    conversation: int
    """The number that agents see; it counts per account."""
    peer: str
    """The customer's address; a random UUID where an agent began the conversation."""
    text: str
    """Markdown, as the agent wrote it; cards, forms and the like are spelled out."""
    inbox: int = 0
    in_reply_to: str = ""
    """The source id of the message that it answers."""
    sender: str = ""
    """The agent's name; empty for Chatwoot's own texts."""
    automatic: bool = False
    """No agent wrote it: a rule's message, a bot's, or one of Chatwoot's own texts."""
    written_at: float = 0.0
    """Unix seconds, by Chatwoot's clock."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Of the conversation, those that are texts: the thread and context, if our own memory of them
    is lost."""
    choices: tuple[str, ...] = ()
    """What it lets the customer choose from; the text has them numbered."""
    survey: bool = False
    """It asks the customer for a rating."""
    survey_page: str = ""
    """The path of the page on which it is answered, if the text does not have its address."""
    files: tuple[LinkedFile, ...] = ()
    contact: int = 0
    """Chatwoot's id of the contact."""
    to: Addressee | None = None
    """The same contact, as Chatwoot knew it when the reply was written."""


@dataclass(frozen=True, slots=True)
class MessageUpdated:
    """Something about a reply changed: its status, its failure, a translation, a survey's answer.

    The dashboard's Retry button is heard only so: a reply that had failed comes without its error.
    """

    message: Reply
    external_error: str | None
    """Why it failed, as stored in Chatwoot; None if it is not marked so."""

    @property
    def inbox(self) -> int:
        return self.message.inbox


@dataclass(frozen=True, slots=True)
class MarkedFailed:
    """Chatwoot shows a message as failed that nobody is to send: a customer's, or a private note.

    It does so by itself, when it could not call us about it.
    """

    message: int
    conversation: int
    inbox: int


@dataclass(frozen=True, slots=True)
class MessageDeleted:
    """An agent deleted a reply."""

    id: int
    conversation: int
    inbox: int
    peer: str


@dataclass(frozen=True, slots=True)
class SentElsewhere:
    """An outgoing message that the customer has already: what the owner typed on their phone, say,
    stored in Chatwoot by another integration."""

    message: int
    conversation: int
    inbox: int
    is_failed: bool = False
    """Chatwoot could not tell us of it, and shows it as failed."""

    def as_failed(self) -> MarkedFailed:
        return MarkedFailed(self.message, self.conversation, self.inbox)


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
    Reply
    | MessageUpdated
    | MarkedFailed
    | MessageDeleted
    | SentElsewhere
    | StatusChanged
    | ConversationCreated
    | AgentTyping
    | AgentStoppedTyping
    | ContactChanged
    | Ignored
)


def reply_number(event: Event) -> int | None:
    """Chatwoot's id of the reply that an event is about; None if it is about none."""
    match event:
        case Reply(message=number) | MessageUpdated(message=Reply(message=number)):
            return number
        case MarkedFailed(message=number) | SentElsewhere(message=number):
            return number
        case MessageDeleted(id=number):
            return number
        case _:
            return None
