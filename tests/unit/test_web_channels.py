"""The networks' webhooks: what is stored, and what the network is told."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import redis
from flask.testing import FlaskClient

from adapters.telegram import Telegram
from gateway.lanes import keys
from gateway.storage.connections import connect
from gateway.web.channels import PATIENCE
from tests.unit.web_kit import (
    HOOK,
    KEY,
    PUBLIC_URL,
    SIGNED,
    Push,
    counts,
    make_app,
    post,
    stored,
    text,
    waiting,
)


@pytest.fixture
def client(store: redis.Redis, redis_url: str) -> Iterator[FlaskClient]:
    yield make_app(store, redis_url).test_client()


def test_a_message_is_stored_and_somebody_is_rung_for(
    client: FlaskClient, store: redis.Redis
) -> None:
    answer = post(client, text())
    assert (answer.status_code, answer.text, answer.content_type) == (200, "<ok/>", "text/xml")
    assert waiting(store)["i:shop:m1"]["text"] == "hello"
    assert store.llen("rq:queue:gateway") == 1


def test_the_same_message_twice_is_stored_once(client: FlaskClient, store: redis.Redis) -> None:
    assert [post(client, text()).status_code for _ in range(2)] == [200, 200]
    assert len(waiting(store)) == 1
    assert counts(store)["duplicates|shop"] == "1"


def test_a_message_by_get_and_one_as_a_form(client: FlaskClient, store: redis.Redis) -> None:
    assert client.get(HOOK, query_string=text("g"), headers=SIGNED).status_code == 200
    assert client.post(HOOK, data=text("f"), headers=SIGNED).status_code == 200
    assert set(waiting(store)) == {"i:shop:g", "i:shop:f"}


def test_a_receipt_is_taken(client: FlaskClient, store: redis.Redis) -> None:
    assert post(client, {"kind": "receipt", "of": "x1"}).status_code == 200
    assert counts(store) == {"receipts_parked|shop": "1"}


def test_the_address_is_the_configured_one_whatever_the_host_header_says(
    client: FlaskClient, store: redis.Redis
) -> None:
    headers = SIGNED | {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    assert client.get(f"{HOOK}?where=a%20b&x=%2F", headers=headers).status_code == 200
    assert waiting(store)["i:shop:where"]["text"] == f"{PUBLIC_URL}{HOOK}?where=a%20b&x=%2F"


@pytest.mark.parametrize("headers", [{}, {"X-Key": "wrong"}, {"X-Key": "ключ"}])
def test_without_the_right_key_nothing_is_stored(
    client: FlaskClient, store: redis.Redis, headers: dict[str, str]
) -> None:
    answer = client.post(HOOK, json=text(), headers=headers)
    assert answer.status_code == 403
    assert KEY not in answer.text
    assert counts(store) == {"refused_webhooks|shop": "1"}
    assert not stored(store)


@pytest.mark.parametrize("path", ["/channels/nobody/webhook", "/channels/desk/webhook"])
def test_an_unknown_channel_and_one_that_only_polls_answer_as_a_wrong_key_does(
    client: FlaskClient, store: redis.Redis, path: str
) -> None:
    answer, wrong = post(client, text(), path), client.post(HOOK, json=text())
    assert answer.status_code == wrong.status_code == 403
    assert (answer.text, answer.headers) == (wrong.text, wrong.headers)
    assert not waiting(store)


def test_refusals_are_counted_each_and_told_of_once(
    client: FlaskClient, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        client.post(HOOK, json=text())
        post(client, text(), "/channels/nobody/webhook")
    assert counts(store) == {"refused_webhooks|shop": "5", "refused_webhooks|unknown": "5"}
    assert [record.message for record in caplog.records] == ["refused"] * 2


@pytest.mark.parametrize("many", ["a&" * 256, "a=" + "b" * 65536], ids=["fields", "bytes"])
def test_a_large_form_is_not_read(client: FlaskClient, store: redis.Redis, many: str) -> None:
    form = "application/x-www-form-urlencoded"
    answer = client.post(HOOK, data=many, headers=SIGNED, content_type=form)
    assert answer.status_code in {400, 413}
    assert not waiting(store)


class Unreadable(io.RawIOBase):
    """A body that nobody may look at."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def readinto(self, _: object) -> int:
        raise AssertionError("the body was read")


def test_a_body_is_read_only_when_the_headers_are_right(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Push, "verifies_headers", True)
    wrong = client.post(HOOK, input_stream=Unreadable(), content_length=2000)
    assert wrong.status_code == 403
    assert post(client, text()).status_code == 200


def test_telegram_is_verified_by_its_headers() -> None:
    assert Telegram.verifies_headers


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"", b"[1]", b"[" * 4000])
def test_nonsense_is_refused_with_a_reason_and_logged_once(
    client: FlaskClient, store: redis.Redis, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answer = post(client, body)
    assert answer.status_code == 400
    assert answer.text.startswith("Refused: ")
    assert [record.message for record in caplog.records] == ["refused"]
    assert not stored(store)


def test_a_body_over_the_limit(client: FlaskClient, store: redis.Redis) -> None:
    room = 4096 - len(json.dumps(text(said="")))
    for much in (room + 1, room + 2, 5000):
        assert post(client, text(said="x" * much)).status_code == 413
    assert not stored(store)
    assert post(client, text(said="x" * room)).status_code == 200


def test_what_holds_nothing_to_relay_is_counted(client: FlaskClient, store: redis.Redis) -> None:
    assert post(client, {"kind": "other"}).status_code == 200
    assert counts(store) == {"ignored|shop": "1"}


def test_what_is_neither_a_message_nor_a_receipt_is_the_adapters_fault(
    client: FlaskClient, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    assert post(client, text(kind="stranger")).status_code == 500
    assert counts(store) == {"unreadable|shop": "1"}
    assert not waiting(store)
    assert "an Inbound or a Receipt, and is of type dict" in str(caplog.records[0].exc_info)


def test_half_a_surrogate_pair_is_stored_all_the_same(
    client: FlaskClient, store: redis.Redis
) -> None:
    body = rb'{"id": "h\udc00", "from": "ada", "text": "a \ud83d, \ud83d\ude00 and \\ud83d"}'
    assert post(client, body).status_code == 200
    assert waiting(store)["i:shop:h\ufffd"]["text"] == "a \ufffd, 😀 and \\ud83d"


def test_what_an_adapter_cannot_digest_is_refused_for_a_while_then_dropped(
    client: FlaskClient, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    bad = {"kind": "break"}
    answers = [post(client, bad) for _ in range(PATIENCE + 2)]
    assert [answer.status_code for answer in answers] == [500] * PATIENCE + [200] * 2
    assert not any("Traceback" in answer.text or KEY in answer.text for answer in answers)
    assert counts(store) == {
        "unreadable|shop": str(PATIENCE),
        "dropped|shop": "2",
        "set_aside|shop": "1",
    }
    assert [name.rpartition(":")[0] for name in waiting(store)] == ["u:shop:webhook"]
    assert caplog.records[0].levelno == logging.ERROR
    assert post(client, bad | {"n": 2}).status_code == 500
    assert all(0 < store.ttl(key) <= 86400 for key in store.scan_iter(keys.unreadable("*", "*")))


def test_a_verification_that_breaks_lets_nothing_in(
    client: FlaskClient, store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    answers = [post(client, text(), f"{HOOK}?break-verify=1") for _ in range(PATIENCE + 1)]
    assert {answer.status_code for answer in answers} == {500}
    assert {record.message for record in caplog.records} == {"crashed"}
    assert not any("Traceback" in answer.text or KEY in answer.text for answer in answers)
    assert not stored(store)


def test_a_verification_that_returns_its_verdict_lets_nothing_in(
    client: FlaskClient,
    store: redis.Redis,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Push, "verify", lambda *_: False)
    assert post(client, text()).status_code == 500
    assert "must raise Forbidden or return None" in str(caplog.records[0].exc_info)
    assert not stored(store)


def test_without_redis_the_network_is_asked_to_come_again() -> None:
    nowhere = "redis://127.0.0.1:1/0"
    client = make_app(connect(nowhere, connections=1, retries=0), nowhere).test_client()
    answer = post(client, text())
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "127.0.0.1" not in answer.text
    assert post(client, {"kind": "other"}).status_code == 200


def test_a_full_redis_is_a_503(client: FlaskClient, store: redis.Redis) -> None:
    store.config_set("maxmemory", 1)
    try:
        assert post(client, text()).status_code == 503
    finally:
        store.config_set("maxmemory", 0)
    assert post(client, text()).status_code == 200
