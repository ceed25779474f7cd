"""What the author of a channel writes against: an `Adapter`, and the settings it declares.

An adapter translates between one kind of network and the gateway's values, nothing else. Order,
retries, dedupe, splitting, storage and Chatwoot are the core's business.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

import phonenumbers
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from gateway.chatwoot.conversation_defaults import ConversationDefaults
from gateway.errors import DeliveryError, Forbidden, Permanent
from gateway.http import Answer, OddAddress, Session, read_address
from gateway.model import (
    Addressee,
    Attachment,
    Batch,
    Capabilities,
    Inbound,
    Part,
    Place,
    Portrait,
    Receipt,
    Sent,
    Unread,
    WebRequest,
)
from gateway.one_or_several import one_or_several
from gateway.runtime import Runtime
from gateway.storable import storable

__all__ = [
    "Adapter",
    "ChannelConfig",
    "Finding",
    "PhoneNumber",
    "SecretStr",
    "Site",
    "Verdict",
    "WebAddress",
    "e164",
    "email_of",
    "phone_of",
    "same",
    "web_address",
]


def web_address(text: str) -> str:
    """An http(s) address without a trailing slash. Raises ValueError without showing it."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or " " in text:
        raise ValueError("must be an address such as https://chat.example.org")
    if parts.query or parts.fragment or parts.username or parts.password:
        raise ValueError("must be a plain address, without a user, a query or a fragment")
    try:
        parts.port  # noqa: B018 (it is only read when it is asked for)
    except ValueError:
        raise ValueError("must have a port from 0 to 65535") from None
    try:
        read_address(text)
    except OddAddress as error:
        raise ValueError("must be a plain address such as https://chat.example.org") from error
    return text.rstrip("/")


WebAddress = Annotated[str, AfterValidator(web_address)]


def e164(number: str, *, region: str | None = None) -> str:
    """`number` in E.164 («+15551230001»). Raises ValueError if it cannot be a phone number.

    `region` (ISO 3166, «DE») is needed for a number written without its country.
    """
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException as error:
        raise ValueError(
            f"{number!r} is not a phone number with its country code: {error}"
        ) from error
    if not phonenumbers.is_possible_number(parsed):
        raise ValueError(f"{number!r} is not a phone number: wrong length")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


PhoneNumber = Annotated[str, AfterValidator(e164)]


def phone_of(to: Addressee) -> str:
    """The phone number to write to, in E.164. Raises `Permanent` that asks the agent for one."""
    if not to.phone:
        raise Permanent("The contact has no phone number: fill it in, with +, then press Retry")
    try:
        return e164(to.phone)
    except ValueError as error:
        reason = "The contact's phone number is not valid: write it with + and its country code"
        raise Permanent(reason) from error


def email_of(to: Addressee) -> str:
    """The e-mail address to write to, in lower case. Raises `Permanent` that asks for one."""
    if not to.email:
        raise Permanent("The contact has no e-mail address: fill it in, then press Retry")
    return to.email.lower()


def same(expected: str, given: str) -> bool:
    """Whether a secret or signature is the right one, in a time that does not tell how much of it
    is. `given` may be anything."""
    return hmac.compare_digest(
        expected.encode(errors="backslashreplace"), given.encode(errors="backslashreplace")
    )


def _none_empty(secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if not all(secret.get_secret_value().strip() for secret in secrets):
        raise ValueError("must not be empty; leave it out if Chatwoot does not sign")
    return secrets


SigningSecrets = Annotated[
    tuple[SecretStr, ...], BeforeValidator(one_or_several), AfterValidator(_none_empty)
]


class ChannelConfig(BaseModel):
    """The settings that every channel has; an adapter's `Config` adds its own.

    Use `SecretStr` for whatever must not be seen: it is redacted in every log, error and page.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    adapter: str = Field(description="the kind of network: telegram, email, twilio …")
    inbox: int = Field(gt=0, description="the id of the API inbox in Chatwoot")
    chatwoot: str = Field(default="", description="which [chatwoot.NAME]; needed if several")
    signing_secret: SigningSecrets = Field(
        default=(),
        description="the secret with which Chatwoot 4.13 and newer signs this inbox's webhooks; a "
        "list if there are several. If it is set, a webhook without the right signature is refused",
    )
    settle: float = Field(
        default=0.25,
        ge=0,
        le=3600,
        description="seconds a reply waits before it is sent, so that a swapped pair is put right; "
        "longer, and it is the time an agent has to take a reply back",
    )
    on_uncertain: Literal["resend", "ask"] = Field(
        default="resend",
        description="what to do with a reply that may or may not have arrived",
    )
    age_limit: float | None = Field(
        default=None,
        gt=0,
        description="seconds after which a reply that could not be sent is failed; by default "
        "what suits the network",
    )
    delay_notice: float = Field(
        default=60.0,
        ge=0,
        description="seconds that a reply may wait before its agents are told so in a private "
        "note; 0 for never",
    )
    conversation_defaults: ConversationDefaults = Field(
        default=ConversationDefaults(),
        description="a table of what a conversation is given when it begins",
    )
    survey: bool = Field(
        default=True,
        description="whether Chatwoot's surveys can be answered on the network, by a button or a "
        "digit; else only on the page that they link to",
    )
    survey_hint: str = Field(
        default="Or answer with a number from 1 (poor) to 5 (excellent).",
        description="what stands below a survey where the network has no buttons",
    )
    brake: int = Field(
        default=60,
        ge=0,
        description="messages of one customer within a minute, or automatic replies to one within "
        "ten; more, and they are passed on slowly until a minute of silence; 0 for no limit",
    )


@dataclass(frozen=True, slots=True)
class Site:
    """Where an adapter finds itself."""

    channel: str
    """The channel's name."""
    webhook_url: str
    """The public address of the channel's webhook, without a query."""
    secret: str
    """The channel's own webhook secret (letters and digits), the same in every process. For
    networks that hand a secret back with each webhook."""
    runtime: Runtime
    """The process's event loop, for async libraries."""


class Verdict(StrEnum):
    """How bad a finding is."""

    GOOD = "good"
    CHANGED = "changed"
    """It was not as it should be, and is now (`python -m gateway setup` only)."""
    NOTE = "note"
    """It works; somebody should know it."""
    BAD = "bad"
    """Messages do not, or soon will not, get through."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found when one thing was looked at. Both texts are for whoever runs the gateway."""

    check: str
    """What was looked at, in a word or two: «webhook», «login»."""
    verdict: Verdict
    text: str
    cure: str = ""
    """What exactly to do about it."""

    def __post_init__(self) -> None:
        for name in ("check", "text", "cure"):
            object.__setattr__(self, name, storable(getattr(self, name)))

    @classmethod
    def good(cls, check: str, text: str) -> Finding:
        return cls(check, Verdict.GOOD, text)

    @classmethod
    def changed(cls, check: str, text: str) -> Finding:
        return cls(check, Verdict.CHANGED, text)

    @classmethod
    def note(cls, check: str, text: str, cure: str) -> Finding:
        return cls(check, Verdict.NOTE, text, cure)

    @classmethod
    def bad(cls, check: str, text: str, cure: str) -> Finding:
        return cls(check, Verdict.BAD, text, cure)


class Adapter:
    """One kind of network. Subclasses name their settings and capabilities, and translate.

    Write `send`, and either `verify` and `parse` (the network calls us) or `poll` (we ask it).
    An instance serves one channel and lives as long as its process. `send` is called by several
    threads at once, for different peers.
    """

    Config: ClassVar[type[ChannelConfig]] = ChannelConfig
    capabilities: ClassVar[Capabilities] = Capabilities()
    account_settings: ClassVar[tuple[str, ...]] = ()
    """The settings that tell the channel's account from any other: no two channels may have the
    same. Empty: unknown."""
    deadline: ClassVar[float] = 20.0
    """Seconds that one call to the network may take in all."""
    verifies_headers: ClassVar[bool] = False
    """Whether `verify` needs no more than method, address and headers. Then it is called before the
    body is read, which costs a stranger's webhook nothing."""
    config: ChannelConfig

    def __init__(self, config: ChannelConfig, site: Site) -> None:
        self.config = config
        self.site = site
        self.http = Session(deadline=self.deadline, explain=self.explain)

    def verify(self, request: WebRequest) -> None:
        """Raise `Forbidden` unless the webhook really comes from the network.

        There is no default «allow»: a channel without this method takes no webhooks.
        """
        raise Forbidden(f"channel {self.site.channel} takes no webhooks")

    def parse(self, request: WebRequest) -> Iterable[Inbound | Receipt | Unread]:
        """Read a verified webhook. Nothing for a kind that is not handled. `Unread`, and a `read`
        beside, where one thing that cannot be read must not hold up the others.

        Raises `Malformed` if the body is not what the network sends.
        """
        raise NotImplementedError

    def read(self, unread: Unread) -> Iterable[Inbound | Receipt]:
        """Make items of one thing that `parse`, `poll` or `catch_up` brought unread. Optional.

        Called by several threads at once. Whatever it raises sets this one thing aside, at once or,
        for a network that cannot be asked (`Retry`, `Uncertain`), after three attempts.
        """
        raise NotImplementedError

    def answer(self, request: WebRequest) -> tuple[str, str]:
        """The body and content type of our 200, for networks that want to read something."""
        return "", "text/plain"

    def poll(self, cursor: str | None) -> Batch:
        """Wait up to half a minute for something new after `cursor` (None: the first time ever).

        The cursor of the batch is stored together with its items; nothing is confirmed to the
        network before. Bring `Unread` things, for `read`: what this method raises at stops the
        channel until it is mended. Raises a `DeliveryError` if the network cannot be asked.
        """
        raise NotImplementedError

    def send(self, part: Part) -> Sent:
        """Deliver one part with one call. Raises a `DeliveryError` that says what went wrong."""
        raise NotImplementedError

    def address(self, to: Addressee) -> str:
        """The peer to write to, where an agent begins the conversation. Optional; asks nobody.

        Raises `Permanent` with a sentence that says what to fill in on the contact.
        """
        raise Permanent("On this channel the customer must write first")

    def address_or_none(self, to: Addressee) -> str:
        """The same; empty if the contact has no address here."""
        try:
            return self.address(to)
        except Permanent:
            return ""

    def open(self, attachment: Attachment) -> Iterator[bytes]:
        """The bytes of a customer's file, in pieces. Optional: for networks that carry files.

        Raises a `DeliveryError`: `Permanent` if the file is gone or may not be fetched.
        """
        raise NotImplementedError

    def find(self, part: Part) -> Sent | None:
        """Did this part, of whose sending nothing is known, arrive? Optional."""
        raise NotImplementedError

    def catch_up(self, since: float) -> Iterable[Inbound | Unread]:
        """What customers wrote since then (Unix seconds), oldest first, with the ids that `parse`
        gives: what is known already is dropped by them. Optional, for networks that call us but
        can be asked as well, as a webhook that finds nobody may never be repeated.

        Raises a `DeliveryError` if the network cannot be asked.
        """
        raise NotImplementedError

    def delete(self, place: Place, external_id: str) -> None:
        """Take back a message that was sent. Optional."""
        raise NotImplementedError

    def show_typing(self, place: Place) -> None:
        """Show the customer that an agent is writing. Optional; never repeated if it fails."""
        raise NotImplementedError

    def acknowledge_press(self, message: Inbound) -> None:
        """Show the customer that a button was heard: `message` has their choice as its text, what
        it answers as `reply_to`, and the `press` that `parse` or `poll` gave it. Optional.

        Called soon after the choice is stored, also for a repetition; never repeated if it fails.
        """
        raise NotImplementedError

    def portrait(self, place: Place) -> Portrait | None:
        """The customer's own picture, or a room's, to be shown in Chatwoot; None if they show none.
        Optional.

        Asked when they first write, and then at most once a day. No message waits for it.
        """
        return None

    def connect(self) -> str:
        """Register the webhook, check the account. Called at every start: must be repeatable.

        Returns one line that says what was found, for the log.
        """
        return "nothing to set up"

    def check(self) -> Iterable[Finding]:
        """Look whether the account works, and change nothing; for `python -m gateway doctor`.

        Optional. A `DeliveryError` counts as a bad finding, with its reason.
        """
        return ()

    def explain(self, answer: Answer) -> DeliveryError | None:
        """The error that an HTTP answer other than 2xx means; None: judge by its status."""
        return None

    def close(self) -> None:
        """Give up connections. Called once, when the process ends."""
        self.http.close()

    @property
    def takes_webhooks(self) -> bool:
        """Whether the network calls us on this channel."""
        return type(self).parse is not Adapter.parse

    @property
    def polls(self) -> bool:
        """Whether the clock has to ask the network on this channel."""
        return type(self).poll is not Adapter.poll

    @property
    def has_portraits(self) -> bool:
        """Whether customers' pictures of themselves can be asked for."""
        return type(self).portrait is not Adapter.portrait

    @property
    def catches_up(self) -> bool:
        """Whether the network can be asked for what its webhooks did not bring."""
        return type(self).catch_up is not Adapter.catch_up

    @property
    def finds(self) -> bool:
        """Whether an uncertain part can be looked for."""
        return type(self).find is not Adapter.find

    @property
    def deletes(self) -> bool:
        """Whether a sent message can be taken back."""
        return type(self).delete is not Adapter.delete
