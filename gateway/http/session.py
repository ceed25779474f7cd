"""HTTP to the outside: every call has an end, and every answer a meaning."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, cast
from urllib.parse import urljoin, urlsplit

import requests
from requests.utils import default_headers, get_environ_proxies, select_proxy
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Timeout
from urllib3.exceptions import DecodeError, HTTPError

from gateway.errors import DeliveryError, Permanent, SpeaksPlainHttp, Uncertain, Unreachable
from gateway.http.address import Address, OddAddress, read_address
from gateway.http.answer import SAFE_METHODS, Answer, Explain, meaning
from gateway.http.deadlines import Watch, Watchdog, WatchedTransport, watching
from gateway.http.fence import check_fence

LARGEST_ANSWER = 16 * 1024 * 1024
PIECE = 64 * 1024
"""Bytes that are read at once."""
MOST_WAYS = 32
"""Hosts whose connections are found without a search. Whoever fetches files meets many hosts."""
MOVED = frozenset({301, 302, 303, 307, 308})


class Session:
    """A keep-alive HTTP client that many threads may share.

    `deadline` is the longest a whole call may take, in seconds. `explain` may name the error for an
    answer that is not 2xx, from what the network says in it; None leaves it to the status code.
    """

    transport: ClassVar[type[WatchedTransport]] = WatchedTransport

    def __init__(
        self, *, deadline: float = 20.0, explain: Explain | None = None, connections: int = 64
    ) -> None:
        self._deadline = deadline
        self._explain = explain
        self._watchdog = Watchdog()
        # Of requests only how a request is written and how a host is reached, not its Session: at
        # every call that would look for ~/.netrc and the proxy variables, merge settings, keep
        # cookies, and find the host's connections anew, which takes half of a call's time.
        self._transport = self.transport(pool_connections=MOST_WAYS, pool_maxsize=connections)
        self._ways: dict[str, _Way] = {}
        self._headers = dict(default_headers())
        self._verify = os.environ.get("REQUESTS_CA_BUNDLE") or True

    def get(self, url: str, **options: Any) -> Answer:
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> Answer:
        return self.request("POST", url, **options)

    def request(self, method: str, url: str, **options: Any) -> Answer:
        """Call and return the whole answer.

        Options as for `requests.Request` (headers, params, json, data, files, auth), and `deadline`
        in seconds for this call only.

        Raises the error that an answer other than 2xx means, `Unreachable` if nothing was written,
        and `Uncertain` if a write may have arrived without our learning of it.
        """
        answer = self.exchange(method, url, **options)
        if 200 <= answer.status < 300:
            return answer
        raise self._error(answer)

    def exchange(self, method: str, url: str, **options: Any) -> Answer:
        """As `request`, but any answer is returned, whatever its status."""
        if method not in SAFE_METHODS:
            check_fence()
        watch = self._start_watch(time.monotonic() + options.pop("deadline", self._deadline))
        try:
            with self._send(method, url, watch, options) as answer:
                body = _read(answer)
            _check_complete(watch)
            return Answer(method, answer.status, answer.headers, body)
        except (requests.RequestException, HTTPError, OSError) as error:
            raise _failure(method, url, error, watch) from error
        finally:
            watch.finish()

    def download(self, url: str, *, redirects: int = 0, **options: Any) -> Iterator[bytes]:
        """What lies at `url`, in pieces, however large it is: whoever reads it counts.

        Up to `redirects` are followed, without `auth` and `headers`, which are for the first
        address only, and never from https to http. Options and errors as for `request`;
        `deadline` holds for the whole download.
        """
        until = time.monotonic() + options.pop("deadline", self._deadline)
        for _ in range(redirects + 1):
            with self.open(url, until=until, **options) as answer:
                if not (onward := redirect_of(url, answer)):
                    if not 200 <= answer.status < 300:
                        refused = answer.status, answer.headers, _read(answer)
                        raise self._error(Answer("GET", *refused))
                    yield from answer.stream(PIECE, decode_content=True)
                    return
            url, options = onward, {}
        raise Permanent("The file's address has too many redirects")

    @contextmanager
    def open(self, url: str, *, until: float, **options: Any) -> Iterator[BaseHTTPResponse]:
        """A GET, answered as far as the headers, with any status: whoever opens it reads the rest.

        All must be read by `until`, in monotonic seconds. Raises `Unreachable`, also for what ends
        too early while it is read.
        """
        watch = self._start_watch(until)
        options["headers"] = {"Accept-Encoding": "identity", **options.get("headers", {})}
        try:
            with self._send("GET", url, watch, options) as answer:
                yield answer
            _check_complete(watch)
        except (requests.RequestException, HTTPError, OSError) as error:
            raise _failure("GET", url, error, watch) from error
        finally:
            watch.finish()

    def close(self) -> None:
        self._watchdog.stop()
        self._transport.close()

    def _start_watch(self, until: float) -> Watch:
        watch = Watch(until)
        self._watchdog.add(watch)
        return watch

    def _send(
        self, method: str, url: str, watch: Watch, options: Mapping[str, Any]
    ) -> BaseHTTPResponse:
        """The answer as far as its headers; `watch` ends the reading of the rest."""
        read_address(url)
        prepared, headers, body = self._prepare(method, url, **options)
        address = read_address(prepared)
        way = self._way_to(address)
        token = watching.set(watch)
        try:
            return way.pool.urlopen(
                method,
                way.target(address),
                body=body,
                headers=headers,
                redirect=False,
                retries=False,
                assert_same_host=False,
                preload_content=False,
                decode_content=False,
                # No time-out for reads: it would cost a system call each, and the watch ends them.
                timeout=Timeout(
                    connect=min(5.0, max(0.001, watch.until - time.monotonic())), read=None
                ),
            )
        finally:
            watching.reset(token)

    def _error(self, answer: Answer) -> DeliveryError:
        return (self._explain and self._explain(answer)) or meaning(answer)

    def _prepare(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> tuple[str, Mapping[str, str], Any]:
        """Address, headers and body of a request."""
        together = {**self._headers, **(headers or {})}
        if options.keys() == {"json"}:
            body = json.dumps(options["json"], allow_nan=False).encode()
            return url, {**together, "Content-Type": "application/json"}, body
        request = requests.PreparedRequest()
        request.prepare(method=method, url=url, headers=together, **options)
        return request.url or url, request.headers, request.body

    def _way_to(self, address: Address) -> _Way:
        origin = address.origin
        way = self._ways.get(origin)
        if way is None:
            if len(self._ways) >= MOST_WAYS:
                self._ways.clear()
            way = self._ways[origin] = self._make_way(address)
        return way

    def _make_way(self, address: Address) -> _Way:
        """Raises `OddAddress` if what would be dialled is not what was read."""
        origin = address.origin
        proxies = get_environ_proxies(origin)
        request = requests.PreparedRequest()
        request.prepare(method="GET", url=origin, headers={})
        found = self._transport.get_connection_with_tls_context(request, self._verify, proxies)
        pool = cast(HTTPConnectionPool, found)
        proxied = bool(select_proxy(origin, proxies))
        if not proxied and (_bare(pool.host), pool.port) != (_bare(address.host), address.port):
            raise OddAddress("The address is read differently by those who dial it")
        named = self._transport.request_url(request, proxies) != "/"
        return _Way(pool, proxied=proxied, named=named)


def _bare(host: str) -> str:
    return host.strip("[]").lower()


@dataclass(frozen=True, slots=True)
class _Way:
    """How a host is reached."""

    pool: HTTPConnectionPool
    proxied: bool
    named: bool
    """Its proxy has to be told the whole address: it makes the request itself."""

    def target(self, address: Address) -> str:
        """What stands in the request's first line."""
        path, _, _ = address.rest.partition("#")
        path = path if path.startswith("/") else f"/{path}"
        return address.origin + path if self.named else path


def redirect_of(url: str, answer: BaseHTTPResponse) -> str:
    """Where an answer sends its caller on; empty if it is not a redirect. Raises `Permanent` if it
    leads from https to another scheme, or to an address that can be read in two ways."""
    if answer.status not in MOVED or "Location" not in answer.headers:
        return ""
    onward = urljoin(url, answer.headers["Location"])
    if onward.partition(":")[0].lower() not in {"https", read_address(url).scheme}:
        raise Permanent("The file's address redirects away from https")
    return read_address(onward).url.partition("#")[0]


def _check_complete(watch: Watch) -> None:
    if watch.expired:
        # What ends with the connection counts as complete for http.client.
        raise TimeoutError("cut off at the deadline")


def _read(answer: BaseHTTPResponse) -> bytes:
    body = bytearray()
    for chunk in answer.stream(PIECE, decode_content=True):
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise DecodeError("the answer is too large")
    return bytes(body)


def _failure(method: str, url: str, error: Exception, watch: Watch) -> DeliveryError:
    host = urlsplit(url).hostname or "?"
    detail = f"{method} {host}: {type(error).__name__}"
    if "WRONG_VERSION_NUMBER" in str(error):  # OpenSSL's word for an answer that is not TLS
        where = urlsplit(url).netloc.rpartition("@")[2]
        return SpeaksPlainHttp(f"{where} speaks http, and the address says https", detail=detail)
    if not watch.written:
        return Unreachable(f"{host} cannot be reached", detail=detail)
    late = watch.expired or isinstance(error, TimeoutError)
    reason = f"{host} did not answer in time" if late else f"{host} closed the connection"
    if method in SAFE_METHODS:
        return Unreachable(reason, detail=detail)
    return Uncertain(reason, detail=detail)
