"""Files from the outside, over real sockets: piece by piece, redirects, deadlines, broken ends."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

import pytest

from gateway.errors import BadCredentials, Permanent, Unreachable
from gateway.http import Session
from gateway.http.session import LARGEST_ANSWER
from tests.scripted import Exchange, ScriptedServer, answer, drip_body

AUTH = ("account", "downloadsecret")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def elsewhere() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        server.otherwise = answer(200, b"file")
        yield server


@pytest.fixture
def session() -> Iterator[Session]:
    session = Session(deadline=10)
    yield session
    session.close()


def moved(where: str) -> dict[str, str]:
    return {"Location": where}


def test_a_file_may_be_larger_than_any_answer(server: ScriptedServer, session: Session) -> None:
    large = bytes(LARGEST_ANSWER + 1)
    server.otherwise = answer(200, large)
    assert sum(len(piece) for piece in session.download(server.url)) == len(large)
    assert server.requests[0].headers["accept-encoding"] == "identity"


def test_credentials_stay_behind_at_a_redirect(
    server: ScriptedServer, elsewhere: ScriptedServer, session: Session
) -> None:
    server.otherwise = answer(307, b"", moved(f"{elsewhere.url}/there"))
    pieces = session.download(server.url, redirects=1, auth=AUTH, headers={"X-Key": "secret"})
    assert b"".join(pieces) == b"file"
    assert "authorization" in server.requests[0].headers
    assert elsewhere.requests[0].path == "/there"
    assert not {"authorization", "x-key"} & set(elsewhere.requests[0].headers)


@pytest.mark.parametrize("redirects", [0, 2])
def test_redirects_have_an_end(server: ScriptedServer, session: Session, redirects: int) -> None:
    server.otherwise = answer(302, b"", moved("/again"))
    with pytest.raises(Permanent, match="too many redirects"):
        list(session.download(server.url, redirects=redirects))
    assert len(server.requests) == redirects + 1


def test_no_redirect_leads_to_another_scheme(server: ScriptedServer, session: Session) -> None:
    server.otherwise = answer(302, b"", moved("file:///etc/passwd"))
    with pytest.raises(Permanent, match="away from https"):
        list(session.download(server.url, redirects=1))


@pytest.mark.parametrize(("status", "kind"), [(401, BadCredentials), (404, Permanent)])
def test_a_refusal_is_no_file(
    server: ScriptedServer, session: Session, status: int, kind: type[Exception]
) -> None:
    server.otherwise = answer(status, b"no")
    with pytest.raises(kind):
        list(session.download(server.url))


def test_a_dripping_file_is_cut_off(server: ScriptedServer, session: Session) -> None:
    server.otherwise = drip_body
    began = monotonic()
    with pytest.raises(Unreachable, match="in time"):
        list(session.download(server.url, deadline=0.3))
    assert monotonic() - began < 4


def test_half_a_file_is_none(server: ScriptedServer, session: Session) -> None:
    def half(exchange: Exchange) -> None:
        exchange.close_connection = True
        exchange.answer(200, {"Content-Length": "100"}, b"only this")

    server.otherwise = half
    with pytest.raises(Unreachable):
        list(session.download(server.url))


def test_other_calls_may_be_made_between_two_pieces(
    server: ScriptedServer, elsewhere: ScriptedServer, session: Session
) -> None:
    server.otherwise = answer(200, bytes(1_000_000))
    received = 0
    for piece in session.download(server.url):
        assert session.get(elsewhere.url).body == b"file"
        received += len(piece)
    assert received == 1_000_000
