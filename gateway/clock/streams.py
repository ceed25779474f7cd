"""The listeners of all accounts that are followed by their event stream."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import redis

from gateway.adapter import Adapter
from gateway.chatwoot.client import Chatwoot
from gateway.clock.event_listener import EventListener
from gateway.clock.reconcile import Reconciler
from gateway.clock.stream_events import StreamEvents
from gateway.config import ChatwootAccount, Settings
from gateway.intake.contact_changes import ContactChanges
from gateway.intake.intake import Intake
from gateway.intake.known_contacts import KnownContacts
from gateway.lanes import KeyValues, Ledger, Locks, Routes
from gateway.lanes.address_changes import AddressChanges
from gateway.observability.event_streams import StreamNotes
from gateway.observability.logs import Redactor


class Streams:
    """One listener for each account with `events = "websocket"`, and what they share."""

    def __init__(
        self,
        settings: Settings,
        adapters: Mapping[str, Adapter],
        store: redis.Redis,
        intake: Intake,
        stop: threading.Event,
    ) -> None:
        self._settings = settings
        self._store = store
        self._intake = intake
        self._stop = stop
        values = KeyValues(store)
        changes = ContactChanges(settings, adapters, Routes(store), AddressChanges(values))
        followed = [each for each in settings.accounts.values() if each.events == "websocket"]
        self.contacts = {each.name: KnownContacts(each, values, changes) for each in followed}
        """By account."""
        self.listeners = tuple(self._listener(account) for account in followed)

    def start(self) -> None:
        """Listen, each on a thread of its own, until the clock stops."""
        for listener in self.listeners:
            threading.Thread(target=listener.run, name=listener.name, daemon=True).start()

    def release_leases(self) -> None:
        """Let another clock listen at once, without waiting for the leases to run out."""
        for listener in self.listeners:
            listener.release_lease()

    def _listener(self, account: ChatwootAccount) -> EventListener:
        chatwoot = Chatwoot(account.api_url, account.account, account.token)
        contacts = self.contacts[account.name]
        channels = [each for each in self._settings.channels.values() if each.account == account]
        ledger, values = Ledger(self._store), KeyValues(self._store)
        intake, wait = self._intake, self._stop.wait
        looks = [
            Reconciler(channel, chatwoot, ledger, values, intake, wait, contacts).look
            for channel in channels
        ]
        redact = Redactor(self._settings.secret_values())
        return EventListener(
            account,
            chatwoot,
            StreamEvents(account, channels, chatwoot, self._intake, contacts),
            looks,
            locks=Locks(self._store),
            notes=StreamNotes(self._store, account.name, redact),
            stop=self._stop,
        )
