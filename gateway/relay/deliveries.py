"""Which way each kind of message goes: made once for each process, from the configuration."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.adapter import Adapter
from gateway.chatwoot.client import Chatwoot
from gateway.config import Channel, Settings
from gateway.lanes import Hold, Kind, Lanes, Pace
from gateway.model import Rate
from gateway.relay.delivery import Delivery, NotConfigured
from gateway.relay.inbound import InboundDelivery
from gateway.relay.known_inbox import KnownInbox
from gateway.relay.outbound import DeleteDelivery, OutboundDelivery
from gateway.relay.retries import RetryDelivery
from gateway.relay.statuses import NoteDelivery, StatusDelivery
from gateway.runtime import Runtime

CHATWOOT_BURST, CONVERSATION_BURST = 200, 30


class Deliveries:
    """The way of every kind of message on every configured channel."""

    def __init__(self, settings: Settings, lanes: Lanes, runtime: Runtime) -> None:
        self._lanes = lanes
        self.chatwoots = {
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
        for chatwoot in self.chatwoots.values():
            chatwoot.close()

    def _ways_of(self, channel: Channel, settings: Settings) -> Mapping[Kind, Delivery]:
        chatwoot = self.chatwoots[channel.account.name]
        adapter = self.adapters[channel.name]
        # Both limits leave some room below Chatwoot's own (`config/initializers/rack_attack.rb`,
        # `app/models/message.rb`): agents work in the same account, and in the same conversations.
        overall = _per_minute(channel.account.requests_per_minute, CHATWOOT_BURST)
        each = _per_minute(channel.account.messages_per_minute, CONVERSATION_BURST)
        inbound = InboundDelivery(
            lanes=self._lanes,
            channel=channel,
            chatwoot=chatwoot,
            inbox=KnownInbox(chatwoot, channel.config.inbox),
            pace=Pace(overall, each),
            uncertain_after=settings.gateway.uncertain_after,
        )
        return {
            "in": inbound,
            "out": OutboundDelivery(self._lanes, channel, adapter),
            "delete": DeleteDelivery(self._lanes, channel, adapter),
            "status": StatusDelivery(chatwoot, Pace(overall)),
            "note": NoteDelivery(chatwoot, Pace(overall)),
            "retry": RetryDelivery(self._lanes, channel, chatwoot, Pace(overall)),
        }


def _per_minute(limit: int, burst: int) -> Rate | None:
    return Rate(limit, 60, burst) if limit else None
