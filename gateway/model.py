"""The values that travel through the gateway. All frozen: a message is replaced, never changed.

What adapters make of a network's data is checked as it is made, so that a wrong type (an id that is
a number there, a name that is null) is found in the adapter's own line and nothing of it is stored.
Its texts become such as Redis and Chatwoot can keep: no adapter need think of NULs and surrogates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from gateway.errors import Malformed
from gateway.payload import read_json
from gateway.storable import on_one_line, storable

LONGEST_NAME = 2000
"""Characters of an id, an address or a thread: keys are made of them. An e-mail's own id may have
998."""


def _set_storable(value: object, *names: str) -> None:
    """Put `storable` texts in place of these. Raises TypeError for what is not a text, without the
    value itself: it may be a customer's."""
    for name in names:
        found = getattr(value, name)
        if not isinstance(found, str):
            raise _wrong(f"{type(value).__name__}.{name}", "a str", found)
        object.__setattr__(value, name, storable(found))


def _set_storable_mappings(value: object, *names: str) -> None:
    for name in names:
        found = getattr(value, name)
        if not isinstance(found, Mapping):
            raise _wrong(f"{type(value).__name__}.{name}", "a mapping", found)
        kept = {_storable_or_same(key): _storable_or_same(text) for key, text in found.items()}
        object.__setattr__(value, name, kept)


def _storable_or_same(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value


def _wrong(where: str, wanted: str, found: object) -> TypeError:
    return TypeError(f"{where} must be {wanted}, and is of type {type(found).__name__}")


def _require_short(*names: str) -> None:
    if max(map(len, names)) > LONGEST_NAME:
        raise Malformed(f"an id or an address of more than {LONGEST_NAME} characters")


class Status(StrEnum):
    """What became of a reply on its way to the customer."""

    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


class Style(StrEnum):
    """A way of marking a stretch of text, in words that every network understands."""

    BOLD = "bold"
    ITALIC = "italic"
    STRIKE = "strike"
    CODE = "code"
    CODE_BLOCK = "code_block"
    QUOTE = "quote"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Span:
    """A styled stretch of a text. Offsets and lengths count Unicode characters."""

    style: Style
    offset: int
    length: int
    url: str = ""
    """Where a LINK leads."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where on its channel something is: whom it is written to, and in which thread."""

    peer: str
    """The customer's address on the channel, or a room's."""
    thread: str = ""
    """Which of the peer's threads; empty where the network does not thread."""
    context: Mapping[str, str] = field(default_factory=dict)
    """What the adapter wanted to be given back, as the newest message there had it."""

    def __post_init__(self) -> None:
        _set_storable(self, "peer", "thread")
        _set_storable_mappings(self, "context")
        if not self.peer:
            raise Malformed("a place without a peer")
        _require_short(self.peer, self.thread)


@dataclass(frozen=True, slots=True)
class Person:
    """What a network tells of a person, or of a room. Empty means «not told»."""

    name: str = ""
    phone: str = ""
    """E.164, with its plus."""
    email: str = ""
    username: str = ""
    language: str = ""
    """BCP 47, as the network gives it."""
    identifier: str = ""
    """What the network calls the person for ever, with the network's name before it
    («telegram:4711»): unique among the people of all channels, and such that `Adapter.address`
    understands it."""
    city: str = ""
    country: str = ""
    """In words."""
    country_code: str = ""
    """ISO 3166, «DE»: the flag."""
    company: str = ""
    description: str = ""
    """What they say of themselves, or what a room is for."""
    profiles: Mapping[str, str] = field(default_factory=dict)
    """Network → the user's name there. Chatwoot draws a sign for each of «facebook», «github»,
    «instagram», «linkedin», «telegram», «tiktok» and «twitter»."""

    def __post_init__(self) -> None:
        _set_storable(self, "name", "phone", "email", "username", "language", "identifier")
        _set_storable(self, "city", "country", "country_code", "company", "description")
        _set_storable_mappings(self, "profiles")
        object.__setattr__(self, "name", on_one_line(self.name))


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom an agent writes to first, as Chatwoot knows them. Empty means «not filled in»."""

    name: str = ""
    phone: str = ""
    """E.164, if the agent wrote it so."""
    email: str = ""
    identifier: str = ""
    """The contact's identifier: free text, unique in the account."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """The contact's additional attributes that are texts."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a customer that still lies with the network; `Adapter.open` fetches it."""

    id: str
    """Whatever `open` needs to find it. It is stored with the message: no secrets, no bytes."""
    name: str = ""
    """The file's name, as the customer sees it; empty if the network knows none."""
    content_type: str = ""
    size: int | None = None
    """In bytes, if the network tells."""

    def __post_init__(self) -> None:
        _set_storable(self, "id", "name", "content_type")


@dataclass(frozen=True, slots=True)
class Portrait:
    """A customer's picture of themselves, as it lies with the network."""

    version: str
    """Another text whenever it is another picture."""
    picture: Attachment
    """`Adapter.open` fetches it. Every Chatwoot takes JPEG, PNG and GIF."""

    def __post_init__(self) -> None:
        _set_storable(self, "version")


@dataclass(frozen=True, slots=True)
class File:
    """A file at hand: downloaded, within the limits, on this machine's disk until it is sent."""

    name: str
    """Never empty, never a path."""
    content_type: str
    size: int
    """In bytes."""
    path: Path
    """Where its bytes are; gone once the message is delivered."""


@dataclass(frozen=True, slots=True)
class Inbound:
    """One message of a customer, as an adapter reads it from its network.

    Raises `Malformed` without an id or a peer.
    """

    id: str
    """The network's own id of the message. The same message must always give the same id:
    a second one with this id on the same channel is taken for a repetition and dropped."""
    peer: str
    """The customer's address on the channel; becomes the source id of the Chatwoot contact."""
    text: str
    person: Person = field(default_factory=Person)
    thread: str = ""
    """Only for networks that thread (e-mail): which of this peer's threads the message is in.
    Each thread becomes a conversation of its own. Empty: one conversation per peer."""
    reply_to: str = ""
    """The id of the message that this one answers."""
    quoted: str = ""
    """What the network shows as quoted, as plain text: a line for agents, where the message that is
    answered cannot be pointed at."""
    attachments: tuple[Attachment, ...] = ()
    sent_at: float | None = None
    """When it was written, in Unix seconds by the network's clock."""
    context: Mapping[str, str] = field(default_factory=dict)
    """What the adapter wants to be given back with every reply to this conversation,
    for instance the subject of an e-mail. The newest message's context wins."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Shown to agents on the Chatwoot contact (additional attributes)."""
    subject: str = ""
    """Only for networks that have one (e-mail), on one line: agents see it above the text wherever
    the thread has another than before."""
    press: str = ""
    """Only if the customer pressed a button instead of writing: whatever
    `Adapter.acknowledge_press` needs to show that it was heard. Not stored with the message."""

    def __post_init__(self) -> None:
        _set_storable(self, "id", "peer", "text", "thread", "reply_to", "quoted")
        _set_storable(self, "subject", "press")
        _set_storable_mappings(self, "context", "attributes")
        self._check_values()
        if not self.id or not self.peer:  # one id for all would make all but one repetitions
            raise Malformed("a message without an id, or without a sender")
        _require_short(self.id, self.peer, self.thread)

    @property
    def place(self) -> Place:
        """Where it was written."""
        return Place(self.peer, self.thread, self.context)

    def _check_values(self) -> None:
        if not isinstance(self.person, Person):
            raise _wrong("Inbound.person", "a Person", self.person)
        if not isinstance(self.attachments, tuple | list):  # a list does no harm
            raise _wrong("Inbound.attachments", "a tuple", self.attachments)
        for attachment in self.attachments:
            if not isinstance(attachment, Attachment):
                raise _wrong("what is in Inbound.attachments", "an Attachment", attachment)
        if not isinstance(self.sent_at, float | int | None):
            raise _wrong("Inbound.sent_at", "a number", self.sent_at)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the network says became of a part that was sent. Names it by one of two ids."""

    status: Status
    external_id: str = ""
    """The network's id, as `send` returned it."""
    part: str = ""
    """Our own id (`Part.id`), where the network let us put it into the receipt's address."""
    reason: str = ""
    """For FAILED: a sentence that an agent understands."""

    def __post_init__(self) -> None:
        if not isinstance(self.status, Status):
            raise _wrong("Receipt.status", "a Status", self.status)
        _set_storable(self, "external_id", "part", "reason")


def only_items(found: Iterable[object]) -> tuple[Inbound | Receipt, ...]:
    """What an adapter found, all of it. Raises TypeError if there is anything else among it: to
    pass over it would be to lose a message without a word."""
    items = []
    for item in found:
        if not isinstance(item, Inbound | Receipt):
            raise _wrong("what a network brought", "an Inbound or a Receipt", item)
        items.append(item)
    return tuple(items)


@dataclass(frozen=True, slots=True)
class Button:
    """An answer that the customer gives with a finger. It comes back as an `Inbound` that has the
    label as its text, and answers the message below which the button was."""

    label: str
    """Plain text on one line."""
    number: int
    """From 1, among the buttons of its message: what a network sends back may be limited."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one call sends: a whole reply, or one piece of a reply too long for one call."""

    id: str
    """Ours, and the same at every attempt: use it where the network takes a client's id."""
    peer: str
    text: str
    """May be empty if there are files."""
    spans: tuple[Span, ...] = ()
    """How the text is styled; only styles that the adapter's capabilities name."""
    files: tuple[File, ...] = ()
    """At most as many, as large and of such kinds as the adapter's capabilities say."""
    buttons: tuple[Button, ...] = ()
    """To be shown below the text; only in the last part of a reply, and within the limits that the
    adapter's capabilities name."""
    number: int = 1
    total: int = 1
    reply_to: str = ""
    """The network's id of the message that the agent answers, if that is known."""
    thread: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    """The context of the newest message of the conversation, as `parse` or `poll` gave it."""
    sender: str = ""
    """The agent's name."""
    callback_url: str = ""
    """Where the network may report about this part: the channel's webhook, with the part's id."""

    @property
    def place(self) -> Place:
        """Where it goes."""
        return Place(self.peer, self.thread, self.context)


@dataclass(frozen=True, slots=True)
class Sent:
    """The network has taken a part. Several ids when one call made several messages."""

    external_id: str
    more: tuple[str, ...] = ()
    context: Mapping[str, str] = field(default_factory=dict)
    """What only the call has learned, like the room that it made: added to the context that comes
    with the conversation's further calls."""

    def __post_init__(self) -> None:
        _set_storable(self, "external_id")
        _set_storable_mappings(self, "context")
        object.__setattr__(self, "more", tuple(_storable_or_same(each) for each in self.more))

    @property
    def external_ids(self) -> tuple[str, ...]:
        return (self.external_id, *self.more)


@dataclass(frozen=True, slots=True)
class Unread:
    """One thing that a network brought and nobody has read yet: `Adapter.read` makes items of it.

    What cannot be read is set aside under its id, and what came with it goes on.
    """

    id: str
    """The network's name of it: the same whenever it comes again."""
    content: str
    """What `Adapter.read` needs: the thing itself, or where it lies. It is stored if it is set
    aside: no secrets."""

    def __post_init__(self) -> None:
        _set_storable(self, "id", "content")
        if not self.id:
            raise Malformed("something unread without an id")


@dataclass(frozen=True, slots=True)
class Batch:
    """What one poll brought, and the cursor to come back with once it is stored."""

    items: tuple[Inbound | Receipt | Unread, ...]
    cursor: str

    def __post_init__(self) -> None:
        if not isinstance(self.cursor, str):
            raise _wrong("Batch.cursor", "a str", self.cursor)


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `calls` in `seconds`, evenly spread, after a burst of up to `burst` calls."""

    calls: float
    seconds: float = 1.0
    burst: int = 1

    @property
    def interval(self) -> float:
        """Seconds between two calls."""
        return self.seconds / self.calls


@dataclass(frozen=True, slots=True)
class FileLimits:
    """Which files a network takes. What does not fit is sent as a link."""

    largest: int
    """In bytes, of one file."""
    per_part: int = 1
    """How many files one call takes."""
    caption: int | None = None
    """The longest text that goes with files in one call, in `Capabilities.text_unit`; None: as
    long as any text. A longer one goes before them, as parts of its own."""
    types: frozenset[str] = frozenset()
    """Content types («image/png») or their kinds («image»); empty: any."""


@dataclass(frozen=True, slots=True)
class ButtonLimits:
    """Which buttons a network shows below a message. Other choices are a numbered list."""

    most: int
    """How many one message can have."""
    label: int
    """The longest label, in `Capabilities.text_unit`: such that the customer sees it whole."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a network can do. The core degrades to it: no adapter splits or strips a text."""

    text_limit: int | None = None
    """The longest text of one call, in `text_unit`; None for no limit."""
    text_unit: str = "characters"
    """«characters» (Unicode code points) or «utf16» (code units, as Telegram counts)."""
    styles: frozenset[Style] = frozenset()
    """The styles that `send` renders; the others arrive as plain text."""
    files: FileLimits | None = None
    """None: only text; files are sent as links."""
    buttons: ButtonLimits | None = None
    """None: what a customer may choose from is a numbered list in the text."""
    receipts: frozenset[Status] = frozenset()
    """What the network reports after it has taken a message."""
    rate: Rate | None = None
    """For the channel as a whole."""
    peer_rate: Rate | None = None
    """For one conversation."""
    threads: bool = False
    """True if a peer has several threads (e-mail): `Inbound.thread` is told, and `Part.thread` of a
    conversation that an agent begins is 16 hex digits that must come back with the answer."""
    idempotent: bool = False
    """True if a part sent twice with the same id arrives once: it is then safe to repeat."""
    age_limit: float = 3600.0
    """Seconds after which a reply that could not be sent is failed rather than sent late."""


@dataclass(frozen=True, slots=True)
class WebRequest:
    """An HTTP request as an adapter sees it."""

    method: str
    url: str
    """The address the network called: the public one from the configuration, with the query."""
    headers: Mapping[str, str]
    """Names in lower case."""
    query: Mapping[str, str]
    form: Mapping[str, str]
    """Read when it is asked for; then it may raise `Malformed`. 64 kB and 256 fields at most."""
    body: bytes
    """Byte for byte, for signatures."""

    def json(self) -> Any:
        """The body as JSON. Raises `Malformed` if it is not JSON."""
        return read_json(self.body)
