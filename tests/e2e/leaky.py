"""A channel whose author lets secrets out wherever an author can."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.adapter import Adapter, ChannelConfig, Finding, SecretStr
from gateway.errors import Forbidden, Malformed
from gateway.model import Inbound, Part, Receipt, Sent, WebRequest


class Leaky(Adapter):
    class Config(ChannelConfig):
        key: SecretStr
        api_url: str

    config: Config

    @property
    def key(self) -> str:
        return self.config.key.get_secret_value()

    def verify(self, request: WebRequest) -> None:
        if request.headers.get("x-key") != self.key:
            raise Forbidden(f"X-Key should be {self.key}, not {request.headers.get('x-key')}")

    def parse(self, request: WebRequest) -> Iterable[Inbound | Receipt]:
        match request.json():
            case {"id": str(number), "text": str(text)}:
                yield Inbound(number, "ada", text)
            case {"break": _}:
                raise KeyError(self.key, request.headers)
            case _:
                raise Malformed(f"nonsense, though {self.key} was right")

    def send(self, part: Part) -> Sent:
        if part.text.endswith("break"):
            raise RuntimeError(f"no way to send with {self.key}")
        bearer = {"Authorization": f"Bearer {self.key}"}
        answer = self.http.post(
            f"{self.config.api_url}/{self.key}/send?key={self.key}", headers=bearer, json={}
        )
        return Sent(answer.field("id"))

    def connect(self) -> str:
        raise RuntimeError(f"cannot connect with {self.key!r}")

    def check(self) -> Iterator[Finding]:
        raise RuntimeError(f"cannot check {self.key}")
