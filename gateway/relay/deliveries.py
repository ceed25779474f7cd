"""Which way each kind of message goes: made once for each process, from the configuration."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.adapter import Adapter
from gateway.chatwoot.client import Chatwoot
from gateway.config import Channel, Settings
from gateway.lanes import Hold, Kind, Lanes
from gateway.model import Rate
from gateway.relay.delivery import Delivery, NotConfigured
from gateway.relay.inbound import InboundDelivery
from gateway.relay.known_inbox import KnownInbox
from gateway.relay.outbound import DeleteDelivery, OutboundDelivery
from gateway.relay.statuses import NoteDelivery, StatusDelivery
from gateway.runtime import Runtime

CHATWOOT_RATE = Rate(2500, 60, burst=200)
"""Chatwoot refuses more than 3,000 requests a minute from one address
(`config/initializers/rack_attack.rb`); agents' browsers behind the same address need some."""


class Deliveries:
    """The way of every kind of message on every configured channel."""

    def __init__(self, settings: Settings, lanes: Lanes, runtime: Runtime) -> None:
        self._lanes = lanes
        self._chatwoots = {
            name: Chatwoot(account.url, account.account, account.token)
            for name, account in settings.accounts.items()
        }
        self.adapters: Mapping[str, Adapter] = {
            name: channel.adapter(channel.config, settings.site(channel, runtime))
            for name, channel in settings.channels.items()
        }
        self._ways = {
            name: self._ways_of(channel, settings) for name, channel in settings.channels.items()
        }

    def __call__(self, hold: Hold, kind: Kind) -> Delivery:
        """Raises `NotConfigured` if the lane's channel was taken out while the message waited."""
        if hold.lane.channel not in self._ways:
            raise NotConfigured(hold.lane.channel)
        return self._ways[hold.lane.channel][kind]

    def close(self) -> None:
        for adapter in self.adapters.values():
            adapter.close()
        for chatwoot in self._chatwoots.values():
            chatwoot.close()

    def _ways_of(self, channel: Channel, settings: Settings) -> Mapping[Kind, Delivery]:
        chatwoot = self._chatwoots[channel.account.name]
        adapter = self.adapters[channel.name]
        inbound = InboundDelivery(
            lanes=self._lanes,
            channel=channel,
            chatwoot=chatwoot,
            inbox=KnownInbox(chatwoot, channel.config.inbox),
            rate=CHATWOOT_RATE,
            uncertain_after=settings.gateway.uncertain_after,
        )
        return {
            "in": inbound,
            "out": OutboundDelivery(self._lanes, channel, adapter),
            "delete": DeleteDelivery(self._lanes, channel, adapter),
            "status": StatusDelivery(chatwoot, CHATWOOT_RATE),
            "note": NoteDelivery(chatwoot, CHATWOOT_RATE),
        }
