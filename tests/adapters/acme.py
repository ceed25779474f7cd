"""Acme SMS, a made-up network: it calls one webhook, and is called to send."""

import hmac
from collections.abc import Iterator

from gateway.adapter import Adapter, ChannelConfig, PhoneNumber, SecretStr, WebAddress, same
from gateway.errors import Forbidden, Malformed
from gateway.model import Capabilities, Inbound, Part, Receipt, Sent, Status, WebRequest


class Acme(Adapter):
    class Config(ChannelConfig):
        api_key: SecretStr
        sender: PhoneNumber
        api_url: WebAddress = "https://api.acme.example"

    config: Config
    capabilities = Capabilities(text_limit=160, receipts=frozenset({Status.DELIVERED}))

    def verify(self, request: WebRequest) -> None:
        key = self.config.api_key.get_secret_value().encode()
        signature = hmac.digest(key, request.body, "sha256").hex()
        if not same(signature, request.headers.get("x-acme-signature", "")):
            raise Forbidden("X-Acme-Signature is missing or wrong")

    def parse(self, request: WebRequest) -> Iterator[Inbound | Receipt]:
        match request.json():
            case {"message": {"id": str(number), "from": str(peer), "text": str(text)}}:
                yield Inbound(number, peer, text)
            case {"delivered": str(number)}:
                yield Receipt(Status.DELIVERED, number)
            case _:
                raise Malformed("neither a message nor a delivery")

    def send(self, part: Part) -> Sent:
        message = {"from": self.config.sender, "to": part.peer, "text": part.text}
        bearer = {"Authorization": f"Bearer {self.config.api_key.get_secret_value()}"}
        answer = self.http.post(f"{self.config.api_url}/messages", json=message, headers=bearer)
        return Sent(answer.field("id"))
