"""Connections to Redis: few, bounded in time, and never silently more than were asked for."""

from __future__ import annotations

import os
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
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        health_check_interval=30,
        decode_responses=True,
        retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), retries),
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
