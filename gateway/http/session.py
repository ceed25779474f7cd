"""HTTP to the outside: every call has an end, and every answer a meaning."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, cast
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests
from requests.utils import default_headers, get_environ_proxies, select_proxy
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Timeout
from urllib3.exceptions import DecodeError, HTTPError

from gateway.errors import (
    BadCredentials,
    DeliveryError,
    Permanent,
    Retry,
    ServerTrouble,
    Throttled,
    Uncertain,
    Unreachable,
)
from gateway.http.deadlines import Watch, Watchdog, WatchedTransport, watching

LARGEST_ANSWER = 16 * 1024 * 1024
PIECE = 64 * 1024
"""Bytes that are read at once."""
MOST_WAYS = 32
"""Hosts whose connections are found without a search. Whoever fetches files meets many hosts."""
MOVED = frozenset({301, 302, 303, 307, 308})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
UNHEARD = frozenset({502, 504, 520, 524})
"""What a proxy says that has passed a request on and heard nothing of use. The last two are
Cloudflare's: the connection ended without an answer, or none came within its time."""

fence: ContextVar[Callable[[], None] | None] = ContextVar("fence", default=None)
"""Called immediately before each write to the outside; raises `LeaseLost` if the right is gone."""


def check_fence() -> None:
    """To be called immediately before a write that does not go through a `Session`."""
    if (check := fence.get()) is not None:
        check()


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer: nothing of it is still on the way."""

    method: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", errors="replace")

    def json(self) -> Any:
        """The body as JSON. If it is none: `Uncertain` after a write, else `ServerTrouble`."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise self.nonsense("it is not JSON") from None

    def json_or_none(self) -> Any:
        """The body as JSON; None if it is none. For reading errors, which come in any shape."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def field(self, name: str) -> str:
        """The text under `name` in a JSON object. If there is none, an error as `json` has it."""
        match self.json():
            case dict() as content if isinstance(content.get(name), str) and content[name]:
                return str(content[name])
        raise self.nonsense(f"it has no {name}")

    def nonsense(self, what: str) -> DeliveryError:
        """The error for an answer of 2xx that does not say what it should."""
        reason = "The other side gave an answer that makes no sense"
        detail = f"{self.method} {self.status}: {what}: {self.text[:200]!r}"
        if self.method in SAFE_METHODS:
            return ServerTrouble(reason, detail=detail)
        return Uncertain(reason, detail=detail)

    @property
    def retry_after(self) -> float | None:
        """Seconds from a Retry-After header that gives a number; None otherwise."""
        try:
            seconds = float(self.headers.get("Retry-After", ""))
        except ValueError:
            return None
        return max(0.0, seconds) if math.isfinite(seconds) else None


Explain: TypeAlias = Callable[[Answer], DeliveryError | None]


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
        watch = self._watch(options)
        try:
            with self._sent(method, url, watch, options) as answer:
                body = _read(answer)
            _check_complete(watch)
            return Answer(method, answer.status, answer.headers, body)
        except (requests.RequestException, HTTPError, OSError) as error:
            raise _what_failed(method, url, error, watch) from error
        finally:
            watch.done()

    def download(self, url: str, *, redirects: int = 0, **options: Any) -> Iterator[bytes]:
        """What lies at `url`, in pieces, however large it is: whoever reads it counts.

        Up to `redirects` are followed, without `auth` and `headers`, which are for the first
        address only, and never from https to http. Options and errors as for `request`;
        `deadline` holds for the whole download.
        """
        watch = self._watch(options)
        options["headers"] = {"Accept-Encoding": "identity", **options.get("headers", {})}
        try:
            for _ in range(redirects + 1):
                with self._sent("GET", url, watch, options) as answer:
                    if onward := _onward(url, answer):
                        url, options = onward, {"headers": {"Accept-Encoding": "identity"}}
                        continue
                    if not 200 <= answer.status < 300:
                        refused = answer.status, answer.headers, _read(answer)
                        raise self._error(Answer("GET", *refused))
                    yield from answer.stream(PIECE, decode_content=True)
                _check_complete(watch)
                return
            raise Permanent("The file's address leads on and on")
        except (requests.RequestException, HTTPError, OSError) as error:
            raise _what_failed("GET", url, error, watch) from error
        finally:
            watch.done()

    def close(self) -> None:
        self._watchdog.stop()
        self._transport.close()

    def _watch(self, options: dict[str, Any]) -> Watch:
        """The deadline of one call, which is taken out of its options."""
        watch = Watch(time.monotonic() + options.pop("deadline", self._deadline))
        self._watchdog.add(watch)
        return watch

    def _sent(
        self, method: str, url: str, watch: Watch, options: Mapping[str, Any]
    ) -> BaseHTTPResponse:
        """The answer as far as its headers; `watch` ends the reading of the rest."""
        address, headers, body = self._written(method, url, **options)
        way = self._way(address)
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

    def _written(
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

    def _way(self, url: str) -> _Way:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        way = self._ways.get(origin)
        if way is None:
            if len(self._ways) >= MOST_WAYS:
                self._ways.clear()
            way = self._ways[origin] = self._new_way(origin)
        return way

    def _new_way(self, origin: str) -> _Way:
        proxies = get_environ_proxies(origin)
        request = requests.PreparedRequest()
        request.prepare(method="GET", url=origin, headers={})
        found = self._transport.get_connection_with_tls_context(request, self._verify, proxies)
        pool = cast(HTTPConnectionPool, found)
        named = self._transport.request_url(request, proxies) != "/"
        return _Way(pool, proxied=bool(select_proxy(origin, proxies)), named=named)


@dataclass(frozen=True, slots=True)
class _Way:
    """How a host is reached."""

    pool: HTTPConnectionPool
    proxied: bool
    named: bool
    """Its proxy has to be told the whole address: it makes the request itself."""

    def target(self, url: str) -> str:
        scheme, host, path, query, _ = urlsplit(url)
        if not self.named:
            scheme = host = ""
        return urlunsplit((scheme, host, path or "/", query, ""))


def meaning(answer: Answer) -> DeliveryError:
    """The error that a status code means when nothing better is known."""
    status, detail = answer.status, f"{answer.method} {answer.status}: {answer.text[:500]!r}"
    if status == 429:
        return Throttled("Sending too fast", after=answer.retry_after, detail=detail)
    if status in {401, 403}:
        return BadCredentials("The access token or password is refused", detail=detail)
    if status in UNHEARD and answer.method not in SAFE_METHODS:
        # A proxy speaks here: what stands behind it may have done the work.
        return Uncertain("No answer came from behind the proxy", detail=detail)
    if status >= 500 or status == 408:
        return ServerTrouble("The other side has trouble", after=answer.retry_after, detail=detail)
    if 300 <= status < 400:
        where = answer.headers.get("Location", "elsewhere")
        return Retry(f"The address has moved to {where[:200]}: mend the configuration")
    return Permanent(f"Refused with status {status}", detail=detail)


def _onward(url: str, answer: BaseHTTPResponse) -> str:
    """Where a redirect leads; empty if the answer is none."""
    if answer.status not in MOVED or "Location" not in answer.headers:
        return ""
    onward = urljoin(url, answer.headers["Location"])
    if urlsplit(onward).scheme not in {"https", urlsplit(url).scheme}:
        raise Permanent("The file's address leads away from https")
    return onward


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


def _what_failed(method: str, url: str, error: Exception, watch: Watch) -> DeliveryError:
    host = urlsplit(url).hostname or "?"
    detail = f"{method} {host}: {type(error).__name__}"
    if not watch.written:
        return Unreachable(f"{host} cannot be reached", detail=detail)
    late = watch.expired or isinstance(error, TimeoutError)
    reason = f"{host} did not answer in time" if late else f"{host} broke the connection off"
    if method in SAFE_METHODS:
        return Unreachable(reason, detail=detail)
    return Uncertain(reason, detail=detail)
