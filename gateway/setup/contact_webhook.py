"""The account's webhook that tells when a contact's phone or e-mail changes.

Inboxes do not tell of contacts, accounts do (`app/listeners/webhook_listener.rb`). It has the
address of one channel and serves all of the account; only these events, so that nothing comes
twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from gateway.adapter import Adapter, Finding
from gateway.chatwoot.admin import Webhook
from gateway.chatwoot.client import Chatwoot
from gateway.config import Channel, ChatwootAccount, Settings
from gateway.setup.checks.inbox import SET_UP
from gateway.setup.checks.signing import TAKE_IT, is_held

EVENTS: Final = ("contact_created", "contact_updated")
"""Of a contact that is new nothing follows yet: what is remembered of an address that was replaced
names the contact that it was taken from, so whoever has it next is not mixed up with that one."""
CHECK: Final = "contact webhook"


@dataclass(slots=True)
class ContactWebhook:
    """The webhook of one account. `make` and `look` raise a `DeliveryError` if Chatwoot cannot be
    asked."""

    settings: Settings
    account: ChatwootAccount
    chatwoot: Chatwoot
    _at: Channel | None = field(init=False, default=None)
    _webhook: Webhook | None = field(init=False, default=None)

    def make(self) -> Iterator[Finding]:
        """Bring it about. One that is there keeps what else it tells."""
        if not self._is_needed:
            return
        self._find()
        if self._at is None or self._webhook is None:
            self._at = self._channels[0]
            self._webhook = self.chatwoot.admin.create_webhook(self._url(self._at), EVENTS)
        elif self._lacking or self._webhook.url != self._url(self._at):
            self._webhook = self.chatwoot.admin.update_webhook(
                self._webhook.id, self._url(self._at), (*self._webhook.events, *self._lacking)
            )
        else:
            yield Finding.good(CHECK, "Chatwoot tells of changed contacts")
            return
        yield Finding.changed(CHECK, "Chatwoot tells of changed contacts from now on")

    def look(self) -> Iterator[Finding]:
        """What `doctor` says of it."""
        if self._is_needed:
            self._find()
            yield self._seen()

    def by_hand(self) -> Iterator[Finding]:
        """What to do where we may not."""
        if self._is_needed:
            text = "whether Chatwoot tells of changed contacts is not known"
            cure = (
                "As an administrator, in Settings, Integrations, Webhooks, add the address that "
                f"`python -m gateway channels` prints for {self._channels[0].name}, with the "
                "events Contact created and Contact updated."
            )
            yield Finding.note(CHECK, text, cure)

    def key_at(self, channel: Channel) -> SecretStr | None:
        """The key of its signatures, if it has the channel's address."""
        return self._webhook.secret if self._webhook and channel == self._at else None

    def _seen(self) -> Finding:
        if self._at is None or self._webhook is None or self._lacking:
            text = "Chatwoot does not tell of changed contacts: replies go on to the old address"
            return Finding.bad(CHECK, text, SET_UP)
        if not self._webhook.url.startswith(f"{self.settings.gateway.public_url}/"):
            host = urlsplit(self._webhook.url).netloc.rpartition("@")[2]
            text = f"Chatwoot tells of changed contacts at another address ({host})"
            return Finding.bad(CHECK, text, SET_UP)
        held = self._at.config.signing_secret
        if held and self._webhook.secret and not is_held(self._webhook.secret, held):
            text = f"signing_secret of {self._at.name} lacks the key of this webhook: it is refused"
            return Finding.bad(CHECK, text, TAKE_IT)
        if self._webhook.url != self._url(self._at):
            text = "Chatwoot tells of changed contacts, with the secret that is to be replaced"
            return Finding.note(CHECK, text, f"{SET_UP} Then take the old secret out.")
        return Finding.good(CHECK, "Chatwoot tells of changed contacts")

    @property
    def _channels(self) -> list[Channel]:
        return [c for c in self.settings.channels.values() if c.account == self.account]

    @property
    def _is_needed(self) -> bool:
        """Whether any channel writes to an address that is in a contact, and no stream tells."""
        return self.account.events == "webhook" and any(
            channel.adapter.address is not Adapter.address for channel in self._channels
        )

    @property
    def _lacking(self) -> list[str]:
        return [event for event in EVENTS if self._webhook and event not in self._webhook.events]

    def _find(self) -> None:
        """Ours is known by what its address ends in, which nobody else can know."""
        endings = {
            f"/chatwoot/{channel.name}/{token}": channel
            for channel in self._channels
            for token in self.settings.path_tokens(channel)
        }
        for webhook in self.chatwoot.admin.webhooks():
            for ending, channel in endings.items():
                if webhook.url.endswith(ending) and (not self._webhook or self._lacking):
                    self._at, self._webhook = channel, webhook

    def _url(self, channel: Channel) -> str:
        return self.settings.chatwoot_url(channel)
