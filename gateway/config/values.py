"""The settings: complete, typed and frozen."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from re import match
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from gateway.adapter import Adapter, ChannelConfig, Site, WebAddress
from gateway.one_or_several import one_or_several
from gateway.runtime import Runtime

SHORTEST_SECRET = 16


def _is_short(secret: SecretStr) -> bool:
    """White space at its ends is no secret."""
    return len(secret.get_secret_value().strip()) < SHORTEST_SECRET


def _require_length(secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if not secrets or any(_is_short(secret) for secret in secrets):
        raise ValueError(f"must have at least {SHORTEST_SECRET} characters")
    return secrets


def _require_length_or_empty(secret: SecretStr) -> SecretStr:
    if secret.get_secret_value() and _is_short(secret):
        raise ValueError(f"must have at least {SHORTEST_SECRET} characters, or be left out")
    return secret


def _require_content(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text.strip():
        raise ValueError("must not be empty")
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError("contains characters that no token has: copy it again, without blanks")
    return secret


def _require_no_dashboard(text: object) -> object:
    """An address that was copied while the dashboard was open is not Chatwoot's own."""
    pasted = match(
        r"(https?://[^?#]+?)/app(?:/(?:accounts/(\d+))?[^?#]*)?/?(?:[?#].*)?$", str(text)
    )
    if pasted is None or "@" in pasted[1]:
        return text
    number = f", and account = {pasted[2]}" if pasted[2] else ""
    raise ValueError(f'is an address of the dashboard: write "{pasted[1]}"{number}')


ChatwootAddress = Annotated[WebAddress, BeforeValidator(_require_no_dashboard)]
Secrets = Annotated[
    tuple[SecretStr, ...], BeforeValidator(one_or_several), AfterValidator(_require_length)
]
AdminToken = Annotated[SecretStr, AfterValidator(_require_length_or_empty)]
Token = Annotated[SecretStr, AfterValidator(_require_content)]


class GatewaySettings(BaseModel):
    """The table [gateway], and the Redis server that the environment names."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False
    )

    public_url: WebAddress = Field(
        default="",
        description="the address at which Chatwoot and the networks reach this gateway; needed "
        "unless none of them calls it",
    )
    secrets: Secrets = Field(
        alias="secret",
        description="a long random text (`openssl rand -hex 32`) from which the gateway's webhook "
        "addresses are made; a list of two while one replaces the other: the first is used, both "
        "are accepted",
    )
    body_limit: int = Field(
        default=8 * 1024 * 1024,
        ge=1024,
        le=64 * 1024 * 1024,
        description="the largest webhook that is accepted, in bytes; Chatwoot's webhook repeats a "
        "message's text several times",
    )
    threads: int = Field(
        default=160, ge=2, le=256, description="how many deliveries one worker runs at once"
    )
    lease: float = Field(
        default=60.0,
        ge=1,
        le=600,
        description="seconds of silence after which another worker takes over from one",
    )
    uncertain_after: float = Field(
        default=60.0,
        ge=0,
        le=3600,
        description="seconds before the gateway looks in Chatwoot for a message that may or may "
        "not have arrived",
    )
    reconcile_every: float = Field(
        default=60.0,
        ge=1,
        le=3600,
        description="seconds between two searches in Chatwoot for replies whose webhook was lost",
    )
    public_url_wait: float = Field(
        default=30.0,
        ge=0,
        le=300,
        description="seconds that a worker waits at its start, at most, until public_url answers: "
        "Chatwoot marks a message in red when it cannot call there; 0 where this machine cannot "
        "reach that address",
    )
    linger: float = Field(
        default=1.0, ge=0, le=30, description="seconds a worker waits for more before it goes idle"
    )
    file_limit: int = Field(
        default=50 * 1024 * 1024,
        ge=0,
        description="the largest file of an agent that is sent as a file, in bytes; a larger one "
        "is sent as a link",
    )
    keep_dead_letters: float = Field(
        default=90.0,
        ge=0,
        description="days after which a dead letter is dropped, with its text; 0: it is kept until "
        "somebody replays or drops it",
    )
    keep_people: float = Field(
        default=90.0,
        ge=1,
        le=90,
        description="days without use after which the names and addresses of a customer that the "
        "gateway remembers beside their messages are forgotten",
    )
    rewrite_every: float = Field(
        default=86400.0,
        ge=0,
        description="seconds between two rewrites of the embedded server's append-only file, which "
        "keeps what was deleted until then; 0 for none but the server's own",
    )
    admin_token: AdminToken = Field(
        default=SecretStr(""),
        description="the password of `/health/backlog` and `/metrics`; by default it is derived "
        "from `secret`, and `python -m gateway token` prints it",
    )
    redis_url: str = Field(
        default="",
        repr=False,
        description="from REDIS_URL or REDIS_SENTINELS; empty: the embedded server is used",
    )


class ChatwootAccount(BaseModel):
    """One table [chatwoot.NAME]."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    url: ChatwootAddress = Field(description="where your Chatwoot is: https://app.chatwoot.com")
    internal_url: ChatwootAddress = Field(
        default="",
        description="where the gateway itself reaches Chatwoot, if not at `url`; may be private",
    )
    storage_hosts: tuple[str, ...] = Field(
        default=(),
        description="hosts on private addresses from which agents' files may be fetched, besides "
        'Chatwoot itself: ["minio:9000"]',
    )
    upload_limit: int = Field(
        default=40 * 1024 * 1024,
        ge=0,
        description="the largest file of a customer that is posted, in bytes; the web server in "
        "front of Chatwoot sets the limit",
    )
    events: Literal["webhook", "websocket"] = Field(
        default="webhook",
        description="how the gateway learns of replies: Chatwoot calls it (webhook), or it listens "
        "to the event stream of Chatwoot's dashboard (websocket), and needs no public address",
    )
    account: int = Field(gt=0, description="the account's number, as in Chatwoot's own addresses")
    token: Token = Field(
        description="an administrator's access token, from Profile settings; a bot's is not enough"
    )
    requests_per_minute: int = Field(
        default=2500,
        ge=0,
        description="how often the gateway may call this Chatwoot; 0 for no limit. Chatwoot itself "
        "refuses more than RACK_ATTACK_LIMIT, 3000 unless changed",
    )
    messages_per_minute: int = Field(
        default=150,
        ge=0,
        description="how many messages the gateway may post in one conversation; 0 for no limit. "
        "Chatwoot refuses more than CONVERSATION_MESSAGE_PER_MINUTE_LIMIT, 200 unless changed",
    )

    @property
    def api_url(self) -> str:
        """Where Chatwoot is called."""
        return self.internal_url or self.url


@dataclass(frozen=True, slots=True)
class Channel:
    """One table [channels.NAME] with its adapter and its Chatwoot account."""

    name: str
    config: ChannelConfig
    adapter: type[Adapter]
    account: ChatwootAccount

    @property
    def is_called_by_chatwoot(self) -> bool:
        """Whether Chatwoot's webhooks tell of replies; else the gateway listens to its stream."""
        return self.account.events == "webhook"

    @property
    def age_limit(self) -> float:
        """Seconds after which a reply that could not be sent is failed."""
        return self.config.age_limit or self.adapter.capabilities.age_limit


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole configuration, checked."""

    gateway: GatewaySettings
    accounts: Mapping[str, ChatwootAccount]
    """By name."""
    channels: Mapping[str, Channel]
    """By name, in the file's order."""
    path: Path
    """The file."""

    def webhook_url(self, channel: Channel) -> str:
        """The address for the channel's network to call."""
        return f"{self.gateway.public_url}/channels/{channel.name}/webhook"

    def chatwoot_url(self, channel: Channel) -> str:
        """The webhook address of the channel's inbox, for Chatwoot to call. It is a secret."""
        return f"{self.gateway.public_url}/chatwoot/{channel.name}/{self.path_tokens(channel)[0]}"

    def path_tokens(self, channel: Channel) -> tuple[str, ...]:
        """The valid endings of the address that Chatwoot calls; we give out the first."""
        return tuple(_derived(s, f"chatwoot:{channel.name}") for s in self.gateway.secrets)

    def webhook_secret(self, channel: Channel) -> str:
        """A secret that the network can return with every webhook."""
        return _derived(self.gateway.secrets[0], f"channel:{channel.name}")

    @property
    def admin_token(self) -> str:
        """The password of the pages that are not public."""
        chosen = self.gateway.admin_token.get_secret_value()
        return chosen or _derived(self.gateway.secrets[0], "admin")

    def site(self, channel: Channel, runtime: Runtime) -> Site:
        """What the channel's adapter knows of its surroundings."""
        return Site(channel.name, self.webhook_url(channel), self.webhook_secret(channel), runtime)

    def secret_values(self) -> frozenset[str]:
        """Every text that must appear in no log, no error and no page."""
        values = {self.admin_token, *_secrets_in(self.gateway)}
        values.update(_password_in(self.gateway.redis_url))
        for account in self.accounts.values():
            values.update(_secrets_in(account))
        for channel in self.channels.values():
            values.update(_secrets_in(channel.config))
            values.update(self.path_tokens(channel))
            values.add(self.webhook_secret(channel))
        return frozenset(values - {""})


def _password_in(url: str) -> set[str]:
    """The passwords in an address, both escaped and unescaped."""
    parts = urlsplit(url)
    password = parts.password or ""
    in_query = {value for name, value in parse_qsl(parts.query) if name == "password"}
    return {password, unquote(password), *in_query}


def _derived(secret: SecretStr, purpose: str) -> str:
    key = secret.get_secret_value().encode()
    return hmac.new(key, purpose.encode(), hashlib.sha256).hexdigest()[:40]


def _secrets_in(value: Any) -> Iterator[str]:
    """Every SecretStr in a value, however deep."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        yield from _secrets_in(vars(value))
    elif isinstance(value, Mapping):
        yield from _secrets_in(list(value.values()))
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _secrets_in(item)
