"""Connections to Redis: few, bounded in time, and never silently more than were asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry


def connect(url: str, *, connections: int, timeout: float = 5.0, retries: int) -> redis.Redis:
    """A client with a pool of at most `connections`; a thread that finds none free waits.

    `timeout` (seconds) bounds connecting, every answer and the wait for a free connection.
    `retries` is how often a command is repeated when its connection breaks: 0 where a quick
    error is better than a late success. Nothing is opened before the first command.

    Raises ValueError if `url` is no Redis address. The client's commands raise
    `redis.ConnectionError` and `redis.TimeoutError`.
    """
    return _client(url, connections, timeout, retries, {"decode_responses": True})


def connect_bytes(url: str, *, connections: int, timeout: float = 5.0, retries: int) -> redis.Redis:
    """As `connect`, but answers are `bytes`, as RQ wants them."""
    return _client(url, connections, timeout, retries, {})


def _client(
    url: str, connections: int, timeout: float, retries: int, options: Mapping[str, Any]
) -> redis.Redis:
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        health_check_interval=30,
        retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), retries),
        **options,
        **encryption(url),
    )
    return redis.Redis.from_pool(pool)


def encryption(url: str) -> dict[str, Any]:
    """What a client of `url` has to be told about TLS.

    Heroku's Redis shows a certificate that it has signed itself
    (https://devcenter.heroku.com/articles/connecting-heroku-redis), so it cannot be verified.
    `GATEWAY_REDIS_VERIFY=1` insists, for servers whose certificate can be.
    """
    if urlsplit(url).scheme != "rediss" or os.environ.get("GATEWAY_REDIS_VERIFY") == "1":
        return {}
    return {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
