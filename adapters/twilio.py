"""SMS through Twilio: signed forms come in, messages leave through the Message resource, whose
status callbacks are the receipts. https://www.twilio.com/docs/messaging/api/message-resource,
https://www.twilio.com/docs/usage/webhooks/webhooks-security, https://www.twilio.com/docs/api/errors
"""

import hmac
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from gateway import errors
from gateway.adapter import Adapter, ChannelConfig, Finding, phone_of, same
from gateway.http import Answer
from gateway.model import (
    Addressee,
    Capabilities,
    Inbound,
    Part,
    Person,
    Receipt,
    Sent,
    Status,
    WebRequest,
)

DEFAULT_PORTS = {"https": ":443", "http": ":80"}
FAILED = dict.fromkeys(("failed", "undelivered", "canceled"), Status.FAILED)
STATUSES = {**{status.value: status for status in Status}, **FAILED}
REASONS = {
    "21211": "This is not a valid phone number",
    "21408": "The Twilio account may not send to this country",
    "21608": "A Twilio trial account sends only to verified numbers",
    "21610": "The customer has opted out. They must send START before you can write to them",
    "21612": "There is no route from our number to this one",
    "21614": "This number cannot receive SMS: perhaps it is a landline",
    "30003": "The phone is switched off or out of reach",
    "30004": "The customer, or their carrier, blocks our number",
    "30005": "The number does not exist or is no longer in use",
    "30006": "The number is a landline, or its carrier takes no SMS",
    "30007": "The carrier took the message for unwanted and dropped it",
}


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
        api_url: str = "https://api.twilio.com"

    config: Config
    capabilities = Capabilities(text_limit=1600, receipts=frozenset(Status))  # Twilio paces itself

    def verify(self, request: WebRequest) -> None:
        key, url = self.config.auth_token.get_secret_value().encode(), urlsplit(request.url)
        given = request.headers.get("x-twilio-signature", "")
        fields = "".join(name + request.form[name] for name in sorted(request.form))
        bare = url.netloc.removesuffix(f":{url.port}")
        # Twilio signs some calls with the port in the address and some without.
        for netloc in (url.netloc, bare, bare + DEFAULT_PORTS.get(url.scheme, "")):
            signed = (url._replace(netloc=netloc).geturl() + fields).encode(errors="replace")
            if same(b64encode(hmac.digest(key, signed, "sha1")).decode(), given):
                return
        raise errors.Forbidden("X-Twilio-Signature is missing, or not that of this address")

    def parse(self, request: WebRequest) -> Iterator[Inbound | Receipt]:
        form = {name: value.replace("\0", "") for name, value in request.form.items()}
        sid, peer, status = (form.get(name) for name in ("MessageSid", "From", "MessageStatus"))
        if not sid or not (peer or status):
            raise errors.Malformed("neither a message nor a status: MessageSid or From is missing")
        if status in STATUSES:
            code, part = form.get("ErrorCode", ""), request.query.get("part", "")
            reason = REASONS.get(code, f"The message was not delivered (Twilio: {code or status})")
            yield Receipt(STATUSES[status], sid, part, reason if status in FAILED else "")
        elif peer and not status and (text := form.get("Body")):
            yield Inbound(sid, peer, text, Person(phone=peer if peer.startswith("+") else ""))

    def answer(self, request: WebRequest) -> tuple[str, str]:
        return "<Response/>", "text/xml"

    def address(self, to: Addressee) -> str:
        return phone_of(to)

    def send(self, part: Part) -> Sent:
        own, sender = self.config, "MessagingServiceSid" if self.config.sender[0] == "M" else "From"
        secret = own.api_secret if own.api_key else own.auth_token
        answer = self.http.post(
            f"{own.api_url}/2010-04-01/Accounts/{own.account_sid}/Messages.json",
            data={"To": part.peer, sender: own.sender, "Body": part.text}
            | ({"StatusCallback": part.callback_url} if part.callback_url else {}),
            auth=(own.api_key or own.account_sid, secret.get_secret_value()),
        )
        return Sent(answer.field("sid"))

    def check(self) -> Iterator[Finding]:
        """The Auth Token is tried even where an API key sends: webhooks are signed with it."""
        own = self.config
        base = f"{own.api_url}/2010-04-01/Accounts/{own.account_sid}"
        token = (own.account_sid, own.auth_token.get_secret_value())
        status = self.http.get(f"{base}.json", auth=token).field("status")
        if status == "active":
            yield Finding.good("account", "Twilio knows the account and its Auth Token")
        else:
            cure = "See https://console.twilio.com what the account wants."
            yield Finding.bad("account", f"Twilio says that the account is {status}", cure)
        if own.api_key:
            key = (own.api_key, own.api_secret.get_secret_value())
            self.http.get(f"{base}/Messages.json", params={"PageSize": 1}, auth=key)
            yield Finding.good("API key", "Twilio accepts it")

    def explain(self, answer: Answer) -> errors.DeliveryError | None:
        match answer.json_or_none():
            case {"code": 21610}:
                return errors.PeerGone(REASONS["21610"])
            case {"code": 20429 | 14107 | 21611}:
                return errors.Throttled("Too many messages at once", after=answer.retry_after)
            case {"code": int(code), "message": str(text)} if answer.status in {400, 404}:
                return errors.Permanent(REASONS.get(str(code), f"Twilio: {text}"), detail=str(code))
        return None
