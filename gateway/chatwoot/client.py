"""The calls of Chatwoot's application API that the gateway makes.

Addresses and bodies are those of Chatwoot's controllers (`app/controllers/api/v1/accounts`);
https://developers.chatwoot.com/api-reference describes most of them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final
from urllib.parse import quote

from pydantic import SecretStr

from gateway.chatwoot.admin import Admin
from gateway.chatwoot.api import Api, Json, storable_json
from gateway.chatwoot.conversation_defaults import Priority
from gateway.chatwoot.errors import Missing, SurveyRefused
from gateway.chatwoot.fields import Fields, WrongShape
from gateway.chatwoot.limits import attribute, fitting
from gateway.chatwoot.multipart import Form
from gateway.chatwoot.refusals import (
    conversation_refused,
    message_refused,
    source_id_taken,
    status_refused,
    survey_refused,
)
from gateway.chatwoot.surveys import SURVEY
from gateway.chatwoot.values import (
    Contact,
    Conversation,
    Inbox,
    Installation,
    Message,
    MessageType,
    Profile,
    survey_answer,
)
from gateway.errors import DeliveryError
from gateway.model import File, Status
from gateway.storable import storable

CONVERSATIONS_PER_PAGE: Final = 25
MESSAGES_PER_PAGE: Final = 100
LATEST_MESSAGES: Final = 20
SLOWEST_UPLOAD: Final = 256 * 1024
"""Bytes in a second, at which a call with files may still end in time."""


class Chatwoot:
    """One account, with the token of one of its users. Threads may share it; nothing is retried.

    `url` is the installation's address, `deadline` the longest a call may take, in seconds.
    Every call raises a `DeliveryError`: of `gateway.errors`, or `gateway.chatwoot.errors`.
    """

    def __init__(self, url: str, account: int, token: SecretStr, *, deadline: float = 15.0) -> None:
        self._api = Api(url, token, deadline=deadline)
        self._deadline = deadline
        self._account = f"/api/v1/accounts/{account}"
        self.admin = Admin(self._api, self._account)
        """What only an administrator's token may do."""

    def close(self) -> None:
        """Give up connections. Called once, when the process ends."""
        self._api.close()

    def now(self) -> float:
        """Unix seconds by Chatwoot's clock, which dates its messages; ours while it has told none.
        Of two hosts' clocks either may be wrong: how old a message is, only its own clock tells."""
        if not self._api.has_answered:
            with suppress(DeliveryError):
                self.installation()
        return self._api.now()

    def installation(self) -> Installation:
        """Needs no token."""
        return self._api.read("/api", Installation.read)

    def profile(self) -> Profile:
        return self._api.read("/api/v1/profile", Profile.read)

    def inbox(self, inbox_id: int) -> Inbox:
        """Raises `Missing`."""
        return self._api.read(f"{self._account}/inboxes/{inbox_id}", Inbox.read)

    def find_contact(self, inbox_id: int, source_id: str) -> Contact | None:
        """Who has this address in this inbox."""
        try:
            return self._api.ask(
                f"{self._account}/contact_inboxes/filter",
                {"inbox_id": inbox_id, "source_id": source_id},
                Contact.read,
            )
        except Missing:
            return None

    def create_contact(
        self,
        inbox_id: int,
        source_id: str,
        name: str,
        *,
        phone: str = "",
        email: str = "",
        identifier: str = "",
        attributes: Mapping[str, Json] | None = None,
    ) -> Contact:
        """A new contact, with its address in an inbox. `phone`: E.164. Empty means «not known».

        Raises `AddressTaken` if the address has a contact already, and `Invalid` with `attributes`
        if the phone, e-mail or identifier belongs to another contact (or is not acceptable).
        """
        body: dict[str, Json] = {
            "inbox_id": inbox_id,
            "source_id": source_id,
            "name": name,
            "phone_number": phone or None,
            "email": email or None,
            # Chatwoot stores an empty identifier as it is, and allows it to one contact only.
            "identifier": identifier or None,
            "additional_attributes": dict(attributes or {}),
        }
        path = f"{self._account}/contacts"

        def read(fields: Fields) -> Contact:
            made = fields.object("payload").optional_object("contact_inbox")
            _require_same("source_id", made.optional_text("source_id"), storable(source_id))
            return _created_contact(fields)

        return self._api.write("POST", path, body, read, source_id_taken)

    def filter_contacts(
        self, *, phone: str = "", email: str = "", identifier: str = ""
    ) -> tuple[Contact, ...]:
        """The contacts that have one of these, exactly. One call, whatever is given."""
        wanted = {"identifier": identifier, "email": email, "phone_number": phone}
        conditions = [_equal(key, value) for key, value in wanted.items() if value]
        if not conditions:
            return ()
        path, body = f"{self._account}/contacts/filter", {"payload": _any_of(conditions)}
        found = self._api.ask(path, body, _contacts)
        # Chatwoot compares identifiers without regard to case.
        return tuple(
            contact
            for contact in found
            if (identifier and contact.identifier == identifier)
            or (email and contact.email.casefold() == email.casefold())
            or (phone and contact.phone == phone)
        )

    def attach_source(self, contact_id: int, inbox_id: int, source_id: str) -> None:
        """Make an address in an inbox the contact's. Repeating it does no harm.

        Raises `AddressTaken` if the address belongs to another contact.
        """
        path = f"{self._account}/contacts/{contact_id}/contact_inboxes"
        body: dict[str, Json] = {"inbox_id": inbox_id, "source_id": source_id}
        self._api.write("POST", path, body, _nothing, source_id_taken)

    def update_contact(
        self,
        contact_id: int,
        *,
        name: str = "",
        identifier: str = "",
        attributes: Mapping[str, Json] | None = None,
    ) -> Contact:
        """Change a contact. Empty means «as it is»; attributes not named stay as they are.

        Raises `Invalid` with `attributes` if the identifier belongs to another contact.
        """
        body: dict[str, Json] = {"additional_attributes": dict(attributes)} if attributes else {}
        path = f"{self._account}/contacts/{contact_id}"
        body |= _without_empty(name=name, identifier=identifier)
        return self._api.write("PATCH", path, body, _shown_contact(contact_id))

    def set_avatar(self, contact_id: int, picture: File) -> Contact:
        """Show `picture` with a contact. Raises `Invalid` if Chatwoot does not take it: it must be
        JPEG, PNG or GIF (after 4.13.0 also WebP), of at most 15 MB
        (`app/models/concerns/avatarable.rb`)."""
        path, form = f"{self._account}/contacts/{contact_id}", Form((), "avatar", (picture,))
        seconds = self._time_for(picture)
        return self._api.send_form("PUT", path, form, _shown_contact(contact_id), deadline=seconds)

    def conversations_of(
        self, inbox_id: int, source_id: str, page: int = 1
    ) -> tuple[Conversation, ...]:
        """An address's conversations in an inbox, of any status, newest first, 25 a page."""
        return self._conversations(
            {
                "inbox_id": inbox_id,
                "source_id": source_id,
                "sort_by": "created_at_desc",
                "page": page,
            }
        )

    def recently_updated(self, inbox_id: int, seconds: int) -> tuple[Conversation, ...]:
        """The inbox's conversations in which something happened in the last `seconds`, all in one
        answer: too many for one are asked for by `active_since`."""
        return self._conversations({"inbox_id": inbox_id, "updated_within": seconds})

    def active_since(self, inbox_id: int, since: float) -> Iterator[Conversation]:
        """The inbox's conversations with a message since then (Unix seconds), the newest first.
        Asks page by page as they are used."""
        for number in itertools.count(1):
            page = self._conversations(
                {"inbox_id": inbox_id, "sort_by": "last_activity_at_desc", "page": number}
            )
            active = [each for each in page if each.last_activity >= since]
            yield from active
            if len(active) < CONVERSATIONS_PER_PAGE:
                return

    def conversation(self, conversation_id: int) -> Conversation:
        path = self._conversation(conversation_id)
        return self._api.read(path, _conversation_numbered(conversation_id))

    def create_conversation(
        self,
        inbox_id: int,
        contact_id: int,
        source_id: str,
        attributes: Mapping[str, str] | None = None,
        given: Mapping[str, Json] | None = None,
    ) -> Conversation:
        """A new conversation; in an inbox locked to a single one, the contact's latest instead.

        All three ids are always sent: from a source id alone Chatwoot takes the first in the whole
        installation. Attributes longer than 1,500 characters are cut, as Chatwoot refuses them.
        `given`: what a new one shall have: «status», «assignee_id», «team_id»,
        «custom_attributes». Raises `AddressTaken` if the address belongs to another contact.
        """
        body: dict[str, Json] = {
            "inbox_id": inbox_id,
            "contact_id": contact_id,
            "source_id": source_id,
            "additional_attributes": {
                key: attribute(value) for key, value in (attributes or {}).items()
            },
            **(given or {}),
        }
        path = f"{self._account}/conversations"

        def read(fields: Fields) -> Conversation:
            conversation = Conversation.read(fields)
            _require_same("inbox", conversation.inbox_id, inbox_id)
            _require_same("contact", conversation.contact.id, contact_id)
            return conversation

        return self._api.write("POST", path, body, read, conversation_refused)

    def set_labels(self, conversation_id: int, labels: Iterable[str]) -> tuple[str, ...]:
        """Replace all labels of a conversation: name also those that shall stay."""
        body: dict[str, Json] = {"labels": list(labels)}
        path = f"{self._conversation(conversation_id)}/labels"
        return self._api.write("POST", path, body, _labels)

    def set_priority(self, conversation_id: int, priority: Priority | None) -> None:
        """Give a conversation a priority, or take it away."""
        body: dict[str, Json] = {"priority": priority}
        self._api.tell("POST", f"{self._conversation(conversation_id)}/toggle_priority", body)

    def create_message(
        self,
        conversation_id: int,
        text: str,
        *,
        source_id: str,
        message_type: MessageType = MessageType.INCOMING,
        content_attributes: Mapping[str, Json] | None = None,
        files: Sequence[File] = (),
    ) -> Message:
        """Post a message, a customer's by default. A longer one than Chatwoot takes is cut.

        Chatwoot does not look at `source_id`: what is posted twice is there twice. At most 15
        `files`; raises `TooMuch` if they are too large for the web server before Chatwoot, and
        `Stumbled` if it may be there although Chatwoot refused it.
        """
        is_note = message_type is MessageType.NOTE
        body: dict[str, Json] = {
            "content": fitting(text),
            "message_type": (MessageType.OUTGOING if is_note else message_type).value,
            "private": is_note,
            "source_id": source_id,
        }
        if content_attributes:
            body["content_attributes"] = content_attributes
        path = f"{self._conversation(conversation_id)}/messages"
        read = _message_in(conversation_id, source_id=source_id)
        if files:
            form, seconds = _form(body, files), self._time_for(*files)
            return self._api.send_form("POST", path, form, read, message_refused, deadline=seconds)
        return self._api.write("POST", path, body, read, message_refused)

    def messages_after(self, conversation_id: int, after: int) -> Iterator[Message]:
        """The messages with an id above `after`, ascending; asks page by page as they are used."""
        path = f"{self._conversation(conversation_id)}/messages"
        while True:
            page = self._api.read(path, _messages, {"after": after})
            yield from page
            if len(page) < MESSAGES_PER_PAGE or page[-1].id <= after:
                return
            after = page[-1].id

    def latest_messages(self, conversation_id: int) -> tuple[Message, ...]:
        """The last `LATEST_MESSAGES`, ascending."""
        return self._api.read(f"{self._conversation(conversation_id)}/messages", _messages)

    def message(self, conversation_id: int, message_id: int) -> Message:
        """One message as it is now. Raises `Missing` if it is not in the conversation.

        Chatwoot shows no message alone: this asks for those from its id to before the next one.
        """
        path = f"{self._conversation(conversation_id)}/messages"
        window = {"after": message_id - 1, "before": message_id + 1}
        for message in self._api.read(path, _messages, window):
            if message.id == message_id:
                return message
        raise Missing(
            "It does not exist in Chatwoot (any more)", detail=f"GET: no message {message_id}"
        )

    def update_status(
        self, conversation_id: int, message_id: int, status: Status, reason: str = ""
    ) -> Message:
        """Say what became of a reply; `reason` stands beside a failed one.

        Chatwoot takes nearly any change (failed → sent, read → sent): the caller keeps the order.
        """
        body: dict[str, Json] = {"status": status.value, "external_error": reason or None}
        path = f"{self._conversation(conversation_id)}/messages/{message_id}"
        read = _message_in(conversation_id, message_id=message_id)
        return self._api.write("PATCH", path, body, read, status_refused)

    def answer_survey(
        self,
        inbox: Inbox,
        source_id: str,
        conversation_id: int,
        message_id: int,
        *,
        rating: int,
        feedback: str = "",
    ) -> None:
        """Answer a survey for a customer, in place of what they answered before.

        `source_id`: the customer's address in that conversation. Needs no token, and is allowed for
        two weeks. Raises `SurveyRefused`.
        """
        answer: dict[str, Json] = {"rating": rating}
        if feedback:
            answer["feedback_message"] = feedback
        path = (
            f"/public/api/v1/inboxes/{_segment(inbox.identifier)}/contacts/{_segment(source_id)}"
            f"/conversations/{conversation_id}/messages/{message_id}"
        )
        body: dict[str, Json] = {"submitted_values": {"csat_survey_response": answer}}
        kept = self._api.write("PATCH", path, body, _rating, survey_refused)
        if kept != rating:  # not a survey, or a release that drops such an answer without a word
            raise SurveyRefused("Chatwoot has not kept the answer to a survey")

    def delete_message(self, conversation_id: int, message_id: int) -> None:
        """Replace a message by «deleted». Its id and source id stay."""
        path = f"{self._conversation(conversation_id)}/messages/{message_id}"
        self._api.write("DELETE", path, {}, _nothing)

    def _time_for(self, *files: File) -> float:
        """Seconds that a call with files may take."""
        return self._deadline + sum(file.size for file in files) / SLOWEST_UPLOAD

    def _conversation(self, conversation_id: int) -> str:
        return f"{self._account}/conversations/{conversation_id}"

    def _conversations(self, params: dict[str, str | int]) -> tuple[Conversation, ...]:
        path = f"{self._account}/conversations"
        return self._api.read(path, _conversation_list, {"status": "all", **params})


def _equal(key: str, value: str) -> dict[str, Json]:
    return {"attribute_key": key, "filter_operator": "equal_to", "values": [value]}


def _any_of(conditions: list[dict[str, Json]]) -> list[Json]:
    last = len(conditions) - 1
    return [
        {**condition, "query_operator": None if number == last else "OR"}
        for number, condition in enumerate(conditions)
    ]


def _contacts(fields: Fields) -> tuple[Contact, ...]:
    return tuple(Contact.read(item) for item in fields.objects("payload"))


def _without_empty(**texts: str) -> dict[str, Json]:
    return {name: text for name, text in texts.items() if text}


def _shown_contact(contact_id: int) -> Callable[[Fields], Contact]:
    def read(fields: Fields) -> Contact:
        contact = Contact.read(fields.object("payload"))
        _require_same("contact", contact.id, contact_id)
        return contact

    return read


def _require_same(what: str, told: object, asked: object) -> None:
    """An answer is believed only if it is about what was asked: a cache, a proxy that mixes up two
    callers, or another server may be speaking. Raises WrongShape."""
    if told != asked:
        raise WrongShape(f"{what}: it is about another one")


def _conversation_numbered(conversation_id: int) -> Callable[[Fields], Conversation]:
    def read(fields: Fields) -> Conversation:
        conversation = Conversation.read(fields)
        _require_same("conversation", conversation.id, conversation_id)
        return conversation

    return read


def _message_in(
    conversation_id: int, *, source_id: str | None = None, message_id: int | None = None
) -> Callable[[Fields], Message]:
    """Reads a message that must be this one; None where that cannot be known before."""

    def read(fields: Fields) -> Message:
        message = Message.read(fields)
        _require_same("conversation", message.conversation_id, conversation_id)
        if source_id is not None:
            _require_same("source_id", message.source_id, storable(source_id))
        if message_id is not None:
            _require_same("message", message.id, message_id)
        return message

    return read


def _created_contact(fields: Fields) -> Contact:
    return Contact.read(fields.object("payload").object("contact"))


def _conversation_list(fields: Fields) -> tuple[Conversation, ...]:
    return tuple(Conversation.read(item) for item in fields.object("data").objects("payload"))


def _labels(fields: Fields) -> tuple[str, ...]:
    return fields.text_list("payload")


def _messages(fields: Fields) -> tuple[Message, ...]:
    return tuple(Message.read(item) for item in fields.objects("payload"))


def _nothing(_: Fields) -> None:
    return None


def _rating(fields: Fields) -> int | None:
    if fields.optional_text("content_type") != SURVEY:
        return None
    return survey_answer(fields).optional_integer("rating")


def _segment(text: str) -> str:
    """A part of a path. Rails takes a dot for the beginning of a format."""
    return quote(text, safe="").replace(".", "%2E")


def _form(body: Mapping[str, Json], files: Sequence[File]) -> Form:
    """A message as a form: in it Chatwoot reads `content_attributes` from JSON."""
    texts = []
    for name, value in body.items():
        clean = storable_json(value)
        texts.append((name, clean if isinstance(clean, str) else json.dumps(clean)))
    return Form(texts, "attachments[]", files)
