"""Agents' files, fetched from Chatwoot: limited, and never from a stranger's private address.

An attachment's `data_url` needs no token and never expires. It redirects to the storage, by an
address that does expire (`app/models/attachment.rb`, ActiveStorage): so the first one is kept, and
every attempt begins there.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from gateway.chatwoot.files import LinkedFile
from gateway.errors import Permanent, Retry
from gateway.files.names import UNKNOWN_TYPE, content_type_of, safe_name
from gateway.http.deadlines import Watch
from gateway.http.public_only import PublicTransport, check_behind_proxy
from gateway.http.session import MOVED, PIECE, Session
from gateway.model import File

REDIRECTS: Final = 5
SECONDS: Final = 120.0
"""The longest that one file may take, redirects and all."""


class NotThere(Retry):
    """The storage does not hand the file out. Chatwoot tells of a message before the message's
    files are stored, so at first this means «not yet»."""


class TooLarge(Permanent):
    """There is more of the file than there may be."""


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
        parts, inner = urlsplit(url), urlsplit(self.internal_url)
        path = parts.path.removeprefix(urlsplit(self.url).path)
        return urlunsplit((inner.scheme, inner.netloc, inner.path + path, parts.query, ""))

    def has(self, url: str) -> bool:
        """Whether the address may be private."""
        mine = {_origin(address) for address in (self.url, self.internal_url) if address}
        host, port = _origin(url)
        return (host, port) in mine or bool({host, f"{host}:{port}"} & set(self.storage_hosts))


class Media:
    """Fetches the files of one Chatwoot account. Threads may share it.

    `seconds` is the longest that one file may take.
    """

    def __init__(self, home: Home, *, seconds: float = SECONDS) -> None:
        self._home = home
        self._seconds = seconds
        self._trusted, self._public = _Line(), _PublicLine()

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
        for _ in range(REDIRECTS + 1):
            line = self._trusted if self._home.has(url) else self._public
            with line.opened(url, until) as answer:
                if not (onward := _onward(url, answer)):
                    return _kept(file, answer, path, largest)
            url = self._home.reachable(onward)
        raise NotFetched(f"{file.name}: its address leads on and on")


class _Line(Session):
    """Calls with nothing that tells who calls: no token, no cookie, no credentials."""

    @contextmanager
    def opened(self, url: str, until: float) -> Iterator[BaseHTTPResponse]:
        """The answer at `url` as far as its headers; all must be read by `until` (monotonic)."""
        watch = self._watch({"deadline": until - time.monotonic()})
        try:
            with self._sent("GET", url, watch, {"headers": {"Accept-Encoding": "identity"}}) as got:
                yield got
        except (requests.RequestException, HTTPError, OSError) as error:
            raise _unanswered(url, error, watch) from error
        finally:
            watch.done()


class _PublicLine(_Line):
    """The same, to public addresses only."""

    transport = PublicTransport

    def _sent(
        self, method: str, url: str, watch: Watch, options: Mapping[str, Any]
    ) -> BaseHTTPResponse:
        if self._way(url).proxied:
            check_behind_proxy(url)
        return super()._sent(method, url, watch, options)


def save(pieces: Iterable[bytes], path: Path, largest: int) -> int:
    """Write `pieces` to `path`, and return how many bytes they were.

    Raises `TooLarge` as soon as there are more than `largest`, and `Retry` if the disk refuses.
    """
    size = 0
    try:
        out = path.open("xb")
    except OSError as error:
        raise _no_room(error) from error
    with out:
        for piece in pieces:
            size += len(piece)
            if size > largest:
                raise TooLarge(f"It is larger than {largest} bytes")
            try:
                out.write(piece)
            except OSError as error:
                raise _no_room(error) from error
    return size


def _kept(file: LinkedFile, answer: BaseHTTPResponse, path: Path, largest: int) -> File:
    if answer.status != 200:
        reason = f"Chatwoot does not hand out {file.name}"
        raise NotThere(reason, detail=f"GET {answer.status}")
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise NotFetched(f"{file.name}: its storage hands it out compressed")
    told = answer.headers.get("Content-Length", "")
    if told.isdecimal() and int(told) > largest:
        raise TooLarge(f"It is larger than {largest} bytes")
    size = save(answer.stream(PIECE, decode_content=False), path, largest)
    content_type = file.content_type
    if content_type in {"", UNKNOWN_TYPE}:
        content_type = content_type_of(file.name, answer.headers.get("Content-Type", ""), file.kind)
    return File(safe_name(file.name, content_type), content_type, size, path)


def _onward(url: str, answer: BaseHTTPResponse) -> str:
    """Where a redirect leads; empty if the answer is none."""
    if answer.status not in MOVED or "Location" not in answer.headers:
        return ""
    parts = urlsplit(urljoin(url, answer.headers["Location"]))
    if parts.scheme not in {"https", urlsplit(url).scheme} or not parts.hostname:
        raise NotFetched("The file's address leads away from https")
    # Credentials in an address are for the browser of whoever wrote it there.
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, parts.query, ""))


def _unanswered(url: str, error: Exception, watch: Watch) -> Retry:
    """A plain `Retry`: the channel that waits for the file is not to blame."""
    host = urlsplit(url).hostname or "?"
    what = "did not hand the file out in time" if watch.expired else "cannot be reached"
    return Retry(f"{host} {what}", detail=f"GET {host}: {type(error).__name__}")


def _no_room(error: OSError) -> Retry:
    return Retry("The gateway cannot keep the file", detail=str(error.strerror))


def _origin(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)
