"""Connections to Redis: few, bounded in time, and never silently more than were asked for."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.connection import AbstractConnection
from redis.retry import Retry
from redis.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from gateway.config.sentinels import Sentinels, are_sentinels, from_url

CONNECT_SECONDS = 5.0
TLS_VERIFY, OFF = "REDIS_TLS_VERIFY", "off"
SENTINEL_SECONDS = 1.0
"""The longest that one sentinel may take to answer before the next is asked."""


def connect(
    url: str,
    *,
    connections: int,
    timeout: float = 5.0,
    retries: int,
    greet: Callable[[Any], None] | None = None,
) -> redis.Redis:
    """A client with a pool of at most `connections`; a thread that finds none free waits.

    `url` may name sentinels (`gateway.config.sentinels`): then the server is called that is the
    primary at that moment.
    `timeout` (seconds) bounds connecting, every answer and the wait for a free connection.
    `retries` is how often a command is repeated when its connection breaks: 0 where a quick
    error is better than a late success. Nothing is opened before the first command.
    `greet` is called with each connection that is made, before anything else uses it; it begins
    with `connection.on_connect_check_health(check_health=False)`.

    Raises ValueError if `url` is not the address of a Redis server. The client's commands raise
    `redis.ConnectionError` and `redis.TimeoutError`.
    """
    options: dict[str, Any] = {"decode_responses": True}
    if greet is not None:
        options["redis_connect_func"] = greet
    return _make_client(url, connections, timeout, retries, options)


def connect_bytes(url: str, *, connections: int, timeout: float = 5.0, retries: int) -> redis.Redis:
    """As `connect`, but answers are `bytes`, as RQ wants them."""
    return _make_client(url, connections, timeout, retries, {})


def connect_worker(url: str, *, timeout: float) -> redis.Redis:
    """The one connection of an RQ worker, which blocks on it for a little less than `timeout`.

    It is patient: a command is repeated for some seconds while Redis restarts or fails over, for
    RQ's loop does not survive an error at every step.
    """
    options = {
        "socket_timeout": timeout,
        "socket_connect_timeout": CONNECT_SECONDS,
        "retry": Retry(ExponentialWithJitterBackoff(base=0.1, cap=2), 8),
    }
    if are_sentinels(url):
        return _make_sentinel_client(from_url(url), SentinelConnectionPool, options)
    pool = redis.ConnectionPool.from_url(url, **_addressed(url), **options)
    return redis.Redis.from_pool(pool)


def _make_client(
    url: str, connections: int, timeout: float, retries: int, options: Mapping[str, Any]
) -> redis.Redis:
    bounds = {
        "max_connections": connections,
        "timeout": timeout,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "health_check_interval": 30,
        "retry": Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), retries),
        **options,
    }
    if are_sentinels(url):
        return _make_sentinel_client(from_url(url), _WaitingPool, bounds)
    pool = redis.BlockingConnectionPool.from_url(url, **_addressed(url), **bounds)
    return redis.Redis.from_pool(pool)


def _addressed(url: str) -> dict[str, Any]:
    """What a pool needs for connections to `url`."""
    kinds = {"rediss": _EncryptedOnce, "unix": _SocketOnce}
    return {"connection_class": kinds.get(urlsplit(url).scheme, _PlainOnce), **encryption(url)}


def _make_sentinel_client(
    sentinels: Sentinels, pool: type[SentinelConnectionPool], options: Mapping[str, Any]
) -> redis.Redis:
    client: redis.Redis = _Directory(sentinels).master_for(  # type: ignore[no-untyped-call]
        sentinels.name,
        connection_pool_class=pool,
        connection_class=_Encrypted if sentinels.encrypted else _Plain,
        db=sentinels.database,
        **sentinels.server.options(),
        **_encryption(encrypted=sentinels.encrypted),
        **options,
    )
    return client


def each_sentinel(sentinels: Sentinels) -> Iterator[tuple[tuple[str, int], redis.Redis]]:
    """The address of each sentinel, with a client that gives up quickly: there are others."""
    for host, port in sentinels.addresses:
        yield (
            (host, port),
            redis.Redis(
                host,
                port,
                socket_timeout=SENTINEL_SECONDS,
                socket_connect_timeout=SENTINEL_SECONDS,
                retry=Retry(NoBackoff(), 0),
                ssl=sentinels.encrypted,
                decode_responses=True,
                **sentinels.sentinel.options(),
                **_encryption(encrypted=sentinels.encrypted),
            ),
        )


class _Directory(Sentinel):
    """Asked by one thread at a time: redis-py's own puts the sentinel that answered first in the
    list, and two threads that do so at once can lose a third."""

    def __init__(self, sentinels: Sentinels) -> None:
        super().__init__([])  # type: ignore[no-untyped-call]
        self.sentinels = [client for _, client in each_sentinel(sentinels)]
        self._lock = threading.Lock()

    def discover_master(self, service_name: str) -> tuple[str, int]:
        with self._lock:
            found: tuple[str, int] = super().discover_master(service_name)  # type: ignore[no-untyped-call]
        return found


class _ConnectsOnce(AbstractConnection):
    """Tries once to connect, for its caller repeats the whole command. Redis-py's own repeats it
    within each repetition: a server that cannot be reached would hold up a caller for minutes."""

    def connect_check_health(
        self, check_health: bool = True, retry_socket_connect: bool = True
    ) -> None:
        super().connect_check_health(check_health, retry_socket_connect=False)


class _PlainOnce(_ConnectsOnce, redis.Connection):
    pass


class _EncryptedOnce(_ConnectsOnce, redis.SSLConnection):
    pass


class _SocketOnce(_ConnectsOnce, redis.UnixDomainSocketConnection):
    pass


class _FollowsThePrimary(_ConnectsOnce, redis.Connection):
    """Asks where the primary is each time that it connects. Redis-py's own asks only for the first
    time: a command that is repeated would be repeated at a server that is not there any more."""

    connection_pool: Any

    def connect(self) -> None:
        redis.Connection.connect(self)  # type: ignore[no-untyped-call]

    def _connect(self) -> Any:
        self.host, self.port = self.connection_pool.get_master_address()
        return super()._connect()  # type: ignore[no-untyped-call]


class _Plain(_FollowsThePrimary, SentinelManagedConnection):
    pass


class _Encrypted(_FollowsThePrimary, SentinelManagedSSLConnection):
    pass


class _WaitingPool(SentinelConnectionPool, redis.BlockingConnectionPool):
    """Redis-py's pool of connections to the primary refuses when all are in use; this one waits."""


def encryption(url: str) -> dict[str, Any]:
    """What a client of `url` needs for TLS: the server's certificate is verified, unless
    `REDIS_TLS_VERIFY=off`.

    Heroku's Redis shows a certificate that it has signed itself
    (https://devcenter.heroku.com/articles/connecting-heroku-redis), so it cannot be verified.
    """
    return _encryption(encrypted=urlsplit(url).scheme == "rediss")


def is_unverified(url: str) -> bool:
    """Whether whoever answers at `url`, over TLS, is taken for our Redis."""
    encrypted = from_url(url).encrypted if are_sentinels(url) else urlsplit(url).scheme == "rediss"
    return encrypted and os.environ.get(TLS_VERIFY) == OFF


def _encryption(*, encrypted: bool) -> dict[str, Any]:
    if not encrypted:
        return {}
    if os.environ.get(TLS_VERIFY) == OFF:
        return {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    return {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
