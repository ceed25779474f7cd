"""Agents' files, fetched from Chatwoot: limited, and never from a stranger's private address.

An attachment's `data_url` needs no token and never expires. It redirects to the storage, by an
address that does expire (`app/models/attachment.rb`, ActiveStorage): so the first one is kept, and
every attempt begins there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from urllib3 import BaseHTTPResponse

from gateway.chatwoot.files import LinkedFile
from gateway.errors import Permanent, Retry, Unreachable
from gateway.files.names import UNKNOWN_TYPE, content_type_of, safe_name
from gateway.files.saving import TooLarge, save
from gateway.http import PublicSession, Session, read_address
from gateway.http.session import PIECE, redirect_of
from gateway.model import File

REDIRECTS: Final = 5
SECONDS: Final = 120.0
"""The longest that one file may take, redirects and all."""


class NotThere(Retry):
    """The storage does not hand the file out. Chatwoot tells of a message before the message's
    files are stored, so at first this means «not yet»."""


class NotFetched(Permanent):
    """The file lies where the gateway does not go."""


@dataclass(frozen=True, slots=True)
class Home:
    """Where Chatwoot and its files are; these hosts may be on private addresses."""

    url: str
    """The address that Chatwoot's links begin with."""
    internal_url: str = ""
    """What is called instead, if the gateway reaches Chatwoot in another way."""
    storage_hosts: tuple[str, ...] = ()
    """«host» or «host:port» of a storage on a private address."""

    def reachable(self, url: str) -> str:
        """`url`; by the internal address if it leads to Chatwoot."""
        if not self.internal_url or _origin(url) != _origin(self.url):
            return url
        mine, _, _ = read_address(self.url).rest.rstrip("/").partition("#")
        path, _, _ = read_address(url).rest.partition("#")
        return self.internal_url.rstrip("/") + path.removeprefix(mine)

    def has(self, url: str) -> bool:
        """Whether the address may be private."""
        mine = {_origin(address) for address in (self.url, self.internal_url) if address}
        host, port = _origin(url)
        return (host, port) in mine or bool({host, f"{host}:{port}"} & set(self.storage_hosts))


class Downloads:
    """Fetches the files of one Chatwoot account. Threads may share it.

    `seconds` is the longest that one file may take.
    """

    def __init__(self, home: Home, *, seconds: float = SECONDS) -> None:
        self._home = home
        self._seconds = seconds
        self._trusted, self._public = Session(), PublicSession()

    def close(self) -> None:
        """Give up connections. Called once, when the process ends."""
        self._trusted.close()
        self._public.close()

    def fetch(self, file: LinkedFile, path: Path, largest: int) -> File:
        """Download `file` to `path`, if it is not larger than `largest` bytes.

        Raises `TooLarge`, `NotFetched` or another `Permanent`, `NotThere` or another `Retry`. None
        says anything about the channel that waits for the file.
        """
        url, until = self._home.reachable(file.url), time.monotonic() + self._seconds
        try:
            for _ in range(REDIRECTS + 1):
                session = self._trusted if self._home.has(url) else self._public
                with session.open(url, until=until) as answer:
                    if not (onward := _onward(url, answer)):
                        return _save(file, answer, path, largest)
                url = self._home.reachable(onward)
        except Unreachable as error:
            # A plain `Retry`: the channel that waits for the file is not to blame.
            raise Retry(error.reason, detail=error.detail) from error
        raise NotFetched(f"{file.name}: its address has too many redirects")


def _onward(url: str, answer: BaseHTTPResponse) -> str:
    """Where a redirect leads; empty if the answer is not one."""
    try:
        return redirect_of(url, answer)
    except Permanent as error:
        raise NotFetched(error.reason) from error


def _save(file: LinkedFile, answer: BaseHTTPResponse, path: Path, largest: int) -> File:
    if answer.status != 200:
        reason = f"Chatwoot does not deliver {file.name}"
        raise NotThere(reason, detail=f"GET {answer.status}")
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise NotFetched(f"{file.name}: the storage sends it compressed")
    told = answer.headers.get("Content-Length", "")
    if told.isdecimal() and int(told) > largest:
        raise TooLarge(f"It is larger than {largest} bytes")
    size = save(answer.stream(PIECE, decode_content=False), path, largest)
    content_type = file.content_type
    if content_type in {"", UNKNOWN_TYPE}:
        content_type = content_type_of(file.name, answer.headers.get("Content-Type", ""), file.kind)
    return File(safe_name(file.name, content_type), content_type, size, path)


def _origin(url: str) -> tuple[str, int]:
    """Raises `OddAddress`."""
    address = read_address(url)
    return address.host, address.port
