"""One webhook on its way: signed, sent once, led on by redirects, and what is said if it fails.

Source in Chatwoot: lib/webhooks/trigger.rb, lib/safe_fetch/ since 4.14.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from sandbox.chatwoot.version import Version

_REDIRECTS = frozenset({301, 302, 307, 308})
MOST_REDIRECTS = 10


class DeliveryFailed(Exception):
    """The receiver did not answer with 2xx in time; the text is what an agent gets to see."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is sent where; `secret` signs it, `id` names the delivery."""

    url: str
    body: bytes
    secret: str | None
    id: str


@dataclass(frozen=True, slots=True)
class Carrier:
    """How a release posts. `private_network`: whether it may call private addresses."""

    version: Version
    timeout: float
    private_network: bool = True

    def post(self, envelope: Envelope) -> None:
        """One attempt. Raises DeliveryFailed."""
        headers = self._headers(envelope)
        url = envelope.url
        for _ in range(MOST_REDIRECTS):
            answer = self._exchange(url, envelope.body, headers)
            if 200 <= answer.status < 300:
                return
            leads_on = answer.location and answer.status in _REDIRECTS
            if not (leads_on and self.version.follows_redirects):
                raise DeliveryFailed(f"{answer.status} {answer.reason}")
            url = urljoin(url, answer.location)
        raise DeliveryFailed(f"Got {MOST_REDIRECTS} redirects fetching {envelope.url}")

    def _headers(self, envelope: Envelope) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": self.version.user_agent,
        }
        if envelope.secret is None:
            return headers
        stamp = str(int(time.time()))
        return headers | {
            "X-Chatwoot-Delivery": envelope.id,
            "X-Chatwoot-Timestamp": stamp,
            "X-Chatwoot-Signature": signature(envelope.secret, stamp, envelope.body),
        }

    def _exchange(self, url: str, body: bytes, headers: Mapping[str, str]) -> _Answer:
        address = urlsplit(url)
        try:
            self._check(address)
            return _exchange(address, body, headers, self.timeout)
        except TimeoutError:
            raise DeliveryFailed(self.version.read_timeout) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DeliveryFailed(_unreachable(address, error)) from None

    def _check(self, address: SplitResult) -> None:
        """Raises DeliveryFailed for a private address that must not be called, OSError if the
        name is not known."""
        if self.private_network or not self.version.guards_private_addresses:
            return
        found = socket.getaddrinfo(address.hostname, address.port or 80)
        if not any(ipaddress.ip_address(each[4][0]).is_global for each in found):
            raise DeliveryFailed(f"Hostname '{address.hostname}' has no public ip addresses")


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    reason: str
    location: str


def encode(body: object) -> bytes:
    """Compact JSON with the escapes that Rails adds: signatures are made over these bytes."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode("utf-8", errors="replace")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Hex HMAC-SHA256 over the time stamp, a dot and the raw body, keyed with the secret's text."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"


def _exchange(
    address: SplitResult, body: bytes, headers: Mapping[str, str], timeout: float
) -> _Answer:
    secure = address.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=timeout)
    try:
        query = f"?{address.query}" if address.query else ""
        connection.request("POST", (address.path or "/") + query, body, dict(headers))
        answer = connection.getresponse()
        answer.read()
    finally:
        connection.close()
    return _Answer(answer.status, answer.reason, answer.headers.get("location", ""))


def _unreachable(address: SplitResult, error: Exception) -> str:
    """In the words of Ruby."""
    host, port = address.hostname, address.port or (443 if address.scheme == "https" else 80)
    why = str(error)
    if isinstance(error, ConnectionRefusedError):
        why = f'Connection refused - connect(2) for "{host}" port {port}'
    return f"Failed to open TCP connection to {host}:{port} ({why})"
