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
from gateway.lanes import Lanes
from gateway.observability.event_streams import StreamNotes


class Streams:
    """One listener for each account with `events = "websocket"`, and what they share."""

    def __init__(
        self,
        settings: Settings,
        adapters: Mapping[str, Adapter],
        lanes: Lanes,
        intake: Intake,
        stop: threading.Event,
    ) -> None:
        self._settings = settings
        self._lanes = lanes
        self._intake = intake
        self._stop = stop
        changes = ContactChanges(settings, adapters, lanes)
        followed = [each for each in settings.accounts.values() if each.events == "websocket"]
        self.contacts = {each.name: KnownContacts(each, lanes, changes) for each in followed}
        """By account."""
        self.listeners = tuple(self._listener(account, lanes.client) for account in followed)

    def start(self) -> None:
        """Listen, each on a thread of its own, until the clock stops."""
        for listener in self.listeners:
            threading.Thread(target=listener.run, name=listener.name, daemon=True).start()

    def release_leases(self) -> None:
        """Let another clock listen at once, without waiting for the leases to run out."""
        for listener in self.listeners:
            listener.release_lease()

    def _listener(self, account: ChatwootAccount, store: redis.Redis) -> EventListener:
        chatwoot = Chatwoot(account.api_url, account.account, account.token)
        contacts = self.contacts[account.name]
        channels = [each for each in self._settings.channels.values() if each.account == account]
        looks = [
            Reconciler(channel, chatwoot, self._lanes, self._intake, self._stop.wait, contacts).look
            for channel in channels
        ]
        return EventListener(
            account,
            chatwoot,
            StreamEvents(account, channels, chatwoot, self._intake, contacts),
            looks,
            lanes=self._lanes,
            notes=StreamNotes(store, account.name),
            stop=self._stop,
        )
