"""A message that kills its workers is buried, and what stands behind it goes on."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import redis

from gateway import config
from gateway.chatwoot.webhook import read
from gateway.intake.doorbell import Doorbell, queue_key
from gateway.intake.intake import Intake
from gateway.lanes import DeadLetters, Lanes, keys
from gateway.model import Inbound, Person
from gateway.relay.retry_policy import DEATHS
from sandbox.chatwoot import ChatwootStandIn
from tests.faults.roles import running, write_settings
from tests.relay.env import webhook
from tests.waiting import until

PEERS = 6


def test_a_message_that_kills_one_worker_after_the_other_is_buried(
    tmp_path: Path, redis_url: str, store: redis.Redis
) -> None:
    sent = tmp_path / "sent"
    sent.touch()
    with ChatwootStandIn(flood_limit=None) as chatwoot:
        more = f'adapter = "tests.faults.deadly:Deadly"\nsent = "{sent}"'
        file = write_settings(tmp_path, chatwoot, channel=more)
        environ = {"REDIS_URL": redis_url}
        channel = config.load(file, environ).channels["shop"]
        lanes, doorbell = Lanes(store, queue_key()), Doorbell(store)
        intake = Intake(lanes, doorbell)
        people = [Inbound(f"m{n}", f"peer{n}", "hello", Person(name=f"{n}")) for n in range(PEERS)]
        intake.take(channel, people)
        with running("worker", file, environ):
            until(lambda: store.hget(keys.COUNTS, "delivered_in|shop") == str(PEERS))
        for text in ("before", "poison", "after"):
            for conversation in range(1, PEERS + 1 if text != "poison" else 2):
                number = chatwoot.agent_reply(conversation, text)
                event = webhook(chatwoot, conversation, number, "message_created")
                assert intake.take_event(channel, read(event)) == "accepted"
        deaths = 0
        while deaths <= DEATHS:
            doorbell.ring()
            with running("worker", file, environ) as worker:
                if _survives(worker, store):
                    break
            deaths += 1
        assert deaths == DEATHS
        (letter,) = DeadLetters(store).list()
        assert f"the worker died in {DEATHS} attempts" in letter.reason
        texts = sent.read_text().split()
        doubled = [texts.count(text) - PEERS for text in ("before", "after")]
        assert min(doubled) >= 0
        # What was on its way when the poison struck may have arrived: counted, and sent again.
        assert sum(doubled) < int(store.hget(keys.COUNTS, "uncertain|shop") or 0)
        shown = {m["content"]: m["status"] for m in chatwoot.messages(1)}
        assert (shown["poison"], shown["after"]) == ("failed", "sent")


def _survives(worker: subprocess.Popen[bytes], store: redis.Redis) -> bool:
    """Until the worker is dead, or everything is delivered or given up on."""
    deadline = time.monotonic() + 40
    while worker.poll() is None:
        assert time.monotonic() < deadline, "neither dead nor done"
        if not list(store.scan_iter(keys.lane("*"))):
            return True
        time.sleep(0.02)
    return False
