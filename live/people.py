"""Customers of the live check: each has a device of a stand-in, and a contact in Chatwoot."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass, field
from typing import Any

from live.chatwoot import INCOMING, Desk
from live.waiting import wait_for
from sandbox.page.devices.device import Device
from sandbox.page.files import PageFile
from sandbox.people import Customer

JSON = dict[str, Any]
GIVEN_NAMES = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia", "Ken")


@dataclass(frozen=True, slots=True)
class Person:
    """A customer on one channel."""

    customer: Customer
    device: Device
    desk: Desk
    inbox: int

    @property
    def address(self) -> str:
        """The chat id, phone number or e-mail address."""
        return self.customer.id

    def writes(
        self, text: str, *, quoted: str = "", subject: str = "", files: tuple[PageFile, ...] = ()
    ) -> None:
        self.device.write(self.customer, text, subject, files, quoted)

    def has(self) -> list[JSON]:
        """What the device shows of what was sent to it, oldest first."""
        return [each for each in self.device.messages(self.customer) if not each["mine"]]

    def has_got(self, text: str) -> JSON | None:
        return next((each for each in self.has() if text in each["text"]), None)

    def gets(self, text: str, *, seconds: float = 60.0) -> JSON:
        """The message with these words, once it is there. Raises `Wrong`."""
        wanted = f"«{text}» on the device of {self.customer.name}"
        return wait_for(lambda: self.has_got(text), wanted, seconds=seconds)

    def contact(self) -> JSON | None:
        """The contact at the customer's address in this inbox."""
        return self.desk.find_contact(self.inbox, self.address)

    def conversations(self) -> list[JSON]:
        """Those of the customer's contact in this inbox, oldest first."""
        contact = self.contact()
        if contact is None:
            return []
        found = self.desk.conversations_of(int(contact["id"]))
        return [each for each in found if each["inbox_id"] == self.inbox]

    def shown(self, text: str, *, seconds: float = 60.0) -> tuple[int, JSON]:
        """The conversation and the incoming message with these words, once the agent sees it.

        Raises `Wrong`."""
        wanted = f"«{text}» of {self.customer.name} in Chatwoot"
        return wait_for(lambda: self._find(text), wanted, seconds=seconds)

    def texts(self, conversation: int) -> list[str]:
        """What the customer said in a conversation, as the agent reads it."""
        shown = self.desk.messages(conversation)
        return [each["content"] or "" for each in shown if each["message_type"] == INCOMING]

    def _find(self, text: str) -> tuple[int, JSON] | None:
        for conversation in self.conversations():
            for message in self.desk.messages(int(conversation["id"])):
                is_theirs = message["message_type"] == INCOMING
                if is_theirs and text in (message["content"] or ""):
                    return int(conversation["id"]), message
        return None


@dataclass(slots=True)
class Newcomers:
    """Customers whom nobody has seen before, with addresses that belong to nobody."""

    desk: Desk
    devices: dict[str, Device]
    inboxes: dict[str, int]
    run: str = field(default_factory=lambda: secrets.token_hex(3))
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def on(self, channel: str) -> Person:
        """Someone new on the channel."""
        number = next(self._numbers)
        name = f"{GIVEN_NAMES[number % len(GIVEN_NAMES)]} {self.run}-{number}"
        address = {
            "telegram": str(4_000_000_000 + int(self.run, 16) % 1_000_000 * 1000 + number),
            "sms": f"+1202555{number + 100:04}",  # kept free for fiction
            "email": f"live-{self.run}-{number}@example.com",
        }[channel]
        person = Person(
            Customer(channel, address, name),
            self.devices[channel],
            self.desk,
            self.inboxes[channel],
        )
        person.device.welcome(person.customer)
        return person
