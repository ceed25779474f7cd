"""Connections to public addresses only, for addresses that somebody else has chosen.

The address that was checked is the one that is connected to: a name whose answer changes between
the two gains nothing by it.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Mapping
from typing import Any

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from gateway.errors import Permanent
from gateway.http.address import read_address
from gateway.http.deadlines import (
    Watch,
    WatchedHTTPConnection,
    WatchedHTTPPool,
    WatchedHTTPSConnection,
    WatchedHTTPSPool,
    WatchedTransport,
)
from gateway.http.session import Session

NAT64 = ipaddress.ip_network("64:ff9b::/96")
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
"""All of IPv6 that is handed out to anybody. What lies outside has uses of its own (site-local,
IPv4-compatible, local NAT64), and `ipaddress` of older Pythons takes some of it for public."""
DOCUMENTATION = ipaddress.ip_network("3fff::/20")


class PrivateAddress(Permanent):
    """A host is on a private, link-local or otherwise not public address."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, also where IPv6 carries an IPv4 one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in NAT64:
            inner = ipaddress.IPv4Address(ip.packed[-4:])
        if inner is not None:
            return is_public(str(inner))
        if ip not in GLOBAL_UNICAST or ip in DOCUMENTATION:
            return False
    return ip.is_global and not ip.is_multicast


def public_addresses(host: str) -> list[str]:
    """The addresses of `host`. Raises `PrivateAddress` if one is not public, OSError if unknown."""
    found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(place[0]) for *_, place in found))
    if not all(is_public(address) for address in addresses):
        raise PrivateAddress(f"{host} does not have a public address", detail=", ".join(addresses))
    return addresses


def check_behind_proxy(host: str) -> None:
    """Where a proxy makes the connection only the name can be checked, if it is known here.

    Raises `PrivateAddress`.
    """
    try:
        public_addresses(host)
    except OSError:
        return  # the proxy alone knows the name


class PublicHTTPConnection(WatchedHTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connect_checked(self, super()._new_conn)


class PublicHTTPSConnection(WatchedHTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connect_checked(self, super()._new_conn)


def _connect_checked(
    connection: PublicHTTPConnection | PublicHTTPSConnection, connect: Callable[[], socket.socket]
) -> socket.socket:
    """Connect to a checked address; the name stays what certificates are compared with."""
    name = connection._dns_host
    try:
        addresses = public_addresses(name)
    except OSError as error:
        raise NewConnectionError(connection, f"{name} is unknown") from error
    try:
        for address in addresses[:-1]:
            connection._dns_host = address
            try:
                return connect()
            except (NewConnectionError, ConnectTimeoutError):
                continue
        connection._dns_host = addresses[-1]
        return connect()
    finally:
        connection._dns_host = name


class PublicHTTPPool(WatchedHTTPPool):
    ConnectionCls = PublicHTTPConnection


class PublicHTTPSPool(WatchedHTTPSPool):
    ConnectionCls = PublicHTTPSConnection


class PublicTransport(WatchedTransport):
    """Raises `PrivateAddress` instead of connecting to a private one."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {
            "http": PublicHTTPPool,
            "https": PublicHTTPSPool,
        }


class PublicSession(Session):
    """A `Session` for addresses that somebody else has chosen.

    Raises `PrivateAddress` instead of calling one that is not public.
    """

    transport = PublicTransport

    def _send(
        self, method: str, url: str, watch: Watch, options: Mapping[str, Any]
    ) -> BaseHTTPResponse:
        address = read_address(url)
        if self._way_to(address).proxied:
            check_behind_proxy(address.host)
        return super()._send(method, url, watch, options)
