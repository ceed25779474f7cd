"""A web process notices that it took no webhooks for a while."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from flask.testing import FlaskClient

from gateway.lanes import keys
from gateway.lanes.returns import Returns
from gateway.web import presence
from gateway.web.presence import Presence
from tests.unit.web_kit import chatwoot_path, make_app, settings
from tests.waiting import until

TYPING = {"event": "webwidget_triggered"}
"""Of which nothing is stored."""


@pytest.fixture
def watched(store: redis.Redis) -> Iterator[Presence]:
    watched = Presence(store, settings().channels.values())
    yield watched
    watched.stop()


@pytest.fixture
def client(store: redis.Redis, redis_url: str, watched: Presence) -> FlaskClient:
    app = make_app(store, redis_url)
    watched.register(app)
    return app.test_client()


def wanted(store: redis.Redis) -> str:
    return Returns(store).wanted_look("shop")


def looked(store: redis.Redis) -> None:
    Returns(store).end_look("shop", wanted(store))
    assert not wanted(store)


def test_a_start_is_a_return(store: redis.Redis, watched: Presence) -> None:
    watched.start()
    assert wanted(store)
    assert store.exists(keys.hold("channel/shop"))


def test_a_process_that_goes_on_has_missed_nothing(store: redis.Redis, watched: Presence) -> None:
    watched.look()
    looked(store)
    watched.look()
    assert not wanted(store)


def test_a_process_that_stood_still_returns(
    store: redis.Redis, watched: Presence, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.look()
    looked(store)
    monkeypatch.setattr(presence, "GAP", -1.0)  # however short it was
    watched.look()
    assert wanted(store)


def test_it_is_known_before_the_first_webhook_is_stored(
    store: redis.Redis, watched: Presence, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.look()
    looked(store)
    monkeypatch.setattr(presence, "GAP", -1.0)
    assert client.post(chatwoot_path(), json=TYPING).status_code == 200
    assert wanted(store)


@pytest.fixture
def nothing_can_be_stored(
    store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.MonkeyPatch]:
    def away(self: object, *_: object) -> object:
        raise redis.ConnectionError("away")

    with monkeypatch.context() as patch:
        patch.setattr("gateway.intake.intake.Intake.take_event", away)
        yield patch


def test_whoever_was_refused_is_asked_for_as_soon_as_it_can_be(
    store: redis.Redis,
    watched: Presence,
    client: FlaskClient,
    nothing_can_be_stored: pytest.MonkeyPatch,
) -> None:
    watched.look()
    looked(store)
    assert client.post(chatwoot_path(), json=TYPING).status_code == 503
    nothing_can_be_stored.undo()
    assert client.post(chatwoot_path(), json=TYPING).status_code == 200
    assert wanted(store)


def test_the_thread_looks_by_itself(
    store: redis.Redis, watched: Presence, client: FlaskClient
) -> None:
    watched.start()
    looked(store)
    watched.note_refusal()
    until(lambda: wanted(store), 10)


def test_a_full_redis_is_no_return(
    store: redis.Redis, watched: Presence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replies go on leaving, which makes room."""

    def full(self: object) -> None:
        raise redis.OutOfMemoryError("full")

    with monkeypatch.context() as patch:
        patch.setattr("gateway.storage.memory_guard.MemoryGuard.require", full)
        with pytest.raises(redis.OutOfMemoryError):
            watched.look()
        assert not store.exists(keys.hold("channel/shop"))
    watched.look()
    assert store.exists(keys.hold("channel/shop"))
