"""The pages that watch the gateway, and what they must not show."""

from __future__ import annotations

import pytest
import redis
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from gateway.connections import connect
from gateway.heartbeat import Heartbeat
from tests.unit.web_kit import CHATWOOT_TOKEN, KEY, SECRETS, make_app, post, text

PAGES = ("/", "/healthz", "/readyz", "/health/backlog", "/metrics", "/no-such-page")


@pytest.fixture
def client(store: redis.Redis, redis_url: str) -> FlaskClient:
    return make_app(store, redis_url).test_client()


@pytest.fixture
def cut_off() -> FlaskClient:
    """An app whose Redis is not there."""
    nowhere = "redis://127.0.0.1:1/0"
    return make_app(connect(nowhere, connections=1, retries=0), nowhere).test_client()


def test_alive_and_ready(client: FlaskClient) -> None:
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200


def test_alive_but_not_ready_without_redis(cut_off: FlaskClient) -> None:
    assert cut_off.get("/healthz").status_code == 200
    answer = cut_off.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "Not ready: Redis does not answer.\n")
    assert cut_off.get("/metrics").status_code == 503
    assert cut_off.get("/health/backlog").status_code == 503


def test_nothing_to_tell(client: FlaskClient) -> None:
    assert client.get("/health/backlog").json == {
        "oldest_seconds": {},
        "closed_gates": [],
        "dead_letters": 0,
        "heartbeat_age_seconds": {},
    }


def test_what_waits_and_which_gates_are_closed(client: FlaskClient, store: redis.Redis) -> None:
    post(client, text())
    store.hset("gw:msg:i:shop:m1", "appended", 1000)
    store.hset(
        "gw:gate:chatwoot/main",
        mapping={"state": "closed", "reason": f"refused {CHATWOOT_TOKEN}", "since": 1000},
    )
    Heartbeat(store, "clock").beat()
    shown = client.get("/health/backlog").json
    assert shown is not None
    assert shown["oldest_seconds"]["shop"]["in"] > 1e9
    (gate,) = shown["closed_gates"]
    assert gate["destination"] == "chatwoot/main"
    assert gate["reason"] == "refused [secret]"
    assert gate["since"].startswith("1970-01-01T00:00:0")
    assert gate["waiting_lanes"] == 1
    assert 0 <= shown["heartbeat_age_seconds"]["clock"] < 60


def test_metrics_are_what_prometheus_reads(client: FlaskClient) -> None:
    post(client, text())
    answer = client.get("/metrics")
    assert answer.content_type.startswith("text/plain; version=")
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["gateway_accepted_in_total", "shop"] == 1
    assert samples["gateway_oldest_seconds", "desk", "out"] == 0


def test_with_an_admin_token_the_two_pages_ask_for_it(store: redis.Redis, redis_url: str) -> None:
    app = make_app(store, redis_url, admin_token=SecretStr("marked-admin"))
    client = app.test_client()
    for page in ("/health/backlog", "/metrics"):
        refused = client.get(page, headers={"Authorization": "Bearer wrong"})
        assert refused.status_code == client.get(page).status_code == 401
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
        for wrong in ("marked-admin", "Token marked-admin"):
            assert client.get(page, headers={"Authorization": wrong}).status_code == 401
        right = client.get(page, headers={"Authorization": "Bearer marked-admin"})
        assert right.status_code == 200
    assert client.get("/readyz").status_code == 200


def test_no_page_shows_a_secret_and_every_page_is_declared(client: FlaskClient) -> None:
    for page in PAGES:
        answer = client.get(page)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        for secret in (*SECRETS, KEY, CHATWOOT_TOKEN, "Traceback"):
            assert secret not in answer.text


def test_the_front_page_leads_to_the_others(client: FlaskClient) -> None:
    front = client.get("/").text
    for page in ("/healthz", "/readyz", "/health/backlog", "/metrics"):
        assert f'href="{page}"' in front
    assert client.get("/no-such-page").status_code == 404
