"""What the gateway is measured against."""

from __future__ import annotations

import time

import redis
import requests
from rq import Queue, Worker
from rq.serializers import JSONSerializer

MESSAGE = {"content": "hello", "message_type": "incoming", "private": False, "source_id": "x"}


def bare_loop(url: str, messages: int) -> float:
    """Messages a second of the simplest program there is: a loop of `requests` posts."""
    with requests.Session() as session:
        post(session, url)
        started = time.perf_counter()
        for _ in range(messages):
            post(session, url)
        return messages / (time.perf_counter() - started)


def post(session: requests.Session, url: str) -> None:
    session.post(
        f"{url}/api/v1/accounts/1/conversations/1/messages", json=MESSAGE
    ).raise_for_status()


def relay_one(url: str) -> None:
    """The work of one job."""
    with requests.Session() as session:
        post(session, url)


def forked_jobs(url: str, redis_url: str, messages: int) -> float:
    """Messages a second of one forked RQ job per message, as RQ's own worker does it."""
    connection = redis.Redis.from_url(redis_url)
    queue = Queue("bench", connection=connection, serializer=JSONSerializer)
    for _ in range(messages):
        queue.enqueue("bench.baselines.relay_one", url, result_ttl=0)
    worker = Worker([queue], connection=connection, serializer=JSONSerializer)
    started = time.perf_counter()
    worker.work(burst=True, logging_level="WARNING")
    return messages / (time.perf_counter() - started)
