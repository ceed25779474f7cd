"""The doorbell: an RQ job that says «something may be due», and nothing else."""

from __future__ import annotations

import logging
from contextlib import suppress

import redis
from rq import Queue
from rq.serializers import JSONSerializer

QUEUE = "gateway"
DRAIN = "gateway.worker.drain"
"""Frozen: an older worker must understand the ring of a newer web process, and the reverse."""

FAILURE_SECONDS = 3600

log = logging.getLogger(__name__)


def queue(connection: redis.Redis) -> Queue:
    """The one queue. JSON, because a pickle from Redis could run anything."""
    return Queue(QUEUE, connection=connection, serializer=JSONSerializer)


def queue_key() -> str:
    """RQ's list of waiting jobs."""
    return f"{Queue.redis_queue_namespace_prefix}{QUEUE}"


class Doorbell:
    """Rings for a drain. `connection` must not decode responses: RQ reads bytes."""

    def __init__(self, connection: redis.Redis) -> None:
        self._queue = queue(connection)

    def ring_if_idle(self) -> None:
        """Ask for a drain unless one is already asked for, or Redis is away."""
        with suppress(redis.RedisError):
            if self._queue.is_empty():
                self.ring()

    def ring(self) -> bool:
        """Ask for a drain. False if that failed; nothing is lost, because the clock rings too."""
        try:
            self._queue.enqueue(
                DRAIN,
                job_timeout=-1,
                result_ttl=0,
                failure_ttl=FAILURE_SECONDS,
                description="drain",
            )
        except redis.RedisError as error:
            log.warning("ring failed: %s", type(error).__name__)
            return False
        return True
