"""A worker killed with SIGKILL in the middle of its work: nothing lost, doubled or out of order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from gateway import config
from gateway.intake.doorbell import Doorbell, queue_key
from gateway.intake.intake import Intake
from gateway.lanes import Lanes, keys
from gateway.model import Inbound, Person
from sandbox.chatwoot import ChatwootStandIn
from tests.waiting import until

ROOT = Path(__file__).parents[2]
PEOPLE, EACH = 50, 7

CHANNELS = """
[gateway]
public_url = "http://127.0.0.1:1"
public_url_wait = 0
secret = "a long enough secret for the tests"
lease = 2
uncertain_after = 1

[chatwoot.main]
url = "{url}"
account = 1
token = "{token}"
requests_per_minute = 0

[channels.silent]
adapter = "tests.faults.silent:Silent"
inbox = {inbox}
"""


@contextmanager
def worker(file: Path, redis_url: str) -> Iterator[subprocess.Popen[bytes]]:
    environ = {**os.environ, "GATEWAY_CONFIG": str(file), "REDIS_URL": redis_url}
    command = [sys.executable, "-m", "gateway", "worker"]
    with (file.parent / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def posted(chatwoot: ChatwootStandIn) -> dict[str, list[str]]:
    """By conversation's customer: the texts, in the order in which agents see them."""
    return {
        conversation["meta"]["sender"]["name"]: [
            message["content"]
            for message in chatwoot.messages(conversation["id"])
            if not message["content_attributes"].get("deleted")
        ]
        for conversation in chatwoot.conversations()
    }


def test_a_worker_killed_while_it_holds_two_hundred_messages(
    tmp_path: Path, redis_url: str, store: redis.Redis
) -> None:
    with ChatwootStandIn(flood_limit=None) as chatwoot:
        file = tmp_path / "channels.toml"
        inbox = chatwoot.add_inbox("Silent", None)
        file.write_text(CHANNELS.format(url=chatwoot.url, token=chatwoot.access_token, inbox=inbox))
        settings = config.load(file, {"REDIS_URL": redis_url})
        lanes = Lanes(store, queue_key())
        chatwoot.fault("latency", method="POST", path="*/messages", seconds=0.1, times=None)
        messages = [
            Inbound(f"{who}-{n}", f"peer{who}", f"{who}-{n}", Person(name=f"peer{who}"))
            for n in range(EACH)
            for who in range(PEOPLE)
        ]
        Intake(lanes, Doorbell(store)).take(settings.channels["silent"], messages)
        with worker(file, redis_url) as first:
            until(lambda: len(chatwoot.conversations()) >= 40, 30)
            until(lambda: any(len(texts) >= 2 for texts in posted(chatwoot).values()), 30)
            held = sum(store.zcard(keys.lane(lane)) for lane in leased(store))
            first.send_signal(signal.SIGKILL)
            first.wait()
        assert held >= 200
        Doorbell(store).ring()
        with worker(file, redis_url):
            done = "delivered_in|silent"
            until(lambda: int(store.hget(keys.COUNTS, done) or 0) == len(messages), 60)
        expected = {f"peer{who}": [f"{who}-{n}" for n in range(EACH)] for who in range(PEOPLE)}
        assert posted(chatwoot) == expected
        assert int(store.hget(keys.COUNTS, "uncertain|silent") or 0) > 0


def test_a_worker_killed_before_its_conversation_has_its_labels(
    tmp_path: Path, redis_url: str, store: redis.Redis
) -> None:
    with ChatwootStandIn() as chatwoot:
        file = tmp_path / "channels.toml"
        inbox = chatwoot.add_inbox("Silent", None)
        text = CHANNELS.format(url=chatwoot.url, token=chatwoot.access_token, inbox=inbox)
        file.write_text(
            text + '[channels.silent.conversation_defaults]\nlabels = ["new"]\npriority = "low"\n'
        )
        channel = config.load(file, {"REDIS_URL": redis_url}).channels["silent"]
        chatwoot.fault("silence", method="POST", path="*/labels", seconds=60)
        intake = Intake(Lanes(store, queue_key()), Doorbell(store))
        message = keys.message("") + intake.take(channel, [Inbound("1", "peer", "hello")]).ids[0]
        with worker(file, redis_url) as first:
            until(lambda: store.hget(message, "target") == "labels:1", 30)
            until(lambda: not chatwoot.faults.pending(), 30)
            first.send_signal(signal.SIGKILL)
            first.wait()
        assert chatwoot.conversations()[0]["labels"] == []
        Doorbell(store).ring()
        with worker(file, redis_url):
            until(lambda: store.hget(keys.COUNTS, "delivered_in|silent") == "1", 60)
        [shown] = chatwoot.conversations()
        assert (shown["labels"], shown["priority"]) == (["new"], "low")
        written = [each["content"] for each in chatwoot.messages(1) if each["message_type"] == 0]
        assert written == ["hello"]


def leased(store: redis.Redis) -> list[str]:
    return [str(key).removeprefix(keys.lease("")) for key in store.scan_iter(keys.lease("*"))]
