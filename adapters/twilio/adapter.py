"""The adapter: settings, signatures checked, and the calls of Twilio's API."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, SecretStr

from adapters.twilio.checks import check_account, check_sender
from adapters.twilio.errors import meaning
from adapters.twilio.files import DOWNLOAD, is_twilios, media
from adapters.twilio.history import History
from adapters.twilio.incoming import message, receipt, signatures
from gateway import errors
from gateway.adapter import Adapter, ChannelConfig, Finding, WebAddress, phone_of, same
from gateway.http import Answer
from gateway.model import (
    Addressee,
    Attachment,
    Capabilities,
    Inbound,
    Part,
    Receipt,
    Sent,
    Status,
    WebRequest,
)


class Twilio(Adapter):
    class Config(ChannelConfig):
        account_sid: str = Field(pattern=r"^AC\w+$", description="the account's SID, AC…")
        auth_token: SecretStr = Field(description="the account's Auth Token")
        sender: str = Field(
            pattern=r"^(\+[1-9]\d{6,14}|\d{3,8}|MG\w+)$",
            description="a number of the account (+1555…) or the SID of a messaging service (MG…)",
        )
        api_key: str = Field(default="", description="an API key's SID, to send with it (SK…)")
        api_secret: SecretStr = Field(default=SecretStr(""), description="the API key's secret")
        api_url: WebAddress = "https://api.twilio.com"

    config: Config
    account_settings = ("account_sid", "sender")
    capabilities = Capabilities(text_limit=1600, receipts=frozenset(Status))  # Twilio paces itself

    def verify(self, request: WebRequest) -> None:
        key = self.config.auth_token.get_secret_value().encode()
        given = request.headers.get("x-twilio-signature", "")
        if not any(same(right, given) for right in signatures(key, request.url, request.form)):
            raise errors.Forbidden("X-Twilio-Signature is missing or wrong for this address")

    def parse(self, request: WebRequest) -> Iterator[Inbound | Receipt]:
        form = request.form
        sid, peer, status = (form.get(name) for name in ("MessageSid", "From", "MessageStatus"))
        if not sid or not (peer or status):
            raise errors.Malformed("neither a message nor a status: MessageSid or From is missing")
        if told := receipt(form, request.query.get("part", "")):
            yield told
        elif peer and not status:
            yield message(sid, peer, form.get("Body", ""), media(form))

    def open(self, attachment: Attachment) -> Iterator[bytes]:
        """Twilio answers with a redirect to its storage, which must not see the password."""
        if not is_twilios(attachment.id, self.config.api_url):
            raise errors.Permanent("The file's address is not one of Twilio's")
        return self.http.download(attachment.id, redirects=3, deadline=DOWNLOAD, auth=self._auth())

    def answer(self, request: WebRequest) -> tuple[str, str]:
        return "<Response/>", "text/xml"

    def address(self, to: Addressee) -> str:
        return phone_of(to)

    def send(self, part: Part) -> Sent:
        own, sender = self.config, "MessagingServiceSid" if self.config.sender[0] == "M" else "From"
        answer = self.http.post(
            f"{own.api_url}/2010-04-01/Accounts/{own.account_sid}/Messages.json",
            data={"To": part.peer, sender: own.sender, "Body": part.text}
            | ({"StatusCallback": part.callback_url} if part.callback_url else {}),
            auth=self._auth(),
        )
        match answer.json():
            case {"to": str(to)} if to != part.peer:
                raise answer.nonsense("it is about another number")
        return Sent(answer.field("sid"))

    def catch_up(self, since: float) -> Iterator[Inbound]:
        own, auth = self.config, self._auth()
        return History(self.http, own.api_url, own.account_sid, auth).fetch_received(
            own.sender, since
        )

    def _auth(self) -> tuple[str, str]:
        own = self.config
        secret = own.api_secret if own.api_key else own.auth_token
        return own.api_key or own.account_sid, secret.get_secret_value()

    def check(self) -> Iterator[Finding]:
        own = self.config
        auth = own.account_sid, own.auth_token.get_secret_value()
        yield check_account(self.http, own.api_url, *auth)
        yield from check_sender(self.http, own.api_url, auth, own.sender, self.site.webhook_url)

    def explain(self, answer: Answer) -> errors.DeliveryError | None:
        return meaning(answer)
