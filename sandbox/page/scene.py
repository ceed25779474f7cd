"""Everything that the page shows, put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.page.desk import Desk
from sandbox.page.devices import Device
from sandbox.page.gateway_status import GatewayStatus
from sandbox.page.troubles import Troubles
from sandbox.people import Customer, People
from sandbox.running_gateway import RunningGateway
from sandbox.stand_ins import StandIns

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scene:
    """Both sides, and what lies between them."""

    stand_ins: StandIns
    people: People
    devices: Mapping[str, Device]
    """By channel."""
    desk: Desk
    troubles: Troubles
    gateway_status: GatewayStatus
    gateway: RunningGateway

    def shown(self) -> JSON:
        """The state of everything, for the page."""
        return {
            "channels": {name: self._channel(name) for name in self.devices},
            "agent": self.stand_ins.chatwoot.agent.name,
            "conversations": self.desk.conversations(),
            "troubles": self.troubles.shown(),
            "gateway": self.gateway_status.shown(),
        }

    def add_customer(self, channel: str) -> Customer:
        """One more customer, with a device. Raises KeyError for an unknown channel."""
        device = self.devices[channel]
        customer = self.people.add(channel)
        device.welcome(customer)
        return customer

    def welcome_all(self) -> None:
        """Give every customer a device."""
        for channel, device in self.devices.items():
            for customer in self.people.of(channel):
                device.welcome(customer)

    def _channel(self, name: str) -> JSON:
        device = self.devices[name]
        customers = [self._customer(device, customer) for customer in self.people.of(name)]
        return {"address": device.address, "customers": customers}

    def _customer(self, device: Device, customer: Customer) -> JSON:
        return {
            "id": customer.id,
            "name": customer.name,
            "unreachable": device.unreachable(customer),
            "messages": device.messages(customer),
        }
