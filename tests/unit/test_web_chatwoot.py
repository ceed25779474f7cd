"""Chatwoot's webhooks: who may call, what is stored, what is only counted."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from flask.testing import FlaskClient

from gateway.adapter import phone_of
from gateway.lanes import KeyValues, keys
from gateway.lanes.address_changes import AddressChange, AddressChanges
from tests.unit.web_kit import (
    SECRETS,
    Pull,
    chatwoot_path,
    counts,
    make_app,
    post,
    reply,
    stored,
    waiting,
)


@pytest.fixture
def client(store: redis.Redis, redis_url: str) -> FlaskClient:
    return make_app(store, redis_url).test_client()


@pytest.mark.parametrize("which", [0, 1])
def test_a_reply_is_stored_with_the_new_secret_and_with_the_old(
    client: FlaskClient, store: redis.Redis, which: int
) -> None:
    answer = post(client, reply(), chatwoot_path(which))
    assert (answer.status_code, answer.text) == (200, "accepted\n")
    assert waiting(store)["o:shop:1002"]["text"] == "Here it is"
    assert store.llen("rq:queue:gateway") == 1


def test_a_reply_told_twice_is_stored_once(client: FlaskClient, store: redis.Redis) -> None:
    answers = [post(client, reply(), chatwoot_path()) for _ in range(2)]
    assert [answer.text for answer in answers] == ["accepted\n", "repeated\n"]
    assert len(waiting(store)) == 1


def test_a_deleted_reply_is_withdrawn(client: FlaskClient, store: redis.Redis) -> None:
    post(client, reply(), chatwoot_path())
    deleted = reply(event="message_updated", content_attributes={"deleted": True})
    assert post(client, deleted, chatwoot_path()).text == "withdrawn\n"
    assert store.zcard(keys.lane("out/shop/12")) == 0


@pytest.mark.parametrize(
    "path",
    [
        "/chatwoot/shop/wrong",
        "/chatwoot/shop/ключ",
        f"/chatwoot/shop/{SECRETS[0]}",
        chatwoot_path().replace("shop", "desk"),
    ],
)
def test_a_wrong_secret(client: FlaskClient, store: redis.Redis, path: str) -> None:
    answer = post(client, reply(), path)
    assert answer.status_code == 403
    assert path.rsplit("/", 1)[1] not in answer.text
    assert not stored(store)


def test_an_unknown_channel(client: FlaskClient) -> None:
    assert post(client, reply(), chatwoot_path().replace("shop", "nobody")).status_code == 403


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"{", "JSON"),
        (b"[" * 4000, "nested"),
        ([], "Chatwoot"),
        ({}, "event"),
        (reply(id="many"), "id"),
        (reply(conversation=None), "conversation"),
    ],
)
def test_what_chatwoot_does_not_send_is_refused_with_a_reason(
    client: FlaskClient,
    store: redis.Redis,
    body: Any,
    word: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = post(client, body, chatwoot_path())
    assert answer.status_code == 400
    assert word in answer.text
    assert [record.message for record in caplog.records] == ["refused"]
    assert not stored(store)


def test_a_body_over_the_limit(client: FlaskClient, store: redis.Redis) -> None:
    assert post(client, reply(content="x" * 5000), chatwoot_path()).status_code == 413
    assert not stored(store)


@pytest.mark.parametrize(
    "event",
    [
        reply(private=True),
        reply(message_type="incoming"),
        reply(conversation=reply()["conversation"] | {"inbox_id": 99}),
        {"event": "conversation_typing_on"},
        {"event": "contact_updated"},
        {"event": "something_new"},
    ],
)
def test_what_is_not_ours_to_relay_is_counted(
    client: FlaskClient, store: redis.Redis, event: Any
) -> None:
    answer = post(client, event, chatwoot_path())
    assert (answer.status_code, answer.text) == (200, "ignored\n")
    assert not waiting(store)
    assert counts(store) == {"ignored_events|shop": "1"}


def contact(**changes: Any) -> dict[str, Any]:
    """An agent has changed a contact's phone."""
    phone = {"previous_value": "+15551230001", "current_value": "+15551230002"}
    told = {"id": 42, "name": "Ada", "phone_number": "+15551230002", "account": {"id": 1}}
    named = [{"phone_number": phone}, {"updated_at": {"previous_value": "a", "current_value": "b"}}]
    return {"event": "contact_updated", **told, "changed_attributes": named, **changes}


@pytest.fixture
def phones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pull, "address", lambda _, to: phone_of(to))


@pytest.mark.usefixtures("phones")
def test_a_changed_phone_is_noted_for_every_channel_of_the_account(
    client: FlaskClient, store: redis.Redis
) -> None:
    answers = [post(client, contact(), chatwoot_path()) for _ in range(2)]
    assert [(a.status_code, a.text) for a in answers] == [(200, "noted\n")] * 2
    moves = AddressChanges(KeyValues(store))
    assert moves.find("desk", "+15551230001") == AddressChange(42, "+15551230002")
    assert moves.find("shop", "+15551230001") is None, "that channel has no such addresses"


@pytest.mark.usefixtures("phones")
@pytest.mark.parametrize(
    "changes",
    [
        {"account": {"id": 9}},
        {"account": None},
        {"id": "42"},
        {"changed_attributes": None},
        {"changed_attributes": {"phone_number": {}}},
        {"changed_attributes": [{"phone_number": None}]},
        {"changed_attributes": [{"phone_number": {"previous_value": 7}}]},
        {"changed_attributes": [{"phone_number": {"previous_value": None}}]},
        {"changed_attributes": [{"phone_number": {"previous_value": "a number"}}]},
        {"changed_attributes": [{"last_activity_at": {"previous_value": None}}]},
        {"phone_number": "+15551230001"},
        {"event": "contact_created", "changed_attributes": None},
    ],
)
def test_a_contact_of_others_or_of_no_known_shape_is_counted(
    client: FlaskClient, store: redis.Redis, changes: dict[str, Any]
) -> None:
    answer = post(client, contact(**changes), chatwoot_path())
    assert (answer.status_code, answer.text) == (200, "ignored\n")
    assert counts(store) == {"ignored_events|shop": "1"}
    assert set(store.keys()) - {keys.CLOCK} == {keys.COUNTS}


def test_only_post_is_known(client: FlaskClient) -> None:
    answer = client.get(chatwoot_path())
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
