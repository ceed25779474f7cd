"""What the gateway is measured against."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis
import requests
from rq import Queue, SimpleWorker, Worker
from rq.serializers import JSONSerializer

MESSAGE = {"message_type": "incoming", "private": False, "source_id": "x"}


def run_bare_loop(url: str, messages: int) -> float:
    """Messages a second of the simplest program there is: a loop of `requests` posts."""
    with requests.Session() as session:
        post(session, url)
        started = time.perf_counter()
        for _ in range(messages):
            post(session, url)
        return messages / (time.perf_counter() - started)


def post(session: requests.Session, url: str, text: str = "hello") -> None:
    session.post(
        f"{url}/api/v1/accounts/1/conversations/1/messages", json={**MESSAGE, "content": text}
    ).raise_for_status()


def relay_one(url: str, text: str = "hello") -> None:
    """The work of one job."""
    with requests.Session() as session:
        post(session, url, text)


def run_forked_jobs(url: str, redis_url: str, messages: int) -> float:
    """Messages a second of one forked RQ job per message, as RQ's own worker does it."""
    queue = _queue(redis_url)
    connection = queue.connection
    for _ in range(messages):
        queue.enqueue("bench.baselines.relay_one", url, result_ttl=0)
    worker = Worker([queue], connection=connection, serializer=JSONSerializer)
    started = time.perf_counter()
    worker.work(burst=True, logging_level="WARNING")
    return messages / (time.perf_counter() - started)


@contextmanager
def run_simple_worker(redis_url: str) -> Iterator[Queue]:
    """A queue with one SimpleWorker at it, in a process of its own."""
    command = [sys.executable, "-m", "bench.baselines", redis_url]
    with subprocess.Popen(command) as process:
        try:
            yield _queue(redis_url)
        finally:
            process.kill()


def _queue(redis_url: str) -> Queue:
    connection = redis.Redis.from_url(redis_url)
    return Queue("bench", connection=connection, serializer=JSONSerializer)


if __name__ == "__main__":
    queue = _queue(sys.argv[1])
    SimpleWorker([queue], connection=queue.connection, serializer=JSONSerializer).work(
        logging_level="WARNING"
    )
