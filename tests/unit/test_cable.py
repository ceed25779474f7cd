"""The connection to Chatwoot's event stream, against servers that misbehave."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from pydantic import SecretStr
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

from gateway.chatwoot import cable as cable_module
from gateway.chatwoot.cable import Cable, Subscription, UnreadableFrame
from gateway.errors import BadCredentials, ServerTrouble, Unreachable
from tests.scripted import ScriptedServer, answer

TOKEN = "a secret token of the event stream"
ASKED = Subscription(account=1, user=7, pubsub_token=SecretStr(TOKEN))
ORIGIN = "https://chat.example.org"
WELCOME = {"type": "welcome"}
CONFIRMED = {"identifier": "…", "type": "confirm_subscription"}
TOLD = {"identifier": "…", "message": {"event": "contact.created", "data": {}}}
Talk = Callable[[ServerConnection], Any]


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cable_module, "CONFIRMED_WITHIN", 0.5)
    monkeypatch.setattr(cable_module, "SILENCE", 0.3)
    monkeypatch.setattr(cable_module, "FAREWELL", 0.1)


@contextmanager
def serving(talk: Talk) -> Iterator[str]:
    """The address of a real WebSocket server that does `talk` with whoever comes."""

    def handle(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            talk(connection)

    protocols = [Subprotocol("actioncable-v1-json")]
    with serve(handle, "127.0.0.1", 0, subprotocols=protocols) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield _address(server)
        server.shutdown()
        thread.join(5)


def _address(server: Server) -> str:
    return f"http://127.0.0.1:{server.socket.getsockname()[1]}"


def say(connection: ServerConnection, *frames: object) -> None:
    for frame in frames:
        connection.send(frame if isinstance(frame, str) else json.dumps(frame))


def confirmed(then: Talk) -> Talk:
    """Everything is well at first."""

    def talk(connection: ServerConnection) -> None:
        say(connection, WELCOME)
        connection.recv(5)
        say(connection, CONFIRMED)
        then(connection)

    return talk


def test_it_subscribes_once_and_says_nothing_else() -> None:
    heard: list[str] = []
    headers: list[tuple[str | None, ...]] = []

    def talk(connection: ServerConnection) -> None:
        request = connection.request
        assert request is not None
        headers.append((request.path, request.headers.get("Origin"), connection.subprotocol))
        say(connection, WELCOME)
        heard.append(str(connection.recv(5)))
        say(connection, {"type": "ping", "message": 1}, CONFIRMED, {"type": "ping"}, TOLD)
        heard.extend(str(message) for message in connection)

    with serving(talk) as url:
        with Cable(url, f"{ORIGIN}/", ASKED) as cable:
            assert cable.receive() is None, "a ping"
            told = cable.receive()
        assert told is not None
        assert told.text("event") == "contact.created"
    assert headers == [("/cable", ORIGIN, "actioncable-v1-json")]
    [command] = [json.loads(text) for text in heard]
    assert command["command"] == "subscribe"
    assert json.loads(command["identifier"]) == {
        "channel": "RoomChannel",
        "pubsub_token": TOKEN,
        "account_id": 1,
        "user_id": 7,
    }


def ping_for_ever(connection: ServerConnection) -> None:
    while True:
        say(connection, {"type": "ping"})
        time.sleep(0.05)  # this is the server, not the test


def only_pings(connection: ServerConnection) -> None:
    say(connection, WELCOME)
    connection.recv(5)
    ping_for_ever(connection)


def refusing(connection: ServerConnection) -> None:
    say(connection, WELCOME)
    connection.recv(5)
    say(connection, {"type": "reject_subscription"})
    connection.recv(5)


@pytest.mark.parametrize("talk", [only_pings, refusing])
def test_a_token_that_is_not_confirmed(talk: Talk) -> None:
    with serving(talk) as url, pytest.raises(BadCredentials) as raised:
        Cable(url, ORIGIN, ASKED)
    assert "Check the account's number and token" in raised.value.reason
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize(
    ("talk", "said"),
    [
        (lambda connection: connection.recv(5), "says nothing"),
        (ping_for_ever, "says nothing"),
        (lambda connection: say(connection, "hello?"), "but not Chatwoot"),
        (lambda connection: say(connection, [1, 2]), "but not Chatwoot"),
        (lambda connection: say(connection, {"type": 4}), "but not Chatwoot"),
    ],
)
def test_what_is_no_chatwoot(talk: Talk, said: str) -> None:
    with serving(talk) as url, pytest.raises(ServerTrouble, match=said):
        Cable(url, ORIGIN, ASKED)


def test_a_connection_that_ends_before_it_is_confirmed() -> None:
    with (
        serving(lambda connection: connection.close()) as url,
        pytest.raises(Unreachable, match="has ended"),
    ):
        Cable(url, ORIGIN, ASKED)


@pytest.mark.parametrize(
    ("then", "said"),
    [
        (lambda connection: connection.close(), "has ended"),
        (lambda connection: connection.recv(5), "silent for 0.3 seconds"),
        (
            lambda connection: say(
                connection, {"type": "disconnect", "reason": "server_restart", "reconnect": True}
            ),
            "ends its event stream: server_restart",
        ),
    ],
)
def test_a_connection_that_breaks(then: Talk, said: str) -> None:
    with (
        serving(confirmed(then)) as url,
        Cable(url, ORIGIN, ASKED) as cable,
        pytest.raises(Unreachable, match=said),
    ):
        cable.receive()


@pytest.mark.parametrize(
    "frame",
    ["secret words", "[]", '"secret"', "[" * 100_000, '{"type": 1}', '{"message": "text"}', "null"],
)
def test_an_unreadable_frame_does_not_end_the_connection(frame: str) -> None:
    with (
        serving(confirmed(lambda connection: say(connection, frame, TOLD))) as url,
        Cable(url, ORIGIN, ASKED) as cable,
    ):
        with pytest.raises(UnreadableFrame) as raised:
            cable.receive()
        assert "secret" not in str(raised.value)
        assert cable.receive() is not None


def test_bytes_are_read_as_text() -> None:
    then = confirmed(lambda connection: connection.send(json.dumps(TOLD).encode()))
    with serving(then) as url, Cable(url, ORIGIN, ASKED) as cable:
        assert cable.receive() is not None


def test_a_long_message_passes() -> None:
    long = {"message": {"event": "message.created", "data": {"content": "x" * 2_000_000}}}
    with (
        serving(confirmed(lambda connection: say(connection, long))) as url,
        Cable(url, ORIGIN, ASKED) as cable,
    ):
        assert cable.receive() is not None


def test_a_web_server_that_passes_no_websockets_on() -> None:
    with ScriptedServer() as server:
        server.otherwise = answer(404, b"<html>not here</html>")
        with pytest.raises(ServerTrouble, match="refused with status 404"):
            Cable(server.url, ORIGIN, ASKED)
        server.otherwise = answer(200, b"<html>welcome</html>")
        with pytest.raises(ServerTrouble, match="refused with status 200"):
            Cable(server.url, ORIGIN, ASKED)


def test_nobody_there() -> None:
    with serving(lambda connection: None) as url:
        pass
    with pytest.raises(Unreachable, match="cannot be reached"):
        Cable(url, ORIGIN, ASKED)
    with pytest.raises(Unreachable, match="cannot be reached"):
        Cable(url.replace("http:", "https:"), ORIGIN, ASKED)
