"""The one reading of a web address: what is checked is what is dialled.

Libraries differ in what they make of an odd address. In `http://a\\@b/` the host is `b` to one of
them and `a` to the next: one would be checked and the other called. Here an address is taken only
if it is written so that all read the same in it; whoever dials or compares it reads it here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address

from gateway.errors import Permanent

PORTS = {"http": 80, "https": 443}
HIGHEST_PORT = 65535
SHAPE = re.compile(
    r"(?P<scheme>https?)://(?P<host>[^/?#@:\[\]]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>(?:[/?#].*)?)",
    re.IGNORECASE | re.ASCII,
)
NEVER = re.compile(
    r"[\x00-\x20\x7f-\xa0\\\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]"
)
"""Backslashes, white space, control characters: some libraries turn them, others leave them out."""
HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?", re.ASCII)


class OddAddress(Permanent):
    """It is not an http(s) address that everybody reads in the same way."""


@dataclass(frozen=True, slots=True)
class Address:
    """A web address, in parts that nobody can read in another way."""

    scheme: str
    host: str
    """In lower case and ASCII; a literal IPv6 address in brackets."""
    port: int
    rest: str
    """Path, query and fragment, as they were written."""

    @property
    def origin(self) -> str:
        """Without a port that goes without saying."""
        usual = self.port == PORTS[self.scheme]
        return f"{self.scheme}://{self.host}" + ("" if usual else f":{self.port}")

    @property
    def url(self) -> str:
        return self.origin + self.rest


def read_address(url: str) -> Address:
    """The parts of an http(s) address. Raises `OddAddress`, without showing it.

    Refused are user names and passwords, backslashes, white space, control characters, «%» in the
    host, and brackets around anything but an IPv6 address.
    """
    found = None if NEVER.search(url) else SHAPE.fullmatch(url)
    if found is None:
        raise OddAddress("The address is not a plain http(s) address")
    scheme = found["scheme"].lower()
    port = int(found["port"] or PORTS[scheme])
    if not 0 < port <= HIGHEST_PORT:
        raise OddAddress("The address has a port that does not exist")
    return Address(scheme, _ascii_host(found["host"]), port, found["rest"])


def _ascii_host(host: str) -> str:
    """Raises `OddAddress`."""
    try:
        if host.startswith("["):
            IPv6Address(host[1:-1])  # some libraries take whatever stands in brackets
            return host.lower()
        ascii_host = host if host.isascii() else host.encode("idna").decode()
    except ValueError as error:  # UnicodeError among them
        raise OddAddress("The address has a host that does not exist") from error
    if not HOST.fullmatch(ascii_host.lower()):
        raise OddAddress("The address has a host that does not exist")
    return ascii_host.lower()
