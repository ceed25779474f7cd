"""SMS through Twilio: signed forms come in, messages leave through the Message resource, whose
status callbacks are the receipts. https://www.twilio.com/docs/messaging/api/message-resource,
https://www.twilio.com/docs/usage/webhooks/webhooks-security, https://www.twilio.com/docs/api/errors
"""

import hmac
import mimetypes
from base64 import b64encode
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from gateway import errors
from gateway.adapter import Adapter, ChannelConfig, Finding, phone_of, same
from gateway.http import Answer
from gateway.model import (
    Addressee,
    Attachment,
    Capabilities,
    Inbound,
    Part,
    Person,
    Receipt,
    Sent,
    Status,
    WebRequest,
)

MOST_MEDIA = 10
DOWNLOAD = 60.0
"""Seconds that fetching a file may take."""
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
        elif peer and not status and ((text := form.get("Body", "")) or _media(form)):
            person = Person(phone=peer if peer.startswith("+") else "")
            yield Inbound(sid, peer, text, person, attachments=_media(form))

    def open(self, attachment: Attachment) -> Iterator[bytes]:
        """Twilio answers with a redirect to its storage, which must not see the password."""
        if not _is_twilios(attachment.id, self.config.api_url):
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
        return Sent(answer.field("sid"))

    def _auth(self) -> tuple[str, str]:
        own = self.config
        secret = own.api_secret if own.api_key else own.auth_token
        return own.api_key or own.account_sid, secret.get_secret_value()

    def check(self) -> Iterator[Finding]:
        """The Auth Token is tried even where an API key sends: webhooks are signed with it."""
        sid, token = self.config.account_sid, self.config.auth_token.get_secret_value()
        url = f"{self.config.api_url}/2010-04-01/Accounts/{sid}.json"
        status = self.http.get(url, auth=(sid, token)).field("status")
        if status == "active":
            yield Finding.good("account", "Twilio knows the account and its Auth Token")
        else:
            wrong = f"Twilio says that the account is {status}"
            yield Finding.bad("account", wrong, "See https://console.twilio.com.")

    def explain(self, answer: Answer) -> errors.DeliveryError | None:
        match answer.json_or_none():
            case {"code": 21610}:
                return errors.PeerGone(REASONS["21610"])
            case {"code": 20429 | 14107 | 21611}:
                return errors.Throttled("Too many messages at once", after=answer.retry_after)
            case {"code": int(code), "message": str(text)} if answer.status in {400, 404}:
                return errors.Permanent(REASONS.get(str(code), f"Twilio: {text}"), detail=str(code))
        return None


def _media(form: Mapping[str, str]) -> tuple[Attachment, ...]:
    """https://www.twilio.com/docs/messaging/guides/webhook-request: MediaUrl0, MediaUrl1 …"""
    found = []
    for number in range(MOST_MEDIA):
        if url := form.get(f"MediaUrl{number}"):
            kind = form.get(f"MediaContentType{number}", "")
            name = f"media-{number + 1}{mimetypes.guess_extension(kind) or ''}"
            found.append(Attachment(url, name, kind))
    return tuple(found)


def _is_twilios(address: str, api_url: str) -> bool:
    """Whoever can write to our store must not learn the password by naming a host of theirs."""
    try:
        url, own = urlsplit(address), urlsplit(api_url)
        secure = url.scheme == "https" and (url.hostname or "").endswith(".twilio.com")
    except ValueError:
        return False
    return secure or (url.scheme, url.netloc) == (own.scheme, own.netloc)
