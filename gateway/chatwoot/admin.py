"""What an administrator of an account can see and change: its inboxes, and who works in them.

Addresses and bodies are those of `app/controllers/api/v1/accounts/inboxes_controller.rb`,
`inbox_members_controller.rb`, `agents_controller.rb`, `teams_controller.rb` and
`labels_controller.rb` in Chatwoot.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pydantic import SecretStr

from gateway.chatwoot.api import Api, Json
from gateway.chatwoot.fields import Fields, WrongShape
from gateway.chatwoot.values import Inbox

API_INBOX: Final = "Channel::Api"


@dataclass(frozen=True, slots=True)
class Agent:
    """A user of the account: an agent or an administrator."""

    id: int
    name: str
    email: str
    role: str = field(default="", compare=False)
    """«agent», «administrator» or a custom one."""

    @classmethod
    def read(cls, fields: Fields) -> Agent:
        name, email = fields.optional_text("name"), fields.optional_text("email")
        return cls(fields.integer("id"), name, email, fields.optional_text("role"))


@dataclass(frozen=True, slots=True)
class Team:
    """Some of the account's agents, under a name."""

    id: int
    name: str
    """In small letters: so Chatwoot keeps it."""

    @classmethod
    def read(cls, fields: Fields) -> Team:
        return cls(fields.integer("id"), fields.text("name"))


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that the account calls, and the events that it calls it with."""

    id: int
    url: str
    events: tuple[str, ...]
    secret: SecretStr | None = None
    """The key of its signatures: told by Chatwoot 4.11.2 and newer."""

    @classmethod
    def read(cls, fields: Fields) -> Webhook:
        secret = fields.optional_text("secret")
        return cls(
            id=fields.integer("id"),
            url=fields.text("url"),
            events=fields.text_list("subscriptions"),
            secret=SecretStr(secret) if secret else None,
        )


class Admin:
    """One account, seen by one of its administrators. Nothing is retried.

    Every call raises a `DeliveryError`: `NotAllowed` if the token's user is not an administrator.
    """

    def __init__(self, api: Api, account: str) -> None:
        """`account`: its path, which its addresses begin with."""
        self._api = api
        self._account = account

    def features(self) -> frozenset[str] | None:
        """The features that are switched on in the account; None if it does not tell."""
        return self._api.read(self._account, _features)

    def inboxes(self) -> tuple[Inbox, ...]:
        """All of the account, of every kind."""
        return self._api.read(f"{self._account}/inboxes", _inboxes)

    def create_inbox(self, name: str, webhook_url: str) -> Inbox:
        """A new API inbox without members."""
        channel: dict[str, Json] = {"type": "api", "webhook_url": webhook_url}
        body: dict[str, Json] = {"name": name, "channel": channel}
        return self._api.write("POST", f"{self._account}/inboxes", body, Inbox.read)

    def set_webhook_url(self, inbox_id: int, webhook_url: str) -> Inbox:
        """Where Chatwoot calls with what happens in an API inbox."""
        body: dict[str, Json] = {"channel": {"webhook_url": webhook_url}}
        return self._api.write("PATCH", f"{self._account}/inboxes/{inbox_id}", body, Inbox.read)

    def agents(self) -> tuple[Agent, ...]:
        """Everybody who works in the account, administrators too."""
        return self._api.read_list(f"{self._account}/agents", Agent.read)

    def teams(self) -> tuple[Team, ...]:
        return self._api.read_list(f"{self._account}/teams", Team.read)

    def team_members(self, team_id: int) -> tuple[Agent, ...]:
        """Raises `Missing`."""
        return self._api.read_list(f"{self._account}/teams/{team_id}/team_members", Agent.read)

    def labels(self) -> tuple[str, ...]:
        """The titles of the labels that agents can choose from."""
        return self._api.read(f"{self._account}/labels", _titles)

    def members(self, inbox_id: int) -> tuple[Agent, ...]:
        """Who works in an inbox."""
        return self._api.read(f"{self._account}/inbox_members/{inbox_id}", _agents)

    def set_members(self, inbox_id: int, agents: Iterable[Agent]) -> None:
        """Make these members of an inbox.

        Name those who are members already too: old releases take out whoever is not named.
        """
        ids: list[Json] = [agent.id for agent in agents]
        body: dict[str, Json] = {"inbox_id": inbox_id, "user_ids": ids}
        self._api.write("POST", f"{self._account}/inbox_members", body, _agents)

    def webhooks(self) -> tuple[Webhook, ...]:
        """The account's webhooks, which hear of all inboxes."""
        return self._api.read(f"{self._account}/webhooks", _webhooks)

    def create_webhook(self, url: str, events: Iterable[str]) -> Webhook:
        """Have the account call `url`. Raises `Invalid` if it does so already."""
        body: dict[str, Json] = {"url": url, "subscriptions": list(events)}
        return self._api.write("POST", f"{self._account}/webhooks", body, _new_webhook)

    def update_webhook(self, webhook_id: int, url: str, events: Iterable[str]) -> Webhook:
        """Raises `Missing`, or `Invalid` if the account calls `url` by another webhook already."""
        body: dict[str, Json] = {"url": url, "subscriptions": list(events)}
        path = f"{self._account}/webhooks/{webhook_id}"
        return self._api.write("PATCH", path, body, _new_webhook)

    def delete_webhook(self, webhook_id: int) -> None:
        """Raises `Missing`."""
        self._api.tell("DELETE", f"{self._account}/webhooks/{webhook_id}", {})


def _webhooks(fields: Fields) -> tuple[Webhook, ...]:
    return tuple(Webhook.read(each) for each in fields.object("payload").objects("webhooks"))


def _titles(fields: Fields) -> tuple[str, ...]:
    return tuple(label.text("title") for label in fields.objects("payload"))


def _new_webhook(fields: Fields) -> Webhook:
    return Webhook.read(fields.object("payload").object("webhook"))


def _features(fields: Fields) -> frozenset[str] | None:
    """`app/views/api/v1/models/_account.json.jbuilder`: those that are on, by name."""
    told = fields.values.get("features")
    if told is None:
        return None
    if not isinstance(told, dict):
        raise WrongShape("features: expected an object")
    return frozenset(name for name, on in told.items() if on)


def _inboxes(fields: Fields) -> tuple[Inbox, ...]:
    return tuple(Inbox.read(item) for item in fields.objects("payload"))


def _agents(fields: Fields) -> tuple[Agent, ...]:
    return tuple(Agent.read(item) for item in fields.objects("payload"))
