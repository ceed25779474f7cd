"""An adapter that hands on whatever its network says, NULs and halves of surrogate pairs too."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import redis

from gateway.errors import Permanent
from gateway.lanes import keys
from gateway.model import Attachment, Part, Person, Receipt, Sent, Status
from tests.relay.env import Env

BAD = "a\0b\ud83d"
GOOD = "ab?"


def hostile(part: Part) -> Sent:
    if part.text == "refuse":
        raise Permanent(f"Refused: {BAD}", detail=BAD)
    return Sent(f"{part.id}{BAD}", (BAD,))


def fetched(attachment: Attachment) -> Iterator[bytes]:
    if attachment.id != f"1{GOOD}":
        raise Permanent(f"It is gone: {BAD}")
    yield b"bytes"


def write_everything(env: Env) -> None:
    env.customer_writes(
        BAD,
        number=f"1{BAD}",
        peer=f"peer{BAD}",
        quoted=BAD,
        thread="",
        reply_to=BAD,
        person=Person(name=BAD, username=BAD, language=BAD, identifier=f"cards:{BAD}"),
        attachments=(Attachment(f"1{BAD}", BAD, BAD), Attachment(f"2{BAD}", f"{BAD}.txt")),
        context={BAD: BAD},
        attributes={BAD: BAD},
        press=BAD,
    )


def test_what_a_hostile_adapter_makes_is_stored_and_shown(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(env.network, "open", fetched)
    write_everything(env)
    env.drain_until(lambda: env.count("delivered_in") == 1)
    [shown] = env.incoming()
    assert GOOD in shown
    assert f"It is gone: {GOOD}" in shown
    [conversation] = env.chatwoot.conversations()
    assert conversation["meta"]["sender"]["name"] == GOOD
    assert conversation["meta"]["sender"]["additional_attributes"][GOOD] == GOOD
    assert_no_half_is_left(env.store)


def test_what_a_hostile_adapter_says_of_a_reply_is_stored_and_shown(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(env.network, "send", hostile)
    write_everything(env)
    env.drain_until(lambda: env.count("delivered_in") == 1)
    refused, sent = env.agent_replies("refuse"), env.agent_replies("send")
    env.drain_until(lambda: env.shown(refused)["status"] == "failed")
    assert env.shown(refused)["content_attributes"]["external_error"] == f"Refused: {GOOD}"
    part = f"cards:{sent}:1"
    env.intake.take(env.channel, [Receipt(Status.DELIVERED, f"{part}{BAD}", BAD, BAD)])
    assert env.count("uncertain") == 0
    assert_no_half_is_left(env.store)


def assert_no_half_is_left(store: redis.Redis) -> None:
    """Neither as a character, nor as an escape of JSON."""
    for key in store.scan_iter(keys.message("*")):
        told = json.dumps(store.hgetall(key), ensure_ascii=True)
        assert "\\u0000" not in told
        assert "\\ud83d" not in told
