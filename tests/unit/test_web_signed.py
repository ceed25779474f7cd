"""Chatwoot's signatures: who passes, how often, and what comes at another channel's address."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from pydantic import SecretStr, ValidationError

from gateway.adapter import ChannelConfig
from gateway.intake.doorbell import Doorbell, queue_key
from gateway.intake.intake import Intake
from gateway.lanes import Lanes, keys
from gateway.runtime import Runtime
from gateway.storage.connections import connect_bytes
from gateway.web import create_app
from sandbox.chatwoot.posting import signature
from tests.unit.web_kit import chatwoot_path, counts, reply, settings, stored, waiting

INBOX_SECRET, ACCOUNT_SECRET = "marked-inbox-secret", "marked-account-secret"


@pytest.fixture
def client(store: redis.Redis, redis_url: str) -> FlaskClient:
    known = settings()
    shop = known.channels["shop"]
    secrets = (SecretStr(INBOX_SECRET), SecretStr(ACCOUNT_SECRET))
    config = shop.config.model_copy(update={"signing_secret": secrets})
    signing = replace(known, channels={**known.channels, "shop": replace(shop, config=config)})
    doorbell = Doorbell(connect_bytes(redis_url, connections=1, retries=0))
    intake = Intake(Lanes(store, queue_key()), doorbell)
    return create_app(signing, store=store, intake=intake, runtime=Runtime()).test_client()


def signed(body: bytes, *, secret: str = INBOX_SECRET, age: int = 0, name: str = "d1") -> Any:
    stamp = str(int(time.time()) - age)
    return {
        "X-Chatwoot-Delivery": name,
        "X-Chatwoot-Timestamp": stamp,
        "X-Chatwoot-Signature": signature(secret, stamp, body),
    }


def told(client: FlaskClient, body: bytes, headers: Any, path: str = "") -> tuple[int, str]:
    answer = client.post(path or chatwoot_path(), data=body, headers=headers)
    return answer.status_code, answer.text.strip()


REPLY = json.dumps(reply()).encode()


SIBLING = chatwoot_path(channel="desk")
"""The address of a channel that asks for no signature; the event names one that does."""


def test_the_address_of_a_sibling_is_no_way_around_the_signature(
    client: FlaskClient, store: redis.Redis
) -> None:
    assert told(client, REPLY, {}, SIBLING)[0] == 403
    assert told(client, REPLY, signed(REPLY, secret="another"), SIBLING)[0] == 403
    assert not stored(store)
    assert told(client, REPLY, signed(REPLY), SIBLING) == (200, "accepted")
    assert told(client, REPLY, signed(REPLY), SIBLING) == (200, "repeated")
    assert list(waiting(store)) == ["o:shop:1002"]


def test_an_event_of_another_account_is_refused(client: FlaskClient, store: redis.Redis) -> None:
    others = json.dumps(reply(account={"id": 9})).encode()
    assert told(client, others, signed(others))[0] == 403
    assert not stored(store)


@pytest.mark.parametrize("secret", [INBOX_SECRET, ACCOUNT_SECRET])
def test_what_is_signed_with_any_of_the_secrets_is_stored(
    client: FlaskClient, store: redis.Redis, secret: str
) -> None:
    assert told(client, REPLY, signed(REPLY, secret=secret)) == (200, "accepted")
    assert list(waiting(store)) == ["o:shop:1002"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed(REPLY, secret="another secret"),
        signed(REPLY + b" "),
        signed(REPLY, age=86400),
        signed(REPLY, age=-86400),
        {**signed(REPLY), "X-Chatwoot-Timestamp": "now"},
        {**signed(REPLY), "X-Chatwoot-Signature": "sha256="},
    ],
    ids=["unsigned", "other secret", "other body", "old", "early", "no time", "no digest"],
)
def test_what_is_not_signed_so_is_refused(
    client: FlaskClient, store: redis.Redis, headers: Any
) -> None:
    status, said = told(client, REPLY, headers)
    assert status == 403
    assert "marked" not in said
    assert not stored(store)


def test_the_signature_is_no_substitute_for_the_secret_in_the_address(client: FlaskClient) -> None:
    assert told(client, REPLY, signed(REPLY), "/chatwoot/shop/wrong")[0] == 403


def test_each_delivery_passes_once_also_under_another_name(
    client: FlaskClient, store: redis.Redis
) -> None:
    update = json.dumps(reply(event="message_updated")).encode()
    headers = signed(update)
    assert told(client, update, headers) == (200, "accepted")
    store.delete(keys.message("r:o:shop:1002"))
    assert told(client, update, headers) == (200, "repeated")
    assert told(client, update, {**headers, "X-Chatwoot-Delivery": "d2"}) == (200, "repeated")
    assert told(client, update, signed(update, age=1)) == (200, "repeated")
    assert told(client, update, signed(update, age=2, name="d3")) == (200, "accepted")


def test_a_delivery_that_could_not_be_stored_may_come_again(
    client: FlaskClient, store: redis.Redis
) -> None:
    headers = signed(REPLY)
    store.config_set("maxmemory", "1mb")
    try:
        assert told(client, REPLY, headers)[0] == 503
    finally:
        store.config_set("maxmemory", "0")
    assert told(client, REPLY, headers)[1] == "accepted"


def test_an_account_webhook_at_one_channels_address_serves_the_others(
    client: FlaskClient, store: redis.Redis
) -> None:
    conversation = reply()["conversation"] | {"inbox_id": 8}
    body = json.dumps(reply(conversation=conversation)).encode()
    assert told(client, body, signed(body, secret=ACCOUNT_SECRET)) == (200, "accepted")
    assert list(waiting(store)) == ["o:desk:1002"]
    assert counts(store) == {"accepted_out|desk": "1"}


def test_an_empty_secret_is_a_mistake() -> None:
    with pytest.raises(ValidationError, match="leave it out"):
        ChannelConfig(adapter="x", inbox=1, signing_secret=(SecretStr(" "),))
