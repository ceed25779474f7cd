"""Redis behind sentinels: several small servers that watch a primary and know where it is.

`REDIS_SENTINELS` names the sentinels. Passwords have variables of their own: none needs escaping,
and none can appear in a message about a mistyped address. Inside the gateway all of it is one text,
like every other Redis address: `sentinel://` or `sentinels://` (with TLS).

https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

VARIABLE = "REDIS_SENTINELS"
DEFAULT_PORT = 26379
EXAMPLE = "host1:26379,host2:26379,host3:26379/mymaster"
CURE = (
    f"Write {EXAMPLE}: the sentinels' addresses, then the name by which they know the "
    "primary. For TLS put rediss:// before it. Put user and password in REDIS_USERNAME and "
    "REDIS_PASSWORD, those of the sentinels in REDIS_SENTINEL_USERNAME and REDIS_SENTINEL_PASSWORD."
)
SCHEMES = {"sentinel": False, "sentinels": True}
HOST_AND_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:(?P<port>\d{1,5}))?")
NAME = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Login:
    """User and password; empty for none."""

    user: str = ""
    password: str = ""

    def options(self) -> dict[str, Any]:
        """For a client of redis-py."""
        return {"username": self.user or None, "password": self.password or None}


@dataclass(frozen=True, slots=True)
class Sentinels:
    """Whom to ask for the primary, and how to connect to it."""

    addresses: tuple[tuple[str, int], ...]
    name: str
    """The sentinels' name for the primary."""
    database: int = 0
    encrypted: bool = False
    """Both with the sentinels and with the primary."""
    server: Login = Login()
    sentinel: Login = Login()

    @property
    def url(self) -> str:
        """All of it in one text, with the passwords."""
        scheme = "sentinels" if self.encrypted else "sentinel"
        hosts = ",".join(f"[{h}]:{p}" if ":" in h else f"{h}:{p}" for h, p in self.addresses)
        login = ":".join(quote(part, safe="") for part in (self.server.user, self.server.password))
        asking = urlencode({"user": self.sentinel.user, "password": self.sentinel.password})
        return f"{scheme}://{login}@{hosts}/{self.name}/{self.database}?{asking}"


def are_sentinels(url: str) -> bool:
    """Whether a Redis address is one that `from_url` reads."""
    return urlsplit(url).scheme in SCHEMES


def variable_of(url: str) -> str:
    """The environment variable that an address of Redis came from."""
    return VARIABLE if are_sentinels(url) else "REDIS_URL"


def from_url(url: str) -> Sentinels:
    """The reverse of `Sentinels.url`."""
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    asking = {key: values[0] for key, values in parse_qs(parts.query).items()}
    addresses, name, database = _parse(f"{hosts}{parts.path}")
    return Sentinels(
        addresses,
        name,
        database,
        encrypted=SCHEMES[parts.scheme],
        server=Login(unquote(user), unquote(password)),
        sentinel=Login(asking.get("user", ""), asking.get("password", "")),
    )


def from_environment(environ: Mapping[str, str]) -> Sentinels | None:
    """What the environment says; None if it names no sentinels.

    Raises ValueError, whose text completes «REDIS_SENTINELS …» and quotes no password.
    """
    text = environ.get("REDIS_SENTINELS", "").strip()
    if not text:
        return None
    scheme, separator, rest = text.rpartition("://")
    if separator and scheme not in {"redis", "rediss"}:
        raise ValueError("must begin with redis://, rediss:// or the first address")
    addresses, name, database = _parse(rest)
    return Sentinels(
        addresses,
        name,
        database,
        encrypted=scheme == "rediss",
        server=Login(environ.get("REDIS_USERNAME", ""), environ.get("REDIS_PASSWORD", "")),
        sentinel=Login(
            environ.get("REDIS_SENTINEL_USERNAME", ""), environ.get("REDIS_SENTINEL_PASSWORD", "")
        ),
    )


def _parse(text: str) -> tuple[tuple[tuple[str, int], ...], str, int]:
    if "@" in text:
        raise ValueError("contains a user or password, which belong in variables of their own")
    hosts, _, path = text.partition("/")
    name, _, database = path.partition("/")
    if not name:
        raise ValueError("must end in / and the primary's name")
    if not NAME.fullmatch(name):
        raise ValueError(f"has an invalid name for the primary: «{name}»")
    if not (database or "0").isdecimal():
        raise ValueError(f"has «{database}» where the database number must be")
    return tuple(_address(one.strip()) for one in hosts.split(",")), name, int(database or 0)


def _address(text: str) -> tuple[str, int]:
    found = HOST_AND_PORT.fullmatch(text)
    port = int(found["port"] or DEFAULT_PORT) if found else 0
    if found is None or not 0 < port < 65536:
        raise ValueError(f"has «{text}» where a sentinel's host:port must be")
    return found["host"].strip("[]"), port
