"""Workers of two releases side by side: neither loses what the other has written."""

from __future__ import annotations

import json
from pathlib import Path

import redis

from gateway import config
from gateway.intake.doorbell import Doorbell, queue_key
from gateway.intake.intake import Intake
from gateway.lanes import Lanes, keys
from gateway.model import Inbound, Person
from sandbox.chatwoot import ChatwootStandIn
from tests.faults.roles import posted, running, write_settings
from tests.waiting import until

PEERS, EACH = 12, 6
THIS = "from gateway.relay import lane_worker\nlane_worker.UNKNOWN_VERSION_WAIT = 0.1"
NEXT = """
import json
from gateway.lanes import bodies
bodies._load = lambda body, version: json.loads(body)
"""
"""This release waits less than usual; the next one reads version 2 as well."""


def test_an_older_worker_beside_a_newer_one(
    tmp_path: Path, redis_url: str, store: redis.Redis
) -> None:
    with ChatwootStandIn(flood_limit=None) as chatwoot:
        file = write_settings(tmp_path, chatwoot)
        environ = {"REDIS_URL": redis_url}
        channel = config.load(file, environ).channels["shop"]
        names = [f"peer{who}-{n}" for n in range(EACH) for who in range(PEERS)]
        messages = [Inbound(n, n.split("-")[0], n, Person(name=n.split("-")[0])) for n in names]
        doorbell = Doorbell(store)
        Intake(Lanes(store, queue_key()), doorbell).take(channel, messages)
        for number, name in enumerate(names):
            _as_a_newer_release_writes(store, keys.message(f"i:shop:{name}"), "12"[number % 5 == 0])
        with running("worker", file, environ, patch=THIS):
            until(lambda: any(posted(chatwoot).values()))
            with running("worker", file, environ, patch=NEXT):

                def all_delivered() -> bool:
                    # The older one is so quick to claim anew that hardly anybody rings by himself.
                    doorbell.ring_if_idle()
                    return store.hget(keys.COUNTS, "delivered_in|shop") == str(len(names))

                until(all_delivered, 60)
        expected = {f"peer{who}": [f"peer{who}-{n}" for n in range(EACH)] for who in range(PEERS)}
        assert posted(chatwoot) == expected
        assert not store.exists(keys.DEAD_LETTERS)


def _as_a_newer_release_writes(store: redis.Redis, key: str, version: str) -> None:
    body = json.loads(str(store.hget(key, "body"))) | {"newer": True}
    store.hset(key, mapping={"body": json.dumps(body), "v": version})
