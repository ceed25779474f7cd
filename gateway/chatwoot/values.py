"""What Chatwoot's API tells, as values. Each reads itself from JSON and ignores unknown keys.

The shapes are those of Chatwoot's views (`app/views/api/v1`), checked against 4.10 and later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import SecretStr

from gateway.chatwoot.fields import Fields, WrongShape
from gateway.chatwoot.files import LinkedFile, files_in
from gateway.chatwoot.interactive import Item, items_in
from gateway.model import Addressee

PROFILES = "social_profiles"
"""The additional attribute with the names that a person has on other networks."""
OURS = "gw:"
"""Every source id that the gateway gives a message begins so: by it our own posts are known."""


class MessageType(StrEnum):
    """What a message is. The API writes it as a number, webhooks as a word."""

    INCOMING = "incoming"
    OUTGOING = "outgoing"
    ACTIVITY = "activity"
    TEMPLATE = "template"
    """Greeting, out-of-office and survey texts that Chatwoot writes to the customer by itself."""
    NOTE = "note"
    """Seen by agents only: in Chatwoot an outgoing message that is private."""


_NUMBERED = (MessageType.INCOMING, MessageType.OUTGOING, MessageType.ACTIVITY, MessageType.TEMPLATE)


@dataclass(frozen=True, slots=True)
class Installation:
    """What a Chatwoot says of itself to everybody (`app/controllers/api_controller.rb`)."""

    version: str
    time: float | None
    """Unix seconds by its own clock, whole ones; None if it does not tell."""
    queue_works: bool
    """Whether its job queue answers: without it no webhook leaves."""

    @classmethod
    def read(cls, fields: Fields) -> Installation:
        return cls(
            version=fields.text("version"),
            time=_moment(fields.optional_text("timestamp")),
            queue_works=fields.optional_text("queue_services") in {"", "ok"},
        )


@dataclass(frozen=True, slots=True)
class Profile:
    """Whose token it is."""

    id: int
    name: str
    roles: Mapping[int, str]
    """Account id → role («administrator», «agent», or a custom one)."""
    pubsub_token: SecretStr
    """With which the event stream is subscribed to."""

    @classmethod
    def read(cls, fields: Fields) -> Profile:
        accounts = fields.optional_objects("accounts")
        return cls(
            id=fields.integer("id"),
            name=fields.optional_text("name"),
            roles={account.integer("id"): account.optional_text("role") for account in accounts},
            pubsub_token=SecretStr(fields.optional_text("pubsub_token")),
        )


@dataclass(frozen=True, slots=True)
class Inbox:
    id: int
    name: str = ""
    channel_type: str = ""
    """«Channel::Api» for the inboxes that the gateway can serve."""
    lock_to_single_conversation: bool = False
    webhook_url: str = ""
    identifier: str = ""
    """Its name in the addresses that need no token."""
    secret: SecretStr | None = None
    """The key of webhook signatures: told to administrators, by Chatwoot 4.13 and newer."""

    @classmethod
    def read(cls, fields: Fields) -> Inbox:
        secret = fields.optional_text("secret")
        return cls(
            id=fields.integer("id"),
            name=fields.optional_text("name"),
            channel_type=fields.optional_text("channel_type"),
            lock_to_single_conversation=fields.optional_flag("lock_to_single_conversation"),
            webhook_url=fields.optional_text("webhook_url"),
            identifier=fields.optional_text("inbox_identifier"),
            secret=SecretStr(secret) if secret else None,
        )


@dataclass(frozen=True, slots=True)
class ContactInbox:
    """Under which address a contact is known in an inbox."""

    inbox_id: int
    source_id: str


@dataclass(frozen=True, slots=True)
class Contact:
    id: int
    name: str = ""
    phone: str = ""
    email: str = ""
    identifier: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """The additional attributes that are texts (numbers as texts)."""
    profiles: Mapping[str, str] = field(default_factory=dict)
    """Network → the person's name there, as the contact's panel shows it."""
    blocked: bool = False
    """Agents do not want to hear of them: their conversations are born resolved, and stay so."""
    contact_inboxes: tuple[ContactInbox, ...] = ()
    thumbnail: str = ""
    """The address of the contact's picture, which changes with it; empty without a picture."""

    @classmethod
    def read(cls, fields: Fields) -> Contact:
        links = fields.optional_objects("contact_inboxes")
        attributes = fields.optional_object("additional_attributes")
        return cls(
            id=fields.integer("id"),
            name=fields.optional_text("name"),
            phone=fields.optional_text("phone_number"),
            email=fields.optional_text("email"),
            identifier=fields.optional_text("identifier"),
            attributes=dict(attributes.texts()),
            profiles=_profiles_in(attributes),
            blocked=fields.optional_flag("blocked"),
            contact_inboxes=tuple(
                ContactInbox(link.object("inbox").integer("id"), link.text("source_id"))
                for link in links
            ),
            thumbnail=fields.optional_text("thumbnail"),
        )

    @property
    def addressee(self) -> Addressee:
        """The contact, as an adapter sees whom it writes to first."""
        return Addressee(
            name=self.name,
            phone=self.phone,
            email=self.email,
            identifier=self.identifier,
            attributes=self.attributes,
        )

    def source_ids(self, inbox_id: int) -> tuple[str, ...]:
        """The addresses under which the contact is known in an inbox."""
        return tuple(link.source_id for link in self.contact_inboxes if link.inbox_id == inbox_id)


@dataclass(frozen=True, slots=True)
class Conversation:
    id: int
    """The number that agents see; it counts per account."""
    inbox_id: int
    status: str
    contact: Contact
    attributes: Mapping[str, str]
    """The additional attributes that are texts (ids as texts)."""
    source_id: str = ""
    """The customer's address. Chatwoot sends it with the newest message: empty without messages."""
    updated_at: float = 0.0
    """Unix seconds."""
    last_activity: float = 0.0
    """Unix seconds of the newest message."""
    newest_message: int = 0
    """Its id; 0 without messages."""
    labels: tuple[str, ...] = ()
    priority: str = ""
    """Empty if it has none."""
    uuid: str = ""
    """Its name in the addresses of surveys; webhooks do not tell it."""

    @classmethod
    def read(cls, fields: Fields) -> Conversation:
        messages = fields.optional_objects("messages")
        return cls(
            id=fields.integer("id"),
            inbox_id=fields.integer("inbox_id"),
            status=fields.text("status"),
            contact=Contact.read(fields.object("meta").object("sender")),
            attributes=dict(fields.optional_object("additional_attributes").texts()),
            source_id=_source_id_told_by(messages),
            updated_at=fields.optional_number("updated_at"),
            last_activity=fields.optional_number("last_activity_at"),
            newest_message=max([message.optional_integer("id") or 0 for message in messages] + [0]),
            labels=() if fields.values.get("labels") is None else fields.text_list("labels"),
            priority=fields.optional_text("priority"),
            uuid=fields.optional_text("uuid"),
        )

    @classmethod
    def read_webhook(cls, fields: Fields) -> Conversation:
        """As the webhook of one of its messages tells of it. No more is read than a reply needs:
        whatever else is odd must not keep it from the customer."""
        return cls(
            id=fields.integer("id"),
            inbox_id=fields.integer("inbox_id"),
            status=fields.optional_text("status"),
            contact=Contact.read(fields.object("meta").object("sender")),
            attributes=dict(fields.optional_object("additional_attributes").texts()),
            source_id=fields.object("contact_inbox").text("source_id"),
        )


def _profiles_in(attributes: Fields) -> dict[str, str]:
    profiles = attributes.values.get(PROFILES)
    return dict(Fields.of(profiles).texts()) if isinstance(profiles, dict) else {}


def _moment(timestamp: str) -> float | None:
    try:
        return datetime.strptime(timestamp, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _source_id_told_by(messages: tuple[Fields, ...]) -> str:
    for message in messages:
        link = message.optional_object("conversation").optional_object("contact_inbox")
        if source_id := link.optional_text("source_id"):
            return source_id
    return ""


@dataclass(frozen=True, slots=True)
class Message:
    id: int
    conversation_id: int
    message_type: MessageType
    content: str = ""
    content_type: str = "text"
    items: tuple[Item, ...] = ()
    """What it consists of besides its text: choices, cards, fields of a form, articles."""
    status: str = ""
    source_id: str = ""
    in_reply_to: int | None = None
    """The Chatwoot message that it answers."""
    in_reply_to_external_id: str = ""
    """The source id of the message that it answers."""
    external_error: str = ""
    deleted: bool = False
    external_echo: bool = False
    """The customer has it already: it was sent past the gateway. Retry takes this off."""
    feedback: str = ""
    """Of a survey: what the customer has written beside their rating."""
    sender_name: str = ""
    by_an_agent: bool = False
    """A person of the team wrote it: no rule, no bot, not Chatwoot itself."""
    attachments: tuple[LinkedFile, ...] = ()
    created_at: float = 0.0
    """Unix seconds."""

    @property
    def is_failed(self) -> bool:
        """Chatwoot shows it in red."""
        return self.status == "failed" or bool(self.external_error)

    @classmethod
    def read(cls, fields: Fields) -> Message:
        """From the API, which writes types and times as numbers."""
        number, created_at = fields.integer("conversation_id"), fields.optional_number("created_at")
        return cls._read(fields, number, _numbered_type(fields), created_at)

    @classmethod
    def read_webhook(cls, fields: Fields) -> Message:
        """From a webhook, which writes types as words and times in ISO 8601."""
        number = fields.object("conversation").integer("id")
        return cls._read(fields, number, named_type(fields), _unix_seconds(fields))

    @classmethod
    def _read(
        cls, fields: Fields, conversation_id: int, message_type: MessageType, created_at: float
    ) -> Message:
        attributes = fields.optional_object("content_attributes")
        sender = fields.optional_object("sender")
        return cls(
            id=fields.integer("id"),
            conversation_id=conversation_id,
            message_type=message_type,
            content=fields.optional_text("content"),
            content_type=fields.optional_text("content_type") or "text",
            items=items_in(attributes.values),
            status=fields.optional_text("status"),
            source_id=fields.optional_text("source_id"),
            in_reply_to=attributes.optional_integer("in_reply_to"),
            in_reply_to_external_id=attributes.optional_text("in_reply_to_external_id"),
            external_error=attributes.optional_text("external_error"),
            deleted=attributes.optional_flag("deleted"),
            external_echo=attributes.values.get("external_echo") in {True, "true"},
            feedback=survey_answer(fields).optional_text("feedback_message"),
            sender_name=sender.optional_text("name"),
            by_an_agent=sender.optional_text("type") == "user",
            attachments=files_in(fields),
            created_at=created_at,
        )


def survey_answer(message: Fields) -> Fields:
    """What the customer has answered to a survey; empty for any other message, and without one."""
    submitted = message.optional_object("content_attributes").values.get("submitted_values")
    if not isinstance(submitted, dict):  # forms submit lists
        return Fields.of({})
    return Fields.of(submitted).optional_object("csat_survey_response")


def named_type(fields: Fields) -> MessageType:
    """What the message of a webhook is."""
    word = fields.text("message_type")
    if fields.optional_flag("private"):
        return MessageType.NOTE
    try:
        return MessageType(word)
    except ValueError:
        raise WrongShape("message_type: unknown") from None


def _numbered_type(fields: Fields) -> MessageType:
    number = fields.integer("message_type")
    if not 0 <= number < len(_NUMBERED):
        raise WrongShape(f"message_type: {number} is unknown")
    return MessageType.NOTE if fields.optional_flag("private") else _NUMBERED[number]


def _unix_seconds(fields: Fields) -> float:
    try:
        moment = datetime.fromisoformat(fields.text("created_at"))
    except ValueError as error:
        if isinstance(error, WrongShape):
            raise
        raise WrongShape("created_at: expected a time in ISO 8601") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
