"""The server and the faults that all HTTP stand-ins share."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import requests
from flask import Flask, Response, request

from sandbox.faults import Fault, Faults, FaultyApplication, Kind
from sandbox.server import Server
from sandbox.web import WebServer, wsgi


class Counter:
    """A tiny app that counts what it did, on a server that can fail."""

    def __init__(self) -> None:
        self.effects = 0
        self.ports: set[int] = set()
        self.faults = Faults()
        app = Flask("counter")
        app.add_url_rule("/count", "count", self._count, methods=["GET", "POST"])
        self.server = Server(FaultyApplication(wsgi(app), self.faults))

    def _count(self) -> str:
        self.effects += 1
        self.ports.add(request.environ["REMOTE_PORT"])
        return f"{self.effects} {request.get_data(as_text=True)}"

    @property
    def url(self) -> str:
        return f"{self.server.url}/count"


@pytest.fixture
def counter() -> Iterator[Counter]:
    counter = Counter()
    counter.server.start()
    yield counter
    counter.faults.stop()
    counter.server.stop()


def test_a_connection_is_kept_for_the_next_request(counter: Counter) -> None:
    with requests.Session() as client:
        assert client.post(counter.url, data="a").text == "1 a"
        assert client.post(counter.url, data=iter([b"b", b"c"])).text == "2 bc"
    assert len(counter.ports) == 1


def test_many_clients_at_once(counter: Counter) -> None:
    answers: list[int] = []

    def ask() -> None:
        with requests.Session() as client:
            answers.extend(client.post(counter.url, data="x").status_code for _ in range(5))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert answers == [200] * 80


def test_a_stopped_server_breaks_kept_connections_and_refuses_new_ones(counter: Counter) -> None:
    with requests.Session() as client:
        client.get(counter.url)
        counter.server.stop()
        with pytest.raises(requests.ConnectionError):
            client.get(counter.url)
    assert counter.effects == 1


def test_it_comes_back_on_the_same_port(counter: Counter) -> None:
    port = counter.server.port
    counter.server.stop()
    counter.server.start()
    assert counter.server.port == port
    assert requests.get(counter.url).status_code == 200


def test_a_status_strikes_as_often_as_it_should(counter: Counter) -> None:
    counter.faults.add(Fault(Kind.STATUS, status=503, body="busy", times=2, retry_after=7))
    first = requests.post(counter.url)
    assert (first.status_code, first.text, first.headers["Retry-After"]) == (503, "busy", "7")
    assert requests.post(counter.url).status_code == 503
    assert requests.post(counter.url).status_code == 200
    assert counter.effects == 1


def test_a_fault_strikes_only_what_it_matches(counter: Counter) -> None:
    counter.faults.add(Fault(Kind.STATUS, method="POST", path="/co*", times=None))
    assert requests.get(counter.url).status_code == 200
    assert requests.post(counter.url).status_code == 500
    counter.faults.clear()
    assert requests.post(counter.url).status_code == 200


@pytest.mark.parametrize(("kind", "effects"), [(Kind.DROP, 0), (Kind.LOSE, 1), (Kind.SILENCE, 0)])
def test_no_answer_comes(counter: Counter, kind: Kind, effects: int) -> None:
    counter.faults.add(Fault(kind, seconds=0.05))
    with pytest.raises(requests.ConnectionError):
        requests.post(counter.url)
    assert counter.effects == effects
    assert requests.post(counter.url).status_code == 200


def test_latency_delays_and_nothing_else(counter: Counter) -> None:
    counter.faults.add(Fault(Kind.LATENCY, seconds=0.2))
    begin = time.monotonic()
    assert requests.post(counter.url).text.startswith("1")
    assert time.monotonic() - begin >= 0.2


def test_a_stop_ends_a_silence(counter: Counter) -> None:
    counter.faults.add(Fault(Kind.SILENCE, seconds=60))
    threading.Timer(0.1, counter.faults.stop).start()
    with pytest.raises(requests.ConnectionError):
        requests.post(counter.url, timeout=10)


def test_faults_by_http(counter: Counter) -> None:
    control = f"{counter.server.url}/_faults"
    made = requests.post(control, json={"kind": "status", "status": 418, "times": 3})
    assert made.json()[0]["status"] == 418
    assert requests.post(counter.url).status_code == 418
    assert requests.get(control).json()[0]["times"] == 2
    assert requests.delete(control).json() == []
    refused = requests.post(control, json={"kind": "earthquake"})
    assert refused.status_code == 400
    assert "latency" in refused.text


def test_a_stream_comes_piece_by_piece_and_hears_that_its_reader_has_left() -> None:
    closed, go_on = threading.Event(), threading.Event()

    def events() -> Iterator[str]:
        try:
            yield "data: 1\n\n"
            go_on.wait(10)
            while True:
                yield "data: 2\n\n"
        finally:
            closed.set()

    app = Flask("events")
    app.add_url_rule("/", "all", lambda: Response(events(), content_type="text/event-stream"))
    server = WebServer(app)
    server.start()
    try:
        with requests.get(server.url, stream=True, timeout=10) as answer:
            assert answer.headers["Connection"] == "close"
            lines = answer.iter_lines()
            assert next(lines) == b"data: 1"
            go_on.set()
            assert [next(lines), next(lines)] == [b"", b"data: 2"]
        assert closed.wait(10)
    finally:
        server.stop()
