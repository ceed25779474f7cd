"""Recorded webhooks, mutated: an answer to each, and an end for whatever was accepted.

`FUZZ=10000` is the long run; `FUZZ_SEED` throws other dice. A failure shows what was sent.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import urlencode

import pytest
import redis
from flask.testing import FlaskClient

from gateway.adapter import Adapter
from gateway.config import Channel, Settings
from gateway.lanes import keys
from gateway.model import WebRequest
from gateway.runtime import Runtime
from gateway.web import create_app
from sandbox.chatwoot import ChatwootStandIn, payloads
from sandbox.chatwoot.records import Event, Upload
from tests.adapters.contract import with_one_changed
from tests.adapters.subjects import SUBJECTS, Subject
from tests.relay.env import Env, opened, settings_for
from tests.scripted import ScriptedServer, answer

INPUTS = int(os.environ.get("FUZZ", "300"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
BATCH = 100
REFUSED_OR_TAKEN = frozenset({200, 400, 403, 404, 413})
ROUNDS = 60
"""How often time passes until nothing may be left: more than anything is tried."""
SECRET = "webhookSecret123"


@dataclass
class Fuzzed:
    """A gateway, and what its two sides send in good faith."""

    env: Env
    client: FlaskClient
    subjects: dict[str, Subject]
    chatwoot: list[Any]

    def from_network(self, name: str, body: bytes, query: Any) -> int:
        subject, channel = self.subjects[name], self.env.settings.channels[name]
        request = subject.request(body, query)
        url = self.env.settings.webhook_url(channel)
        request = replace(request, url=request.url.replace(WEBHOOK_OF_SUBJECTS, url))
        signed = _signed_for(self.env.settings, channel, subject, request)
        return self.client.post(
            f"/channels/{name}/webhook",
            data=body,
            query_string=query,
            headers=dict(signed.headers),
            content_type=subject.content_type,
        ).status_code

    def from_chatwoot(self, body: bytes) -> int:
        settings = self.env.settings
        token = settings.path_tokens(self.env.channel)[0]
        return self.client.post(f"/chatwoot/cards/{token}", data=body).status_code

    def settle(self) -> None:
        """Drain and let time pass, until nothing waits; whatever never ends is a stuck lane."""
        for n in range(ROUNDS):
            # Others get through meanwhile: else what always fails is not to blame for it.
            self.env.customer_writes("fine", peer="fine", number=f"fine {time.time_ns()} {n}")
            self.env.drain(linger=0.01)
            if not list(self.env.store.scan_iter(keys.lane("*"))):
                return
            self.env.make_due()
        stuck = [
            self.env.store.hgetall(keys.message(message))
            for lane in self.env.store.scan_iter(keys.lane("*"))
            for message in cast(list[str], self.env.store.zrange(lane, 0, 0))
        ]
        pytest.fail(f"these never ended: {stuck}")

    def check_ends(self) -> None:
        """Every message is delivered, withdrawn, or buried with a reason."""
        store = self.env.store
        for key in store.scan_iter(keys.message("*")):
            known = cast(dict[str, str], store.hgetall(key))
            assert known["state"] in {"done", "dead", "withdrawn"}, known
        assert all(letter.reason for letter in self.env.dead.list(limit=100_000))

    def check_worth(self, accepted: str) -> None:
        """Mutations that are all refused at the door would try nothing behind it."""
        assert int(self.env.store.hget(keys.COUNTS, accepted) or 0) >= INPUTS // 30


WEBHOOK_OF_SUBJECTS = "https://gw.example/channels/front/webhook"


def _signed_for(
    settings: Settings, channel: Channel, subject: Subject, request: WebRequest
) -> WebRequest:
    """As the subject signs; Telegram hands back the secret that this gateway made."""
    signed = subject.sign(request)
    ours = settings.webhook_secret(channel)
    headers = {name: ours if value == SECRET else value for name, value in signed.headers.items()}
    return replace(signed, headers=headers)


@pytest.fixture
def fuzzed(redis_url: str, store: redis.Redis) -> Iterator[Fuzzed]:
    runtime = Runtime()
    with ChatwootStandIn(flood_limit=None) as chatwoot, ScriptedServer() as network:
        base = settings_for(chatwoot, chatwoot.add_inbox("Cards", None), redis_url, brake=0)
        unlimited = {"requests_per_minute": 0, "messages_per_minute": 0}
        account = base.accounts["main"].model_copy(update=unlimited)
        channels = {"cards": replace(base.channels["cards"], account=account)}
        subjects = {kind.kind: kind(runtime) for kind in SUBJECTS}
        for subject in subjects.values():
            subject.prepare(network)
        # Of every file: it is gone.
        gone = {"ok": False, "error_code": 400, "description": "Bad Request: wrong file_id"}
        network.otherwise = answer(400, gone)
        for name, subject in subjects.items():
            given = {
                "adapter": name,
                "inbox": chatwoot.add_inbox(name, None),
                "api_url": network.url,
                "brake": 0,
                **subject.settings(),
            }
            adapter: type[Adapter] = subject.adapter_class
            channels[name] = Channel(name, adapter.Config(**given), adapter, account)
        settings = Settings(base.gateway, {"main": account}, channels, base.path)
        with opened(settings, chatwoot, store) as env:
            app = create_app(settings, store=store, intake=env.intake, runtime=runtime)
            yield Fuzzed(env, app.test_client(), subjects, _good_faith(env, chatwoot))
    runtime.close()


def _good_faith(env: Env, chatwoot: ChatwootStandIn) -> list[Any]:
    """Everything that Chatwoot tells of one conversation that has seen a lot."""
    env.customer_writes("hello")
    env.customer_writes("and me", peer="p2")
    env.drain()
    cat = Upload("cat.png", "image/png", b"\x89PNG")
    choices = [{"title": "Yes", "value": "y"}, {"title": "No", "value": "n"}]
    told = [
        chatwoot.agent_reply(1, "**hi**"),
        chatwoot.agent_reply(1, "a note", private=True),
        chatwoot.agent_reply(1, None, attachments=[cat]),
        chatwoot.agent_reply(1, "this", in_reply_to=1),
        chatwoot.interactive_reply(1, "Well?", "input_select", choices),
        chatwoot.automatic_reply(1, "We are closed"),
        chatwoot.agent_reply(2, "gone"),
    ]
    chatwoot.agent_delete(told[-1])
    inbox, user = env.channel.config.inbox, {"id": 1, "name": "Bob", "type": "user"}
    events = [
        Event(f"message_{what}", 1, inbox, n) for what in ("created", "updated") for n in told
    ]
    events += [
        Event("conversation_typing_on", 1, inbox, 1, {"user": user, "is_private": False}),
        Event("conversation_status_changed", 1, inbox, 1, {"changed_attributes": [{"status": {}}]}),
        Event("conversation_created", 1, inbox, 1),
        Event("contact_updated", 1, inbox, 1, {"changed_attributes": []}),
    ]
    with chatwoot.store.reading():
        return [payloads.payload(chatwoot.store, event) for event in events]


def mutated(value: Any, dice: random.Random) -> bytes:
    """Up to two values changed; or bytes of the body; or what is left of a body cut off."""
    for _ in range(dice.randint(0, 2)):
        value = with_one_changed(value, dice)
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    luck = dice.random()
    if luck < 0.1:
        return body[: dice.randrange(len(body) + 1)]
    if luck < 0.25 and body:
        broken = bytearray(body)
        for _ in range(dice.randint(1, 4)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        return bytes(broken)
    return body


IDS = {
    "telegram": {"message_id"},
    "twilio": {"MessageSid", "SmsMessageSid", "SmsSid"},
    "acme": {"id"},
}
"""Where each network has the id of a message."""


def with_new_ids(value: Any, keys: set[str], number: int) -> Any:
    """Else all would be repetitions of a few messages, and refused as such."""
    if isinstance(value, list):
        return [with_new_ids(each, keys, number) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: (type(each)(number) if key in keys else with_new_ids(each, keys, number))
        for key, each in value.items()
    }


def with_new_id(payload: Any, dice: random.Random) -> Any:
    """A message of Chatwoot, mostly another one."""
    if "id" in payload and "message_type" in payload:
        return {**payload, "id": dice.choice([payload["id"], dice.randrange(1, 2**31)])}
    return payload


def test_whatever_chatwoot_says_has_an_answer_and_an_end(fuzzed: Fuzzed) -> None:
    dice = random.Random(SEED)
    for start in range(0, INPUTS, BATCH):
        for _ in range(min(BATCH, INPUTS - start)):
            body = mutated(with_new_id(dice.choice(fuzzed.chatwoot), dice), dice)
            status = fuzzed.from_chatwoot(body)
            assert status in REFUSED_OR_TAKEN, (status, body)
        fuzzed.settle()
        fuzzed.check_ends()
    fuzzed.check_worth("accepted_out|cards")


@pytest.mark.parametrize("name", [subject.kind for subject in SUBJECTS])
def test_whatever_a_network_says_has_an_answer_and_an_end(fuzzed: Fuzzed, name: str) -> None:
    dice, subject = random.Random(SEED), fuzzed.subjects[name]
    cases = list(subject.cases("parse").values())
    for start in range(0, INPUTS, BATCH):
        for _ in range(min(BATCH, INPUTS - start)):
            case = dice.choice(cases)
            content = with_new_ids(case["request"], IDS[name], dice.randrange(1, 2**31))
            if isinstance(content, str):
                body = mutated_text(content, dice)
            elif subject.content_type == "application/json":
                body = mutated(content, dice)
            else:
                changed = with_one_changed(content, dice)
                form = changed if isinstance(changed, dict) else content
                body = mutated_text(urlencode(form, errors="surrogatepass"), dice)
            status = fuzzed.from_network(name, body, case.get("query"))
            assert status in REFUSED_OR_TAKEN, (status, body)
        fuzzed.settle()
        fuzzed.check_ends()
    fuzzed.check_worth(f"accepted_in|{name}")


def mutated_text(text: str, dice: random.Random) -> bytes:
    broken = bytearray(text.encode())
    for _ in range(dice.randint(0, 3) if broken else 0):
        broken[dice.randrange(len(broken))] = dice.randrange(256)
    return bytes(broken)
