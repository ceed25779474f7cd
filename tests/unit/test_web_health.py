"""The pages that watch the gateway, and what they must not show."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from gateway.lanes import keys
from gateway.observability.channel_states import ChannelNotes
from gateway.observability.heartbeat import Heartbeat
from gateway.storage.connections import connect
from tests.unit.web_kit import ADMIN, CHATWOOT_TOKEN, KEY, SECRETS, make_app, post, settings, text

BEARER = {"Authorization": f"Bearer {ADMIN}"}
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
    assert cut_off.get("/metrics", headers=BEARER).status_code == 503
    assert cut_off.get("/health/backlog", headers=BEARER).status_code == 503


def test_nothing_to_tell(client: FlaskClient) -> None:
    assert client.get("/health/backlog", headers=BEARER).json == {
        "oldest_message_seconds": {},
        "closed_gates": [],
        "dead_letters": 0,
        "heartbeat_age_seconds": {},
        "processes": {"web": 0, "worker": 0, "clock": 0},
        "redis_memory_share": 0.0,
        "channels": {},
        "event_streams": {},
    }


def test_what_waits_and_which_gates_are_closed(client: FlaskClient, store: redis.Redis) -> None:
    post(client, text())
    store.hset(keys.message("i:shop:m1"), "appended", 1000)
    store.hset(
        keys.gate("chatwoot/main"),
        mapping={"state": "closed", "reason": f"refused {CHATWOOT_TOKEN}", "since": 1000},
    )
    Heartbeat(store, "clock").beat()
    shown = client.get("/health/backlog", headers=BEARER).json
    assert shown is not None
    assert shown["oldest_message_seconds"]["shop"]["in"] > 1e9
    (gate,) = shown["closed_gates"]
    assert gate["destination"] == "chatwoot/main"
    assert gate["reason"] == "refused [secret]"
    assert gate["since"].startswith("1970-01-01T00:00:0")
    assert gate["waiting_lanes"] == 1
    assert 0 <= shown["heartbeat_age_seconds"]["clock"] < 60


def test_metrics_are_what_prometheus_reads(client: FlaskClient) -> None:
    post(client, text())
    answer = client.get("/metrics", headers=BEARER)
    assert answer.content_type.startswith("text/plain; version=")
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["gateway_accepted_in_total", "shop"] == 1
    assert samples["gateway_oldest_message_seconds", "desk", "out"] == 0


@pytest.mark.parametrize("page", ["/health/backlog", "/metrics"])
def test_the_two_pages_ask_for_the_token_from_the_first(client: FlaskClient, page: str) -> None:
    refused = client.get(page)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Basic")
    for wrong in ("Bearer wrong", "Bearer", ADMIN, f"Token {ADMIN}", "Basic !", "Bearer é\ud800"):
        header = {"Authorization": wrong.encode("utf-8", "surrogatepass").decode("latin-1")}
        assert client.get(page, headers=header).status_code == 401
    assert client.get(page, headers=BEARER).status_code == 200
    assert client.get(page, auth=("anybody", ADMIN)).status_code == 200
    assert client.get(page, auth=(ADMIN, "")).status_code == 401


def test_without_a_token_of_its_own_it_is_made_from_the_secret(
    store: redis.Redis, redis_url: str
) -> None:
    client = make_app(store, redis_url, admin_token="").test_client()
    made = settings(admin_token="").admin_token
    assert len(made) >= 32 and made in settings(admin_token="").secret_values()
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 401
    assert client.get("/metrics", auth=("admin", "")).status_code == 401
    assert client.get("/metrics", auth=("admin", made)).status_code == 200


def test_no_page_shows_a_secret_and_every_page_is_declared(client: FlaskClient) -> None:
    for page in PAGES:
        answer = client.get(page, headers=BEARER)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        for secret in (*SECRETS, ADMIN, KEY, CHATWOOT_TOKEN, "Traceback"):
            assert secret not in answer.text


def test_the_front_page_leads_to_the_others(client: FlaskClient) -> None:
    front = client.get("/").text
    for page in ("/healthz", "/readyz", "/health/backlog", "/metrics"):
        assert f'href="{page}"' in front
    assert client.get("/no-such-page").status_code == 404


@pytest.fixture
def full(store: redis.Redis) -> Iterator[redis.Redis]:
    """A server with 85 % of its memory in use, but not all of it."""
    store.config_set("maxmemory", round(store.info("memory")["used_memory"] / 0.9))
    yield store
    store.config_set("maxmemory", 0)


def test_not_ready_while_redis_is_full_and_what_was_refused_is_counted(
    client: FlaskClient, full: redis.Redis
) -> None:
    assert post(client, text()).status_code == 503
    answer = client.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "Not ready: Redis is full.\n")
    assert 'gateway_unavailable_total{channel="shop"} 1.0' in metrics(client)
    full.config_set("maxmemory", 0)
    assert client.get("/readyz").status_code == 200


def test_not_ready_where_redis_takes_no_writes(client: FlaskClient, store: redis.Redis) -> None:
    store.config_set("min-replicas-to-write", 1)
    try:
        answer = client.get("/readyz")
        assert (answer.status_code, answer.text) == (503, "Not ready: Redis takes no writes.\n")
    finally:
        store.config_set("min-replicas-to-write", 0)


def test_a_channel_that_brings_nothing_in_is_seen(client: FlaskClient, store: redis.Redis) -> None:
    notes = ChannelNotes(store, "desk")
    notes.polled()
    assert 'gateway_channel_trouble{channel="desk"} 0.0' in metrics(client)
    assert 'gateway_channel_trouble{channel="shop"} 0.0' in metrics(client), "nothing is known yet"
    notes.failed(f"{KEY} is refused")
    notes.failed(f"{KEY} is refused")
    said = metrics(client)
    assert 'gateway_channel_trouble{channel="desk"} 1.0' in said
    (age,) = (line for line in said if line.startswith("gateway_channel_poll_age_seconds{"))
    assert float(age.split()[1]) < 60
    shown = client.get("/health/backlog", headers=BEARER).json
    assert shown is not None
    assert shown["channels"]["desk"]["trouble"] is True
    assert shown["channels"]["desk"]["reason"] == "[secret] is refused"
    assert shown["channels"]["desk"]["last_poll"]
    notes.polled()
    assert 'gateway_channel_trouble{channel="desk"} 0.0' in metrics(client)


def test_a_role_that_nobody_plays_is_zero_and_not_absent(
    client: FlaskClient, store: redis.Redis
) -> None:
    Heartbeat(store, "clock").beat()
    store.hset(keys.HEARTBEATS, "worker:a:1", store.time()[0] - 61)
    said = metrics(client)
    assert 'gateway_processes{role="clock"} 1.0' in said
    assert 'gateway_processes{role="worker"} 0.0' in said
    assert 'gateway_processes{role="web"} 0.0' in said


def metrics(client: FlaskClient) -> list[str]:
    return client.get("/metrics", headers=BEARER).text.splitlines()
