"""The customers whose devices the page shows."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from sandbox.state import StateFile

NAMES = (
    "Mia Sommer",
    "Jonas Weber",
    "Aylin Demir",
    "Luca Moretti",
    "Nora Lindqvist",
    "Kofi Mensah",
    "Hana Sato",
    "Pablo Ruiz",
    "Zoé Laurent",
    "Omar Haddad",
)


class NoSuchCustomer(LookupError):
    """The channel has no customer with this id."""


@dataclass(frozen=True, slots=True)
class Customer:
    """Someone with a device on one channel."""

    channel: str
    id: str
    """The address on the channel: chat id, phone number, e-mail address."""
    name: str


class People:
    """The customers of each channel, kept in a file; at least one each."""

    def __init__(self, channels: Iterable[str], path: Path) -> None:
        self._file = StateFile(path)
        self._lock = threading.Lock()
        self._customers = [Customer(**one) for one in self._file.load().get("customers", ())]
        for place, channel in enumerate(channels):
            if not self.of(channel):
                self._add(channel, place)

    def of(self, channel: str) -> list[Customer]:
        return [each for each in self._customers if each.channel == channel]

    def find(self, channel: str, customer_id: str) -> Customer:
        """Raises `NoSuchCustomer`."""
        for each in self.of(channel):
            if each.id == customer_id:
                return each
        raise NoSuchCustomer(customer_id)

    def add(self, channel: str) -> Customer:
        """One more, with the next name."""
        with self._lock:
            return self._add(channel, len(self._customers))

    def _add(self, channel: str, place: int) -> Customer:
        number = len(self.of(channel)) + 1
        name = NAMES[place % len(NAMES)]
        if place >= len(NAMES):
            name = f"{name} {place // len(NAMES) + 1}"
        customer = Customer(channel, _address(channel, number, name), name)
        self._customers.append(customer)
        self._file.save({"customers": [asdict(each) for each in self._customers]})
        return customer


def _address(channel: str, number: int, name: str) -> str:
    if channel == "telegram":
        return str(500_100_000 + number * 7)
    if channel == "sms":
        return f"+1555010{2000 + number}"
    return f"{name.lower().replace(' ', '.').replace('é', 'e')}@mail.example"
