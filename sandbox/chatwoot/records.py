"""The rows of the stand-in. Times are Unix seconds; None means «never»."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any, TypeAlias

JSON: TypeAlias = dict[str, Any]

MESSAGE_TYPES = ("incoming", "outgoing", "activity", "template")
STATUSES = ("sent", "delivered", "read", "failed")
PRIORITIES = (None, "low", "medium", "high", "urgent")
CONVERSATION_STATUSES = ("open", "resolved", "pending", "snoozed")


@dataclass(slots=True)
class Account:
    id: int
    name: str
    created_at: float = 0.0
    last_display_id: int = 0
    """Conversations are counted per account; every other id counts for the installation."""
    features: list[str] = field(default_factory=list)
    """Those that are switched on."""
    labels: list[str] = field(default_factory=list)
    """Titles of the labels that were made in the settings. Conversations may have others too."""


@dataclass(slots=True)
class User:
    id: int
    name: str
    email: str
    token: str
    roles: dict[str, str]
    """Account id (as text, for JSON) to `administrator` or `agent`."""
    pubsub_token: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    """Subscribes to the event stream."""

    def role_in(self, account_id: int) -> str | None:
        return self.roles.get(str(account_id))


@dataclass(slots=True)
class Bot:
    id: int
    name: str
    account_id: int
    token: str
    outgoing_url: str | None = None
    """Where it is told of what happens in its inboxes."""
    secret: str = ""


@dataclass(slots=True)
class Team:
    id: int
    account_id: int
    name: str
    member_ids: list[int] = field(default_factory=list)
    created_at: float = 0.0
    updated_at: float = 0.0


@dataclass(slots=True)
class Inbox:
    id: int
    account_id: int
    name: str
    channel_id: int
    webhook_url: str | None
    identifier: str
    hmac_token: str
    secret: str
    created_at: float
    updated_at: float
    channel_type: str = "Channel::Api"
    lock_to_single_conversation: bool = False
    hmac_mandatory: bool = False
    additional_attributes: JSON = field(default_factory=dict)
    settings: JSON = field(default_factory=dict)
    member_ids: list[int] = field(default_factory=list)
    bot_id: int | None = None


@dataclass(slots=True)
class Contact:
    id: int
    account_id: int
    created_at: float
    updated_at: float
    name: str = ""
    email: str | None = None
    phone_number: str | None = None
    identifier: str | None = None
    blocked: bool = False
    additional_attributes: JSON = field(default_factory=dict)
    custom_attributes: JSON = field(default_factory=dict)
    last_activity_at: float | None = None
    avatar: str | None = None
    """The key of the picture's blob."""

    @property
    def is_known(self) -> bool:
        """Whether there is a way to reach the contact: a visitor becomes a lead then."""
        social = any(key.startswith("social_") for key in self.additional_attributes)
        return bool(self.email or self.phone_number or social)


@dataclass(slots=True)
class ContactInbox:
    id: int
    contact_id: int
    inbox_id: int
    source_id: str
    pubsub_token: str
    created_at: float
    updated_at: float
    hmac_verified: bool = False


@dataclass(slots=True)
class Conversation:
    id: int
    display_id: int
    account_id: int
    inbox_id: int
    contact_id: int
    contact_inbox_id: int
    uuid: str
    created_at: float
    updated_at: float
    last_activity_at: float
    status: str = "open"
    priority: str | None = None
    snoozed_until: float | None = None
    assignee_id: int | None = None
    team_id: int | None = None
    labels: list[str] = field(default_factory=list)
    additional_attributes: JSON = field(default_factory=dict)
    custom_attributes: JSON = field(default_factory=dict)
    agent_last_seen_at: float | None = None
    assignee_last_seen_at: float | None = None
    contact_last_seen_at: float | None = None
    waiting_since: float | None = None
    first_reply_created_at: float | None = None
    cached_label_list: str | None = None
    """The labels in one text, as soon as a second change was made in the same breath."""


@dataclass(slots=True)
class Attachment:
    id: int
    blob: str
    file_type: str


@dataclass(slots=True)
class Message:
    id: int
    account_id: int
    inbox_id: int
    conversation_id: int
    """The conversation's row, not its display id."""
    message_type: str
    content: str | None
    created_at: float
    updated_at: float
    sender_type: str | None = None
    """`User`, `AgentBot`, `Contact` or None."""
    sender_id: int | None = None
    private: bool = False
    status: str = "sent"
    content_type: str = "text"
    content_attributes: JSON = field(default_factory=dict)
    additional_attributes: JSON = field(default_factory=dict)
    source_id: str | None = None
    processed_content: str | None = None
    """What was said before variables were filled in; of a mail, what it quotes."""
    attachments: list[Attachment] = field(default_factory=list)

    def is_from_contact(self, contact_id: int) -> bool:
        return self.sender_type == "Contact" and self.sender_id == contact_id

    @property
    def survey_response(self) -> JSON:
        """What the customer answered; empty without an answer, or if this is not a survey."""
        submitted = self.content_attributes.get("submitted_values")
        if self.content_type != "input_csat" or not isinstance(submitted, dict):
            return {}
        return dict(submitted.get("csat_survey_response") or {})


@dataclass(slots=True)
class Webhook:
    id: int
    account_id: int
    url: str
    secret: str
    subscriptions: list[str]
    name: str | None = None
    inbox_id: int | None = None


@dataclass(slots=True)
class Blob:
    """A stored file; `data` is base64, `ready_at` the time from which it can be fetched."""

    key: str
    name: str
    content_type: str
    size: int
    data: str
    ready_at: float


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way in."""

    name: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Event:
    """Something that changed. The payload is built later, from the rows as they are then."""

    name: str
    account_id: int
    inbox_id: int | None
    subject_id: int
    """The row it is about: a message's, a conversation's or a contact's."""
    details: JSON = field(default_factory=dict)
    """Further keys of the payload: changed_attributes, user, is_private."""
