"""Downloads of agents' files, over real sockets: redirects, limits, addresses that are refused."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.chatwoot.downloads import Downloads, Home, NotFetched, NotThere
from gateway.chatwoot.files import LinkedFile
from gateway.errors import Permanent, Retry, Unreachable
from gateway.files.saving import TooLarge
from gateway.http import PrivateAddress, is_public
from tests.scripted import Exchange, ScriptedServer, answer, drip_body, hang_up, refused_url

PNG = b"\x89PNG" + bytes(2000)
LARGEST = 10_000


@pytest.fixture
def chatwoot() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        server.otherwise = answer(200, PNG, {"Content-Type": "image/png"})
        yield server


@pytest.fixture
def storage() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        server.otherwise = answer(200, PNG, {"Content-Type": "image/png"})
        yield server


@pytest.fixture
def media(chatwoot: ScriptedServer, storage: ScriptedServer) -> Iterator[Downloads]:
    host = storage.url.removeprefix("http://")
    media = Downloads(Home(chatwoot.url, storage_hosts=(host,)), seconds=5)
    yield media
    media.close()


def linked(url: str, **more: Any) -> LinkedFile:
    return LinkedFile(url, **{"name": "cat.png", "content_type": "image/png", **more})


def moved(where: str, **headers: str) -> Any:
    return answer(302, b"", {"Location": where, **headers})


def test_a_file_is_fetched(media: Downloads, chatwoot: ScriptedServer, tmp_path: Path) -> None:
    file = media.fetch(linked(f"{chatwoot.url}/blob/cat.png"), tmp_path / "1", LARGEST)
    assert (file.name, file.content_type, file.size) == ("cat.png", "image/png", len(PNG))
    assert file.path.read_bytes() == PNG
    assert chatwoot.requests[0].headers["accept-encoding"] == "identity"


def test_nothing_that_tells_who_we_are_follows_a_redirect(
    media: Downloads, chatwoot: ScriptedServer, storage: ScriptedServer, tmp_path: Path
) -> None:
    chatwoot.otherwise = moved(f"{storage.url}/cat?sealed=1", **{"Set-Cookie": "session=1"})
    media.fetch(linked(chatwoot.url), tmp_path / "1", LARGEST)
    [request] = storage.requests
    assert request.path == "/cat?sealed=1"
    assert not {"authorization", "cookie", "api-access-token", "referer"} & set(request.headers)


def test_an_address_that_names_a_user_is_refused(
    media: Downloads, chatwoot: ScriptedServer, storage: ScriptedServer, tmp_path: Path
) -> None:
    with pytest.raises(Permanent, match="not a plain"):
        media.fetch(linked(chatwoot.url.replace("://", "://me:mine@")), tmp_path / "1", LARGEST)
    assert chatwoot.requests == []
    chatwoot.otherwise = moved(storage.url.replace("://", "://user:password@"))
    with pytest.raises(Permanent, match="not a plain"):
        media.fetch(linked(chatwoot.url), tmp_path / "1", LARGEST)
    assert storage.requests == []


def test_every_attempt_begins_at_the_address_that_lasts(
    media: Downloads, chatwoot: ScriptedServer, storage: ScriptedServer, tmp_path: Path
) -> None:
    chatwoot.script = [moved(f"{storage.url}/1"), moved(f"{storage.url}/2")]
    storage.script = [answer(404)]
    with pytest.raises(NotThere):
        media.fetch(linked(chatwoot.url), tmp_path / "1", LARGEST)
    media.fetch(linked(chatwoot.url), tmp_path / "1", LARGEST)
    assert [request.path for request in storage.requests] == ["/1", "/2"]


@pytest.mark.parametrize("status", [404, 500, 403])
def test_a_late_file_is_worth_waiting_for(
    media: Downloads, chatwoot: ScriptedServer, tmp_path: Path, status: int
) -> None:
    chatwoot.otherwise = answer(status)
    with pytest.raises(NotThere, match=r"cat\.png"):
        media.fetch(linked(chatwoot.url), tmp_path / "1", LARGEST)


def undeclared(exchange: Exchange) -> None:
    """More than there may be, and no word of how much."""
    exchange.close_connection = True
    exchange.send_response(200)
    exchange.end_headers()
    try:
        while not exchange.script.stopped.is_set():
            exchange.wfile.write(bytes(1000))
    except OSError:
        return


@pytest.mark.parametrize("behaviour", [answer(200, bytes(LARGEST + 1)), undeclared])
def test_too_large_is_refused_told_or_not(
    media: Downloads, chatwoot: ScriptedServer, tmp_path: Path, behaviour: Any
) -> None:
    chatwoot.otherwise = behaviour
    with pytest.raises(TooLarge):
        media.fetch(linked(chatwoot.url), tmp_path / "1", LARGEST)


def test_a_declared_length_is_refused_unread(
    media: Downloads, chatwoot: ScriptedServer, tmp_path: Path
) -> None:
    chatwoot.otherwise = answer(200, bytes(LARGEST + 1))
    with pytest.raises(TooLarge):
        media.fetch(linked(chatwoot.url), tmp_path / "1", LARGEST)
    assert not (tmp_path / "1").exists()


def test_compressed_bytes_are_not_unpacked(
    media: Downloads, chatwoot: ScriptedServer, tmp_path: Path
) -> None:
    chatwoot.otherwise = answer(200, b"\x1f\x8b", {"Content-Encoding": "gzip"})
    with pytest.raises(NotFetched, match="compressed"):
        media.fetch(linked(chatwoot.url), tmp_path / "1", LARGEST)


def test_a_dripping_file_ends_at_the_deadline(chatwoot: ScriptedServer, tmp_path: Path) -> None:
    chatwoot.otherwise = drip_body
    media, began = Downloads(Home(chatwoot.url), seconds=0.3), time.monotonic()
    with pytest.raises(Retry, match="in time"):
        media.fetch(linked(chatwoot.url), tmp_path / "1", LARGEST)
    assert time.monotonic() - began < 3
    media.close()


def drip_without_length(exchange: Exchange) -> None:
    """A body that ends with its connection: cut off, it looks complete."""
    exchange.drip(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"." * 9999)


def test_a_file_that_is_cut_off_at_the_deadline_is_not_taken_for_complete(
    chatwoot: ScriptedServer, tmp_path: Path
) -> None:
    chatwoot.otherwise = drip_without_length
    downloads = Downloads(Home(chatwoot.url), seconds=0.3)
    with pytest.raises(Retry, match="in time"):
        downloads.fetch(linked(chatwoot.url), tmp_path / "1", LARGEST)
    downloads.close()


@pytest.mark.parametrize("broken", [hang_up, None])
def test_trouble_with_chatwoot_does_not_blame_the_channel(
    chatwoot: ScriptedServer, tmp_path: Path, broken: Any
) -> None:
    chatwoot.otherwise = broken or hang_up
    url = chatwoot.url if broken else refused_url()
    media = Downloads(Home(url))
    with pytest.raises(Retry) as caught:
        media.fetch(linked(url), tmp_path / "1", LARGEST)
    assert not isinstance(caught.value, Unreachable)
    media.close()


OUR_OWN = (
    *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "127.0.0.1."),
    *("localhost", "LOCALHOST", "localhost.", "user:word@localhost", "%6cocalhost"),
    *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "①②⑦.0.0.1"),
)
"""This machine, in many spellings."""


def test_a_private_address_is_refused(
    media: Downloads, tmp_path: Path, storage: ScriptedServer
) -> None:
    with ScriptedServer() as stranger:
        port = stranger.url.rpartition(":")[2]
        for host in OUR_OWN:
            # Some are no address at all to the resolver: then it cannot be reached.
            with pytest.raises((Permanent, Retry)):
                media.fetch(linked(f"http://{host}:{port}/"), tmp_path / "1", LARGEST)
        assert stranger.requests == []


def test_a_redirect_to_a_private_address_is_refused(
    media: Downloads, chatwoot: ScriptedServer, tmp_path: Path
) -> None:
    with ScriptedServer() as stranger:
        port = stranger.url.rpartition(":")[2]
        for host in OUR_OWN:
            chatwoot.otherwise = moved(f"http://{host}:{port}/")
            with pytest.raises((Permanent, Retry)):
                media.fetch(linked(chatwoot.url), tmp_path / "1", LARGEST)
        assert stranger.requests == []


def test_a_name_with_one_private_address_among_others_is_refused(
    media: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [(2, 1, 6, "", (address, 0)) for address in ("8.8.8.8", "10.0.0.7")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: places)
    with pytest.raises(PrivateAddress):
        media.fetch(linked("http://files.example/"), tmp_path / "1", LARGEST)


def test_the_checked_address_is_the_one_that_is_called(
    media: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is public when it is looked at, and ours when it is called."""
    asked: list[str] = []
    resolve = socket.getaddrinfo

    def rebinding(host: str, *rest: Any, **options: Any) -> Any:
        asked.append(host)
        return resolve("192.0.2.1" if len(asked) == 1 else host, *rest, **options)

    monkeypatch.setattr(
        "gateway.http.public_only.is_public", lambda address: address == "192.0.2.1"
    )
    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    connected: list[Any] = []

    def connect(address: Any, *_: Any, **__: Any) -> socket.socket:
        connected.append(address)
        raise OSError("not in a test")

    monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
    with pytest.raises(Retry):
        media.fetch(linked("http://localhost:1/"), tmp_path / "1", LARGEST)
    assert connected == [("192.0.2.1", 1)]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("10.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::127.0.0.1", False),
        ("::ffff:0:10.0.0.1", False),
        ("64:ff9b::808:808", True),
        ("64:ff9b:1::a00:1", False),
        ("fec0::1", False),
        ("3fff::1", False),
        ("2001:0:4136:e378:8000:63bf:f5ff:fffe", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_redirects_have_an_end(media: Downloads, chatwoot: ScriptedServer, tmp_path: Path) -> None:
    chatwoot.otherwise = moved("/again")
    with pytest.raises(NotFetched, match="too many redirects"):
        media.fetch(linked(chatwoot.url), tmp_path / "1", LARGEST)
    assert len(chatwoot.requests) == 6


@pytest.mark.parametrize("where", ["file:///etc/passwd", "ftp://example.com/", "gopher://x"])
def test_no_redirect_leads_to_another_scheme(
    media: Downloads, chatwoot: ScriptedServer, tmp_path: Path, where: str
) -> None:
    chatwoot.otherwise = moved(where)
    with pytest.raises(NotFetched, match="away from https"):
        media.fetch(linked(chatwoot.url), tmp_path / "1", LARGEST)


def test_the_internal_address_stands_for_the_public_one(
    chatwoot: ScriptedServer, tmp_path: Path
) -> None:
    media = Downloads(Home("https://chat.example.org", internal_url=f"{chatwoot.url}/inner"))
    chatwoot.script = [moved("https://chat.example.org/disk/cat.png?x=1")]
    url = "https://chat.example.org/blobs/cat.png"
    assert media.fetch(linked(url), tmp_path / "1", LARGEST).size == len(PNG)
    assert [r.path for r in chatwoot.requests] == [
        "/inner/blobs/cat.png",
        "/inner/disk/cat.png?x=1",
    ]
    media.close()
