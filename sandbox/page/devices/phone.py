"""A customer's phone, for SMS."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from sandbox.page.devices.device import JSON
from sandbox.page.files import PageFile, link
from sandbox.people import Customer
from sandbox.twilio import TwilioStandIn


class Phone:
    """Refusing means that the phone is switched off: texts to it end as undelivered."""

    def __init__(self, twilio: TwilioStandIn) -> None:
        self.address = twilio.number
        self._twilio = twilio
        self._off: set[str] = set()

    def welcome(self, customer: Customer) -> None:
        """A phone needs nothing."""

    def messages(self, customer: Customer) -> list[JSON]:
        shown = []
        for message in self._twilio.messages():
            mine = message.from_ == customer.id
            arrived = message.to == customer.id and message.status == "delivered"
            if mine or arrived:
                files = [
                    link("sms", f"{message.sid}/{media.sid}", "media", media.content_type)
                    for media in message.media
                ]
                told = {"id": message.sid, "mine": mine, "text": message.body, "files": files}
                shown.append({**told, "at": message.created})
        return shown

    def write(
        self,
        customer: Customer,
        text: str,
        subject: str,
        files: Sequence[PageFile] = (),
        quoted: str = "",
    ) -> None:
        media = [(file.content_type, file.data) for file in files]
        self._twilio.customer_texts(customer.id, self._twilio.number, text, files=media)

    def file(self, file_id: str) -> PageFile:
        sid, _, wanted = file_id.partition("/")
        for media in self._twilio.message(sid).media:
            if media.sid == wanted:
                return PageFile("media", media.content_type, base64.b64decode(media.data))
        raise LookupError(file_id)

    def unreachable(self, customer: Customer) -> bool:
        return customer.id in self._off

    def refuse(self, customer: Customer) -> None:
        self._off.add(customer.id)
        self._twilio.let_fail(customer.id)

    def accept(self, customer: Customer) -> None:
        self._off.discard(customer.id)
        self._twilio.let_arrive(customer.id)
