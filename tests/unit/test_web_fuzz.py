"""Whatever a stranger sends to either webhook: an answer, never a crash of ours."""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import quote

import pytest
import redis
from flask.testing import FlaskClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.unit.web_kit import HOOK, SIGNED, chatwoot_path, make_app, reply

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
SMALL = settings(
    max_examples=int(os.environ.get("FUZZ", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
REFUSED_OR_TAKEN = frozenset({200, 400, 403, 404, 413})


def places(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The path of every key in a nested object."""
    if not isinstance(value, dict):
        return []
    return [p for key in value for p in [(*path, key), *places(value[key], (*path, key))]]


@st.composite
def nearly_right(draw: st.DrawFn) -> bytes:
    """A reply as Chatwoot tells of it, with one value, somewhere in it, replaced or gone."""
    event = reply(event=draw(st.sampled_from(["message_created", "message_updated"])))
    *way, last = draw(st.sampled_from(places(event)))
    inner = event
    for key in way:
        inner = inner[key]
    inner[last] = draw(JSON)
    if draw(st.booleans()):
        del inner[last]
    return json.dumps(event).encode()


@pytest.fixture
def client(store: redis.Redis, redis_url: str) -> FlaskClient:
    return make_app(store, redis_url).test_client()


@SMALL
@given(body=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_at_a_channel(client: FlaskClient, body: bytes) -> None:
    for content_type in ("application/json", "application/x-www-form-urlencoded"):
        answer = client.post(HOOK, data=body, headers=SIGNED, content_type=content_type)
        assert answer.status_code in REFUSED_OR_TAKEN


@SMALL
@given(body=st.binary(max_size=200) | nearly_right())
def test_any_body_at_chatwoots_address(client: FlaskClient, body: bytes) -> None:
    answer = client.post(chatwoot_path(), data=body)
    assert answer.status_code in REFUSED_OR_TAKEN
    assert "Traceback" not in answer.text


@SMALL
@example(name="/\n", token="", query="")
@given(name=st.text(max_size=20), token=st.text(max_size=50), query=st.text(max_size=50))
def test_any_address(client: FlaskClient, name: str, token: str, query: str) -> None:
    name, token = quote(name, safe="/"), quote(token, safe="/")
    for path in (f"/channels/{name}/webhook", f"/chatwoot/{name}/{token}"):
        answer = client.post(path, query_string=query, follow_redirects=True)
        assert answer.status_code < 500
