"""What every device can do.

It shows a message as `id`, `mine` (the customer wrote it), `text`, `files`, `at` (Unix seconds),
and what only it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from sandbox.page.files import PageFile
from sandbox.people import Customer

JSON = dict[str, Any]


class Device(Protocol):
    """One kind of device; each customer of its channel has one."""

    address: str
    """What a customer writes to."""

    def welcome(self, customer: Customer) -> None:
        """A customer gets the device."""

    def messages(self, customer: Customer) -> list[JSON]:
        """What the customer sees, oldest first."""

    def write(
        self,
        customer: Customer,
        text: str,
        subject: str,
        files: Sequence[PageFile] = (),
        quoted: str = "",
    ) -> None:
        """The customer writes. `subject` begins a new thread, on devices that have threads;
        `quoted` is the id of the message that is answered, on those that quote."""

    def file(self, file_id: str) -> PageFile:
        """A file that the device shows. Raises LookupError if it does not exist."""

    def unreachable(self, customer: Customer) -> bool:
        """Whether what is sent to the customer is refused."""

    def refuse(self, customer: Customer) -> None:
        """From now on nothing reaches the customer."""

    def accept(self, customer: Customer) -> None:
        """Everything reaches the customer again."""
