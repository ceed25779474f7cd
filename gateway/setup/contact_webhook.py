"""The account webhook that reports changes of a contact's phone or e-mail.

Inboxes do not report on contacts, accounts do (`app/listeners/webhook_listener.rb`). The webhook
has the address of one channel and serves all of the account. It has only these events, so that
nothing comes twice.
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
from gateway.setup.checks.signing import SHOW_KEYS, is_held

EVENTS: Final = ("contact_created", "contact_updated")
"""Nothing follows yet from a new contact. A replaced address is remembered with the contact it was
taken from, so its next owner is not mixed up with that one."""
CHECK: Final = "contact webhook"


@dataclass(slots=True)
class ContactWebhook:
    """The webhook of one account. `set_up` and `look` raise a `DeliveryError` if Chatwoot does not
    answer."""

    settings: Settings
    account: ChatwootAccount
    chatwoot: Chatwoot
    _at: Channel | None = field(init=False, default=None)
    _webhook: Webhook | None = field(init=False, default=None)

    def set_up(self) -> Iterator[Finding]:
        """Create or correct it. An existing one keeps its other events."""
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
            yield Finding.good(CHECK, "Chatwoot reports changed contacts")
            return
        yield Finding.changed(CHECK, "Chatwoot now reports changed contacts")

    def look(self) -> Iterator[Finding]:
        """Check it, and change nothing."""
        if self._is_needed:
            self._find()
            yield self._assess()

    def by_hand(self) -> Iterator[Finding]:
        """What to do by hand where the token does not allow it."""
        if self._is_needed:
            text = "we cannot see whether Chatwoot reports changed contacts"
            cure = (
                "As an administrator, in Settings, Integrations, Webhooks, add the address that "
                f"`python -m gateway channels` prints for {self._channels[0].name}, with the "
                "events Contact created and Contact updated."
            )
            yield Finding.note(CHECK, text, cure)

    def key_at(self, channel: Channel) -> SecretStr | None:
        """The key of its signatures, if it uses the channel's address."""
        return self._webhook.secret if self._webhook and channel == self._at else None

    def _assess(self) -> Finding:
        if self._at is None or self._webhook is None or self._lacking:
            text = "Chatwoot does not report changed contacts: replies go to the old address"
            return Finding.bad(CHECK, text, SET_UP)
        if not self._webhook.url.startswith(f"{self.settings.gateway.public_url}/"):
            host = urlsplit(self._webhook.url).netloc.rpartition("@")[2]
            text = f"Chatwoot reports changed contacts at another address ({host})"
            return Finding.bad(CHECK, text, SET_UP)
        held = self._at.config.signing_secret
        if held and self._webhook.secret and not is_held(self._webhook.secret, held):
            text = f"signing_secret of {self._at.name} lacks this webhook's key: it is refused"
            return Finding.bad(CHECK, text, SHOW_KEYS)
        if self._webhook.url != self._url(self._at):
            text = "Chatwoot reports changed contacts, with the old secret"
            return Finding.note(CHECK, text, f"{SET_UP} Then remove the old secret.")
        return Finding.good(CHECK, "Chatwoot reports changed contacts")

    @property
    def _channels(self) -> list[Channel]:
        return [c for c in self.settings.channels.values() if c.account == self.account]

    @property
    def _is_needed(self) -> bool:
        """Whether any channel writes to an address from the contact, without an event stream."""
        return self.account.events == "webhook" and any(
            channel.adapter.address is not Adapter.address for channel in self._channels
        )

    @property
    def _lacking(self) -> list[str]:
        return [event for event in EVENTS if self._webhook and event not in self._webhook.events]

    def _find(self) -> None:
        """Ours is recognised by the end of its address, which nobody else can know."""
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
