"""Everything starts at once, and no message turns red: whatever is posted finds web listening."""

from __future__ import annotations

import contextlib
from pathlib import Path

import redis

from gateway import config
from gateway.intake.doorbell import Doorbell, queue_key
from gateway.intake.intake import Intake
from gateway.lanes import Lanes
from gateway.model import Inbound, Person
from gateway.observability.heartbeat import last_heartbeats
from sandbox.chatwoot import ChatwootStandIn
from sandbox.chatwoot.records import Event
from sandbox.ports import free_ports
from tests.faults.roles import posted, running, write_settings
from tests.waiting import until


def test_nothing_is_posted_before_web_listens(
    tmp_path: Path, store: redis.Redis, redis_url: str
) -> None:
    [port] = free_ports(1)
    here = f"http://127.0.0.1:{port}"
    environ = {"REDIS_URL": redis_url, "GATEWAY_BIND": f"127.0.0.1:{port}"}
    with contextlib.ExitStack() as stack:
        chatwoot = stack.enter_context(ChatwootStandIn(flood_limit=None))
        file = write_settings(tmp_path, chatwoot)
        waits = file.read_text().replace("http://127.0.0.1:1", here)
        file.write_text(waits.replace("public_url_wait = 0", "public_url_wait = 60"))
        settings = config.load(file, environ)
        channel = settings.channels["shop"]
        chatwoot.set_webhook(channel.config.inbox, settings.chatwoot_url(channel))
        seen = statuses_of(chatwoot)
        message = Inbound("1", "ann", "hello", Person(name="ann"))
        Intake(Lanes(store, queue_key()), Doorbell(store)).take(channel, [message])
        for role in ("worker", "clock"):
            stack.enter_context(running(role, file, environ))
        until(lambda: set(last_heartbeats(store)) == {"worker", "clock"})
        assert posted(chatwoot) == {}
        stack.enter_context(running("web", file, environ))
        until(lambda: posted(chatwoot) == {"ann": ["hello"]})
        assert chatwoot.wait_for_webhooks(10)
        assert seen == {"sent"}


def statuses_of(chatwoot: ChatwootStandIn) -> set[str]:
    """Every status that a message ever has, from now on."""
    seen = set[str]()

    def note(events: list[Event]) -> None:
        for event in events:
            if event.name.startswith("message_"):
                seen.add(chatwoot.store.messages.get(event.subject_id).status)

    chatwoot.store.listeners.append(note)
    return seen
