"""Calls to the outside, over real sockets: total deadlines, and answers turned into errors."""

from __future__ import annotations

import gzip
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from time import monotonic

import pytest

from gateway.errors import (
    BadCredentials,
    DeliveryError,
    LeaseLost,
    Permanent,
    Retry,
    ServerTrouble,
    SpeaksPlainHttp,
    Throttled,
    Uncertain,
    Unreachable,
)
from gateway.http import Answer, OddAddress, Session, check_fence, fence
from gateway.http.session import LARGEST_ANSWER, MOST_WAYS
from tests.scripted import (
    Behaviour,
    ScriptedServer,
    answer,
    drip_body,
    drip_headers,
    hang_up,
    refused_url,
    silence,
)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def session() -> Iterator[Session]:
    session = Session(deadline=10)
    yield session
    session.close()


@pytest.fixture
def impatient() -> Iterator[Session]:
    session = Session(deadline=0.3)
    yield session
    session.close()


def failure(session: Session, method: str, url: str) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        session.request(method, url, data={"a": "b"} if method == "POST" else None)
    return caught.value


@pytest.mark.parametrize(
    ("status", "method", "kind"),
    [
        (400, "POST", Permanent),
        (404, "POST", Permanent),
        (401, "POST", BadCredentials),
        (403, "GET", BadCredentials),
        (408, "POST", ServerTrouble),
        (429, "POST", Throttled),
        (500, "POST", ServerTrouble),
        (503, "POST", ServerTrouble),
        (502, "POST", Uncertain),
        (504, "POST", Uncertain),
        (520, "POST", Uncertain),
        (524, "POST", Uncertain),
        (502, "GET", ServerTrouble),
        (302, "POST", Retry),
    ],
)
def test_a_status_becomes_an_error(
    server: ScriptedServer, session: Session, status: int, method: str, kind: type[DeliveryError]
) -> None:
    server.otherwise = answer(status, b"no")
    assert type(failure(session, method, server.url)) is kind
    assert len(server.requests) == 1, "nothing may be repeated or followed by itself"


@pytest.mark.parametrize(
    ("given", "after"), [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("soon", None), (None, None)]
)
def test_retry_after_is_read_if_it_is_a_number(
    server: ScriptedServer, session: Session, given: str | None, after: float | None
) -> None:
    server.otherwise = answer(429, b"", {"Retry-After": given} if given else {})
    error = failure(session, "POST", server.url)
    assert isinstance(error, Throttled)
    assert error.after == after


@pytest.mark.parametrize("given", ["nan", "inf", "-inf", "1e400"])
def test_retry_after_is_never_without_end(
    server: ScriptedServer, session: Session, given: str
) -> None:
    server.otherwise = answer(503, b"", {"Retry-After": given})
    error = failure(session, "POST", server.url)
    assert isinstance(error, Retry)
    assert error.after is None or 0 <= error.after < float("inf")


def test_a_refused_connection_is_unreachable(session: Session) -> None:
    assert type(failure(session, "POST", refused_url())) is Unreachable
    assert type(failure(session, "GET", refused_url())) is Unreachable


def test_what_cannot_be_written_has_not_arrived(session: Session) -> None:
    assert type(failure(session, "POST", "http:///no-host")) is OddAddress
    with socket.create_server(("127.0.0.1", 0)) as plain:
        threading.Thread(target=_speak_no_tls, args=(plain,), daemon=True).start()
        url = f"https://127.0.0.1:{plain.getsockname()[1]}/"
        assert type(failure(session, "POST", url)) is SpeaksPlainHttp


def _speak_no_tls(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")


def test_more_hosts_than_are_remembered_are_reached(session: Session) -> None:
    with ExitStack() as open_ones:
        servers = [open_ones.enter_context(ScriptedServer()) for _ in range(MOST_WAYS + 2)]
        for server in [*servers[:20], *servers]:
            server.otherwise = answer(200, b"here")
            assert session.get(server.url).text == "here"
    assert len(session._ways) <= MOST_WAYS


@pytest.mark.parametrize("behaviour", [silence, drip_headers, drip_body])
def test_a_call_ends_at_its_total_deadline(
    server: ScriptedServer, impatient: Session, behaviour: Behaviour
) -> None:
    server.otherwise = behaviour
    began = monotonic()
    error = failure(impatient, "POST", server.url)
    assert monotonic() - began < 2
    assert type(error) is Uncertain
    assert "in time" in error.reason
    assert type(failure(impatient, "GET", server.url)) is Unreachable


def test_a_dripping_answer_is_cut_on_a_kept_connection_too(
    server: ScriptedServer, impatient: Session
) -> None:
    server.script = [answer(200, {}), drip_body]
    impatient.get(server.url)
    began = monotonic()
    assert type(failure(impatient, "POST", server.url)) is Uncertain
    assert monotonic() - began < 2
    assert {request.connection for request in server.requests} == {1}


def test_a_lost_answer_is_unknown_after_a_write(server: ScriptedServer, session: Session) -> None:
    server.otherwise = hang_up
    assert type(failure(session, "POST", server.url)) is Uncertain
    assert type(failure(session, "GET", server.url)) is Unreachable


def test_connections_are_kept(server: ScriptedServer, session: Session) -> None:
    for _ in range(5):
        session.post(server.url, json={})
    assert {request.connection for request in server.requests} == {1}


def test_an_answer_that_is_no_json_is_unknown_after_a_write(
    server: ScriptedServer, session: Session
) -> None:
    server.otherwise = answer(200, b"<html>")
    with pytest.raises(Uncertain):
        session.post(server.url).json()
    with pytest.raises(ServerTrouble):
        session.get(server.url).json()
    assert session.get(server.url).json_or_none() is None


def test_an_endless_answer_is_cut(server: ScriptedServer, session: Session) -> None:
    server.otherwise = answer(200, b"x" * (LARGEST_ANSWER + 1))
    assert type(failure(session, "POST", server.url)) is Uncertain


def test_a_decompression_bomb_is_cut_too(server: ScriptedServer, session: Session) -> None:
    """Counted is what it becomes, not what came over the wire."""
    bomb = gzip.compress(bytes(LARGEST_ANSWER + 1))
    assert len(bomb) < 20_000
    server.otherwise = answer(200, bomb, {"Content-Encoding": "gzip"})
    assert type(failure(session, "POST", server.url)) is Uncertain
    assert type(failure(session, "GET", server.url)) is Unreachable


def test_the_adapter_may_explain_an_answer(server: ScriptedServer) -> None:
    def explain(given: Answer) -> DeliveryError | None:
        return Permanent("because") if given.text == "mine" else None

    session = Session(explain=explain)
    server.script = [answer(500, b"mine"), answer(500, b"other")]
    assert failure(session, "POST", server.url).reason == "because"
    assert type(failure(session, "POST", server.url)) is ServerTrouble
    session.close()


def test_the_fence_stands_before_every_write(server: ScriptedServer, session: Session) -> None:
    def lost() -> None:
        raise LeaseLost

    token = fence.set(lost)
    try:
        with pytest.raises(LeaseLost):
            session.post(server.url)
        with pytest.raises(LeaseLost):
            check_fence()
        assert server.requests == []
        session.get(server.url)
        assert len(server.requests) == 1
    finally:
        fence.reset(token)
    session.post(server.url)


def test_the_fence_is_asked_once_more_at_the_last_moment(
    server: ScriptedServer, session: Session
) -> None:
    """Between the first look and the connection a process may stand still for longer than its
    lease."""
    looks = iter([None, LeaseLost])

    def lost_meanwhile() -> None:
        if (error := next(looks)) is not None:
            raise error

    token = fence.set(lost_meanwhile)
    try:
        with pytest.raises(LeaseLost):
            session.post(server.url, json={"a": 1})
    finally:
        fence.reset(token)
    session.post(server.url)
    assert [request.method for request in server.requests] == ["POST"]


def test_no_secret_is_in_an_error(server: ScriptedServer, impatient: Session) -> None:
    secret = "s3cr3t"
    behaviours = [answer(401, b"no"), answer(500, b"no"), hang_up, silence, drip_headers]
    for url in (server.url, refused_url()):
        for behaviour in behaviours:
            server.script = [behaviour]
            with pytest.raises(DeliveryError) as caught:
                impatient.post(f"{url}/{secret}", auth=("user", secret), data={"key": secret})
            error = caught.value
            assert secret not in error.reason + error.detail
            if url == server.url:
                assert secret not in "".join(traceback.format_exception_only(error))


def test_cookies_are_not_kept(server: ScriptedServer, session: Session) -> None:
    server.script = [answer(200, {}, {"Set-Cookie": "a=b; Path=/"}), answer(200, {})]
    session.get(server.url)
    session.get(server.url)
    assert "cookie" not in server.requests[1].headers
