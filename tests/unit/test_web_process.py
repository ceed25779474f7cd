"""The web process as it runs: gunicorn, real HTTP, and a Redis server that dies and comes back."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator

import pytest
import requests

from gateway.lanes import keys
from gateway.storage.connections import connect
from tests.unit.web_kit import (
    ADMIN,
    CHATWOOT_TOKEN,
    HOOK,
    KEY,
    SECRETS,
    SIGNED,
    chatwoot_path,
    reply,
    text,
)
from tests.unit.web_process import Server, Web, own_valkey, serving
from tests.waiting import until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with own_valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="module")
def web(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with serving(server, tmp_path_factory.mktemp("web")) as web:
        yield web


def test_a_chunked_body_over_the_limit(web: Web) -> None:
    host = web.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=5)
    whole = json.dumps(text("long", "x" * 5000)).encode()
    connection.request("POST", HOOK, iter([whole[:4096], whole[4096:]]), SIGNED)
    assert connection.getresponse().status == 413
    connection.close()


def test_a_chunked_body_within_the_limit(web: Web) -> None:
    body = json.dumps(text("chunked")).encode()
    answer = requests.post(web.url + HOOK, data=iter([body[:9], body[9:]]), headers=SIGNED)
    assert answer.status_code == 200
    until(lambda: "i:shop:chunked" in web.output)


def test_redis_killed_is_a_quick_503_and_back_again_a_200(web: Web, server: Server) -> None:
    with requests.Session() as session:
        assert session.post(web.url + HOOK, json=text("before"), headers=SIGNED).ok
        server.kill()
        began = time.monotonic()
        for path, body in ((HOOK, text("during")), (chatwoot_path(), reply())):
            answer = session.post(web.url + path, json=body, headers=SIGNED)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
            assert "Traceback" not in answer.text
        assert time.monotonic() - began < 1
        assert session.get(web.url + "/readyz").status_code == 503
        server.start()
        answer = session.post(web.url + HOOK, json=text("after"), headers=SIGNED)
        assert answer.status_code == 200
        assert session.get(web.url + "/readyz").status_code == 200
    client = connect(server.valkey.url, connections=1, retries=0)
    assert client.exists(keys.message("i:shop:before")) and client.exists(
        keys.message("i:shop:after")
    )
    assert not client.exists(keys.message("i:shop:during"))
    client.close()


def test_threads_share_three_connections(web: Web, server: Server) -> None:
    def burst(begin: int) -> None:
        with requests.Session() as session:
            for n in range(begin, begin + 20):
                session.post(web.url + HOOK, json=text(f"b{n}"), headers=SIGNED)

    crowd = [threading.Thread(target=burst, args=(n * 100,)) for n in range(8)]
    client = connect(server.valkey.url, connections=1, retries=0)
    # Each rings anew, or the doorbell's connection would stay idle and not be counted.
    client.delete("rq:queue:gateway")
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert len(client.client_list()) - 1 <= 3
    assert client.zcard(keys.lane("in/shop/ada")) >= 160
    client.close()


def test_the_process_shows_that_it_lives(web: Web, server: Server) -> None:
    client = connect(server.valkey.url, connections=1, retries=0)
    until(lambda: web.url and any(str(b).startswith("web:") for b in client.hkeys(keys.HEARTBEATS)))
    client.close()


def test_nothing_that_it_writes_or_answers_holds_a_secret(web: Web) -> None:
    """Every kind of answer, with every secret in what is sent; then all that was written."""
    address, token = web.url, chatwoot_path().rsplit("/", 1)[1]
    asked = [
        ("POST", HOOK, json.dumps(text("secret-free", "hi")).encode(), SIGNED),
        ("POST", HOOK, b"{", SIGNED),
        ("POST", HOOK, json.dumps({"kind": "break"}).encode(), SIGNED),
        ("POST", f"{HOOK}?break-verify=1", b"{}", SIGNED),
        ("POST", HOOK, b"{}", {"X-Key": "wrong"}),
        ("POST", chatwoot_path(), json.dumps(reply(id=5)).encode(), {}),
        ("POST", chatwoot_path(1), b"{", {}),
        ("POST", chatwoot_path(), json.dumps(reply(content=None, sender=3)).encode(), {}),
        ("POST", f"{chatwoot_path()}x", b"{}", {}),
        ("GET", chatwoot_path(), b"", {}),
        ("POST", chatwoot_path(), b"x" * 5000, {}),
        ("GET", f"/channels/shop/none/{token}", b"", {}),
        ("GET", "/", b"", {}),
        ("GET", "/health/backlog", b"", {"Authorization": f"Bearer {ADMIN}"}),
        ("GET", "/metrics", b"", {"Authorization": f"Bearer {ADMIN}"}),
        ("GET", "/metrics", b"", {}),
    ]
    told = [requests.request(m, address + p, data=b, headers=h) for m, p, b, h in asked]
    assert {answer.status_code for answer in told} == {200, 400, 401, 403, 404, 405, 413, 500}
    until(lambda: web.output.count("event=unreadable") == 1)
    seen = web.output + "".join(answer.text + str(answer.headers) for answer in told)
    marked = [*SECRETS, KEY, CHATWOOT_TOKEN, ADMIN, "marked-pubsub-token"]
    for secret in [*marked, token, chatwoot_path(1).rsplit("/", 1)[1]]:
        assert secret not in seen
    assert not any("Traceback" in answer.text for answer in told)
    assert "message" in web.output and "i:shop:secret-free" in web.output
