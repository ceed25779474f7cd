"""A contact's address that changes in Chatwoot changes where replies go, from the next one on."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.adapter import Adapter
from gateway.chatwoot.events import ContactChanged
from gateway.config import Channel, ChatwootAccount, Settings
from gateway.lanes import Routes, ids
from gateway.lanes.address_changes import AddressChange, AddressChanges


class ContactChanges:
    """Notes of each change what it means to the channels of the account."""

    def __init__(
        self,
        settings: Settings,
        adapters: Mapping[str, Adapter],
        routes: Routes,
        address_changes: AddressChanges,
    ) -> None:
        self._channels = tuple(settings.channels.values())
        self._adapters = adapters
        self._routes = routes
        self._address_changes = address_changes

    def take(self, account: ChatwootAccount, event: ContactChanged) -> str:
        """Returns what was done with it, for the log and the count. Raises redis.RedisError."""
        if event.account != account.account:
            return "ignored:another account"
        mine = [channel for channel in self._channels if channel.account == account]
        noted = [self._note(channel, event) for channel in mine]
        return "noted:address_changed" if any(noted) else "ignored:ContactChanged"

    def _note(self, channel: Channel, event: ContactChanged) -> bool:
        adapter = self._adapters[channel.name]
        old = adapter.address_or_none(event.before)
        new = adapter.address_or_none(event.contact.addressee)
        if not old or old == new:
            return False
        if self._address_changes.record(channel.name, old, AddressChange(event.contact.id, new)):
            # It was wrong, so whoever writes from it need not be the contact.
            lane = ids.inbound_lane(channel.name, old)
            remembered = self._routes.get(lane).conversation
            if remembered is not None:
                self._routes.forget_conversation(lane, str(remembered))
        return True
