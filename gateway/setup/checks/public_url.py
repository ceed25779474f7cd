"""Checks public_url: whether it leads here, and what kind of address it is."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from gateway.adapter import Finding
from gateway.errors import DeliveryError
from gateway.http import Session

PATIENCE = 10.0
"""Seconds."""
ALIVE = "alive"
"""What `/healthz` says."""


def look_at_address(public_url: str) -> Iterator[Finding]:
    yield _check_reachability(public_url)
    if urlsplit(public_url).scheme == "http" and not is_private(public_url):
        text = "public_url is plain http: messages and secrets travel unencrypted"
        yield Finding.note("https", text, "Put a web server or tunnel with https in front.")


def is_private(url: str) -> bool:
    """Whether the host has only private addresses. False for a name without any address."""
    addresses = _addresses(urlsplit(url).hostname or "")
    return bool(addresses) and not any(address.is_global for address in addresses)


def _check_reachability(public_url: str) -> Finding:
    with contextlib.closing(Session(deadline=PATIENCE)) as http:
        try:
            answer = http.get(f"{public_url}/healthz")
        except DeliveryError as error:
            return Finding.bad(
                "public address",
                f"public_url does not lead to the gateway: {error.reason}",
                "Start the gateway. Then check the DNS entry, and the web server or tunnel in "
                "front: it must pass everything on to the gateway's port. (Some networks cannot "
                "reach their own public address from inside: try it from outside.)",
            )
    if ALIVE in answer.text:
        return Finding.good("public address", "public_url leads to the gateway")
    text = "public_url leads to something other than the gateway"
    cure = "Check the web server or tunnel in front: it must pass on /channels, /chatwoot and "
    return Finding.bad("public address", text, f"{cure}/healthz.")


def _addresses(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
