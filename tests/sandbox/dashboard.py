"""What an agent does in the dashboard, as calls: looking through conversations and contacts,
assigning, resolving, merging.

Addresses and bodies are those of `app/controllers/api/v1/accounts` in Chatwoot;
https://developers.chatwoot.com/api-reference describes most of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pydantic import SecretStr

from gateway.chatwoot.api import Api, Json
from gateway.chatwoot.fields import Fields
from gateway.chatwoot.values import Contact, Conversation

ConversationStatus: TypeAlias = Literal["open", "resolved", "pending", "snoozed"]
Operator: TypeAlias = Literal["equal_to", "not_equal_to", "contains", "does_not_contain"]


@dataclass(frozen=True, slots=True)
class Condition:
    """What a filter asks of one attribute."""

    attribute: str
    """«status», «inbox_id», «labels» …: the keys of Chatwoot's `lib/filters/filter_keys.yml`."""
    operator: Operator
    value: str | int


class Dashboard:
    """One account, with the token of one of its users. Nothing is retried.

    Arguments as for `Chatwoot`. Every call raises a `DeliveryError`; `Missing` for an id that is
    not there.
    """

    def __init__(self, url: str, account: int, token: SecretStr, *, deadline: float = 15.0) -> None:
        self._api = Api(url, token, deadline=deadline)
        self._account = f"/api/v1/accounts/{account}"

    def close(self) -> None:
        """Give up connections."""
        self._api.close()

    def conversations(
        self, *, status: ConversationStatus | Literal["all"] = "all", page: int = 1
    ) -> tuple[Conversation, ...]:
        """Those of all inboxes that the user sees, newest activity first, 25 a page."""
        params: dict[str, str | int] = {"status": status, "page": page}
        return self._api.read(f"{self._account}/conversations", _listed, params)

    def filter_conversations(
        self, conditions: Iterable[Condition], *, page: int = 1
    ) -> tuple[Conversation, ...]:
        """Those that fit every condition, 25 a page."""
        path = f"{self._account}/conversations/filter?page={page}"
        return self._api.ask(path, {"payload": _query(conditions)}, _found)

    def set_status(self, conversation_id: int, status: ConversationStatus) -> None:
        """Resolve, open again … With an agent's token, opening also assigns it to that agent."""
        body: dict[str, Json] = {"status": status}
        path = f"{self._conversation(conversation_id)}/toggle_status"
        self._api.tell("POST", path, body)

    def assign(self, conversation_id: int, agent_id: int | None) -> None:
        """Give a conversation to an agent; None (or an id that is none) takes it from everybody."""
        body: dict[str, Json] = {"assignee_id": agent_id}
        path = f"{self._conversation(conversation_id)}/assignments"
        self._api.tell("POST", path, body)

    def labels(self, conversation_id: int) -> tuple[str, ...]:
        return self._api.read(f"{self._conversation(conversation_id)}/labels", _labels)

    def search_contacts(self, words: str, *, page: int = 1) -> tuple[Contact, ...]:
        """Those whose name, e-mail, phone or identifier contains `words`, 15 a page.

        Chatwoot allows a hundred searches a minute for the whole account.
        """
        params: dict[str, str | int] = {"q": words, "page": page}
        return self._api.read(f"{self._account}/contacts/search", _contacts, params)

    def contact(self, contact_id: int) -> Contact:
        path = f"{self._account}/contacts/{contact_id}"
        return self._api.read(path, lambda fields: Contact.read(fields.object("payload")))

    def update_contact(self, contact_id: int, changes: Mapping[str, Json]) -> None:
        """Change what is named («name», «email», «phone_number» …); attributes are merged.

        Raises `Invalid` with the attributes that Chatwoot refuses.
        """
        self._api.tell("PUT", f"{self._account}/contacts/{contact_id}", changes)

    def merge_contacts(self, stays: int, goes: int) -> Contact:
        """Make one contact of two: `stays` keeps its own and gets what it lacks from the other."""
        body: dict[str, Json] = {"base_contact_id": stays, "mergee_contact_id": goes}
        path = f"{self._account}/actions/contact_merge"
        return self._api.write("POST", path, body, Contact.read)

    def _conversation(self, conversation_id: int) -> str:
        return f"{self._account}/conversations/{conversation_id}"


def _query(conditions: Iterable[Condition]) -> list[Json]:
    asked = list(conditions)
    return [
        {
            "attribute_key": condition.attribute,
            "filter_operator": condition.operator,
            "values": [condition.value],
            "query_operator": "AND" if number < len(asked) else None,
        }
        for number, condition in enumerate(asked, start=1)
    ]


def _listed(fields: Fields) -> tuple[Conversation, ...]:
    return _found(fields.object("data"))


def _found(fields: Fields) -> tuple[Conversation, ...]:
    return tuple(Conversation.read(each) for each in fields.objects("payload"))


def _contacts(fields: Fields) -> tuple[Contact, ...]:
    return tuple(Contact.read(each) for each in fields.objects("payload"))


def _labels(fields: Fields) -> tuple[str, ...]:
    return fields.text_list("payload")
