"""A worker that reaches its Redis no more for a while, as behind a broken network."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import redis

from gateway import config
from gateway.intake.doorbell import Doorbell, queue_key
from gateway.intake.intake import Intake
from gateway.lanes import Lanes
from gateway.model import Inbound, Person
from sandbox.chatwoot import ChatwootStandIn
from tests.faults.partition import Network
from tests.faults.roles import posted, running, write_settings
from tests.waiting import until

TENTH = """
import functools
from gateway import worker
worker.connect = functools.partial(worker.connect, timeout=0.5)
worker.LISTEN, worker.RQ_GRACE, worker.SHORTEST_STALL = 1.5, 1, 4.0
"""
"""Waits for Redis last a tenth or less of what they do."""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops calls to a full listener")
def test_a_worker_outlives_a_network_that_is_cut_and_goes_on(
    tmp_path: Path, redis_url: str, store: redis.Redis
) -> None:
    with ChatwootStandIn(flood_limit=None) as chatwoot, Network.before(redis_url) as network:
        file = write_settings(tmp_path, chatwoot)
        environ = {"REDIS_URL": network.url}
        channel = config.load(file, environ).channels["shop"]
        intake = Intake(Lanes(store, queue_key()), Doorbell(store))

        def send(number: int) -> None:
            intake.take(channel, [Inbound(f"{number}", "ann", f"{number}", Person(name="ann"))])

        def has_given_up() -> bool:
            return "drain_broken_off" in (tmp_path / "worker.log").read_text()

        with running("worker", file, environ, patch=TENTH) as worker:
            send(1)
            until(lambda: posted(chatwoot) == {"ann": ["1"]})
            with network.cut():
                until(lambda: has_given_up() or worker.poll() is not None)
            assert worker.poll() is None
            send(2)
            until(lambda: posted(chatwoot) == {"ann": ["1", "2"]})
            assert worker.poll() is None
