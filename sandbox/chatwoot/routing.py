"""From a path to the function that answers it, and what such a function is given."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias
from urllib.parse import unquote

from sandbox.chatwoot.parameters import Parameters, as_id
from sandbox.chatwoot.records import JSON, Account, Bot, Contact, Conversation, Inbox, Message, User
from sandbox.chatwoot.refusals import NotFound, Unauthorized
from sandbox.chatwoot.store import Store
from sandbox.server import Reply


class Access(Enum):
    """Who may call."""

    ANYBODY = "anybody"
    """No token: status, files."""
    PUBLIC = "public"
    """No token: whoever knows the inbox's identifier and the contact's source id."""
    USER = "user"
    BOT = "bot"
    """Users and bots."""
    TYPING_BOT = "typing bot"
    """Users and, in releases where bots may type, bots."""
    READING_BOT = "reading bot"
    """Users and, in releases where bots may read, bots."""
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True)
class Call:
    """A request that has found its route; `account` is only there below /accounts/."""

    store: Store
    path: Mapping[str, str]
    parameters: Parameters
    owner: User | Bot | None
    """Whose token it came with."""
    account_or_none: Account | None

    @property
    def account(self) -> Account:
        if self.account_or_none is None:
            raise NotFound
        return self.account_or_none

    @property
    def fields(self) -> JSON:
        return self.parameters.fields

    @property
    def user(self) -> User:
        if not isinstance(self.owner, User):
            raise Unauthorized
        return self.owner

    @property
    def is_administrator(self) -> bool:
        return (
            isinstance(self.owner, User) and self.owner.role_in(self.account.id) == "administrator"
        )

    def sees(self, inbox: Inbox) -> bool:
        """Agents see the inboxes that they are members of, administrators and bots all."""
        if isinstance(self.owner, Bot) or self.is_administrator:
            return inbox.account_id == self.account.id
        return inbox.account_id == self.account.id and self.user.id in inbox.member_ids

    def inbox(self, inbox_id: Any) -> Inbox:
        """Raises NotFound, or Unauthorized for an agent who is not a member."""
        inbox = self.store.inboxes.get(as_id(inbox_id))
        if inbox.account_id != self.account.id:
            raise NotFound
        if not self.sees(inbox):
            raise Unauthorized
        return inbox

    def contact(self, contact_id: Any) -> Contact:
        contact = self.store.contacts.get(as_id(contact_id))
        if contact.account_id != self.account.id:
            raise NotFound
        return contact

    def conversation(self) -> Conversation:
        display_id = as_id(self.path["conversation"])
        conversation = self.store.conversation(self.account.id, display_id)
        self.inbox(conversation.inbox_id)
        return conversation

    def message(self, conversation: Conversation) -> Message:
        message = self.store.messages.get(as_id(self.path["message"]))
        if message.conversation_id != conversation.id:
            raise NotFound
        return message


Answer: TypeAlias = JSON | list[Any] | str | Reply | None
"""JSON, or a whole reply; None is 200 without a body."""


@dataclass(frozen=True, slots=True)
class Route:
    """`pattern` has names in braces, each of which stands for one segment of the path."""

    method: str
    pattern: str
    access: Access
    answer: Callable[[Call], Answer]


class Routes:
    """Finds the route of a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_length: dict[tuple[str, int], list[tuple[re.Pattern[str], Route]]] = {}
        for route in routes:
            expression = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.pattern))
            key = (route.method, route.pattern.count("/"))
            self._by_length.setdefault(key, []).append((expression, route))

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Raises NotFound."""
        path = path.removesuffix("/")
        for expression, route in self._by_length.get((method, path.count("/")), ()):
            if match := expression.fullmatch(path):
                names = {name: unquote(value) for name, value in match.groupdict().items()}
                return route, names
        raise NotFound
