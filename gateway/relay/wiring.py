"""Which way each kind of message goes: made once for each process, from the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from gateway.adapter import Adapter
from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.downloads import Downloads, Home
from gateway.config import Channel, Settings
from gateway.files.scratch import Scratch
from gateway.intake.doorbell import Doorbell
from gateway.intake.intake import Intake
from gateway.lanes import KeyValues, Kind, Lanes, Lease, Ledger, Locks, Pace, Routes
from gateway.lanes.address_changes import AddressChanges
from gateway.lanes.bodies import UnknownVersion
from gateway.model import Rate
from gateway.relay.addressing import Addressing
from gateway.relay.background import Background
from gateway.relay.cached import Cached
from gateway.relay.delivery import Delivery, NotConfigured
from gateway.relay.floods import Floods
from gateway.relay.to_chatwoot.avatars import LARGEST, Avatars
from gateway.relay.to_chatwoot.contact_sync import ContactSync
from gateway.relay.to_chatwoot.contacts import Contacts
from gateway.relay.to_chatwoot.delivery import InboundDelivery
from gateway.relay.to_chatwoot.exactly_once import ExactlyOnce
from gateway.relay.to_chatwoot.files import CustomerFiles
from gateway.relay.to_chatwoot.new_conversations import NewConversations
from gateway.relay.to_chatwoot.person_locks import PersonLocks
from gateway.relay.to_chatwoot.retry_button import RetryCheckDelivery
from gateway.relay.to_chatwoot.routing import Routing
from gateway.relay.to_chatwoot.statuses import NoteDelivery, StatusDelivery, draws_delivered
from gateway.relay.to_chatwoot.surveys import Surveys
from gateway.relay.to_network.delivery import DeleteDelivery, OutboundDelivery
from gateway.relay.to_network.files import AgentFiles
from gateway.relay.to_network.rendering import Renderer
from gateway.relay.unread import UnreadDelivery
from gateway.runtime import Runtime

CHATWOOT_BURST, CONVERSATION_BURST = 200, 30


class Deliveries:
    """The way of every kind of message on every configured channel."""

    def __init__(self, settings: Settings, lanes: Lanes, runtime: Runtime) -> None:
        self._lanes = lanes
        self._ledger = Ledger(lanes.client)
        self._routes = Routes(lanes.client)
        self._values = KeyValues(lanes.client)
        self._locks = Locks(lanes.client)
        self._intake = Intake(lanes, Doorbell(lanes.client))
        self.chatwoots = {
            name: Chatwoot(account.api_url, account.account, account.token)
            for name, account in settings.accounts.items()
        }
        self.teams = {name: Cached(each.admin.teams) for name, each in self.chatwoots.items()}
        self.agents = {name: Cached(each.admin.agents) for name, each in self.chatwoots.items()}
        self._draws_delivered = {
            name: Cached(partial(draws_delivered, each), seconds=600.0)
            for name, each in self.chatwoots.items()
        }
        self.adapters: Mapping[str, Adapter] = {
            name: channel.adapter(channel.config, settings.site(channel, runtime))
            for name, channel in settings.channels.items()
        }
        self.downloads = {
            name: Downloads(Home(account.url, account.internal_url, account.storage_hosts))
            for name, account in settings.accounts.items()
        }
        self.scratch = Scratch()
        self.background = Background()
        self.renderer = Renderer()
        self._ways = {
            name: self._make_deliveries(channel, settings)
            for name, channel in settings.channels.items()
        }

    def __call__(self, lease: Lease, kind: Kind) -> Delivery:
        """Raises `NotConfigured` if the lane's channel was taken out while the message waited, and
        `UnknownVersion` if a newer release has appended it, which knows what to do with it."""
        if lease.lane.channel not in self._ways:
            raise NotConfigured(lease.lane.channel)
        ways = self._ways[lease.lane.channel]
        if kind not in ways:
            raise UnknownVersion(kind)
        return ways[kind]

    def close(self) -> None:
        self.background.close()
        for adapter in self.adapters.values():
            adapter.close()
        for chatwoot in self.chatwoots.values():
            chatwoot.close()
        for downloads in self.downloads.values():
            downloads.close()
        self.scratch.close()
        self.renderer.close()

    def _make_deliveries(self, channel: Channel, settings: Settings) -> Mapping[Kind, Delivery]:
        chatwoot = self.chatwoots[channel.account.name]
        adapter = self.adapters[channel.name]
        # Both limits leave some room below Chatwoot's own (`config/initializers/rack_attack.rb`,
        # `app/models/message.rb`): agents work in the same account, and in the same conversations.
        overall = _per_minute(channel.account.requests_per_minute, CHATWOOT_BURST)
        each = _per_minute(channel.account.messages_per_minute, CONVERSATION_BURST)
        addressing = Addressing(channel, adapter, chatwoot, AddressChanges(self._values))
        downloads, limit = self.downloads[channel.account.name], settings.gateway.file_limit
        files = AgentFiles(downloads, self.scratch, adapter, limit)
        floods = Floods(self._lanes, self._routes, channel)
        exactly_once = ExactlyOnce(chatwoot, settings.gateway.uncertain_after)
        new_conversations = NewConversations(
            channel,
            chatwoot,
            teams=self.teams[channel.account.name],
            agents=self.agents[channel.account.name],
        )
        inbox = Cached(partial(chatwoot.inbox, channel.config.inbox))
        inbound = InboundDelivery(
            lanes=self._lanes,
            ledger=self._ledger,
            routes=self._routes,
            floods=floods,
            channel=channel,
            chatwoot=chatwoot,
            pace=Pace(overall, each),
            routing=Routing(
                chatwoot,
                inbox=inbox,
                addresses=addressing,
                contacts=Contacts(chatwoot, channel.config.inbox),
                new_conversations=new_conversations,
            ),
            new_conversations=new_conversations,
            person_locks=PersonLocks(self._locks, channel.account.name),
            exactly_once=exactly_once,
            files=CustomerFiles(adapter, self.scratch, channel.account.upload_limit),
            surveys=Surveys(channel, chatwoot, inbox, self._ledger),
            contact_sync=ContactSync(chatwoot, channel.config.inbox, self._avatars(channel)),
        )
        unread = UnreadDelivery(channel, adapter, self._intake, Pace(overall))
        return {
            "in": inbound,
            "unread": unread,
            "webhook": unread,
            "out": OutboundDelivery(
                self._lanes, floods, channel, adapter, addressing, files, self.renderer
            ),
            "delete": DeleteDelivery(self._lanes, channel, adapter),
            "status": StatusDelivery(
                chatwoot, self._draws_delivered[channel.account.name], Pace(overall)
            ),
            "note": NoteDelivery(chatwoot, self._lanes, exactly_once, Pace(overall)),
            "check_retry": RetryCheckDelivery(
                self._lanes, self._ledger, self._values, channel, chatwoot, Pace(overall)
            ),
        }

    def _avatars(self, channel: Channel) -> Avatars:
        account = channel.account
        files = CustomerFiles(
            self.adapters[channel.name], self.scratch, min(LARGEST, account.upload_limit)
        )
        return Avatars(self._values, channel, self.chatwoots[account.name], files, self.background)


def _per_minute(limit: int, burst: int) -> Rate | None:
    return Rate(limit, 60, burst) if limit else None
