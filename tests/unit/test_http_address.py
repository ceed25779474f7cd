"""One reading of an address: everything that dials it means the same host, or it is refused."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from urllib3.util import parse_url

from adapters.twilio.files import is_twilios
from gateway.adapter import WebAddress
from gateway.chatwoot.downloads import Downloads, Home
from gateway.chatwoot.files import LinkedFile
from gateway.errors import Permanent, Retry
from gateway.http import OddAddress, Session, read_address
from tests.scripted import ScriptedServer, answer

INSIDE, KNOWN = "169.254.169.254", "chat.example.org"
BETWEEN = ("\\@", "@", "\\", "#@", "?@", "/@", ":@", ":80@", "%40", "%5c@", " ", "\t", "\n", "\r\n")
MORE = (
    "%23@",
    "%2f@",
    "\x00@",
    "\u00a0",
    "\uff0f",
    "\uff20",
    "\u3002",
    ";",
    "&",
    ":80:",
    "[",
    "]",
    "",
)
SEPARATORS = st.sampled_from(BETWEEN + MORE)
HOSTS = st.sampled_from(
    (INSIDE, KNOWN, "[::1]", "LOCALHOST", "localhost.", "①②⑦.0.0.1", "%6cocal", "")
)
SCHEMES = st.sampled_from(
    ("http://", "https://", "HTTP://", "http:/", "http:\\\\", "//", " http://")
)
ENDS = st.sampled_from(("", "/", "/file?x=1#y", ":80/", ":0/", ":99999/", "\\file", "?@x", "#@x"))


@given(st.tuples(SCHEMES, HOSTS, SEPARATORS, HOSTS, SEPARATORS, ENDS))
@settings(max_examples=1500, deadline=None)
def test_all_who_dial_an_address_read_the_same_in_it(pieces: tuple[str, ...]) -> None:
    written = "".join(pieces)
    try:
        read = read_address(written)
    except OddAddress:
        return
    request = requests.PreparedRequest()
    request.prepare(method="GET", url=read.url)
    assert request.url
    for url in (read.url, request.url):
        library, dialled = urlsplit(url), parse_url(url)
        bare = read.host.strip("[]")
        assert (library.scheme, library.hostname) == (read.scheme, bare)
        assert (dialled.scheme, (dialled.host or "").strip("[]")) == (read.scheme, bare)
        assert (library.port or read.port) == (dialled.port or read.port) == read.port
        assert dialled.auth is None and library.username is None


@pytest.mark.parametrize("between", [each for each in BETWEEN if each not in {"#@", "?@", "/@"}])
@pytest.mark.parametrize("known_last", [True, False])
def test_a_second_host_in_an_address_is_refused(between: str, known_last: bool) -> None:
    pair = (INSIDE, KNOWN) if known_last else (KNOWN, INSIDE)
    with pytest.raises(OddAddress):
        read_address(f"http://{between.join(pair)}/latest")


@pytest.mark.parametrize("host", ["[169.254.169.254]", "[abc]", "[1:2]", "[::1", "[]"])
def test_what_stands_in_brackets_is_an_ipv6_address(host: str) -> None:
    with pytest.raises(OddAddress):
        read_address(f"http://{host}/")
    assert read_address("http://[::FFFF:127.0.0.1]:8080/").host == "[::ffff:127.0.0.1]"


def test_nothing_is_fetched_from_behind_a_backslash(tmp_path: Path) -> None:
    """The host before it would be dialled, the one behind it was compared."""
    with ScriptedServer() as inside, ScriptedServer() as chatwoot:
        inside.otherwise = answer(200, b"of this machine")
        downloads = Downloads(Home(chatwoot.url))
        known, secret = (each.url.removeprefix("http://") for each in (chatwoot, inside))
        for url in (f"http://{secret}\\@{known}/", f"http://{secret}\\.{known}/"):
            file = LinkedFile(url, "cat.png")
            with pytest.raises((Permanent, Retry)):
                downloads.fetch(file, tmp_path / "1", 1000)
            chatwoot.otherwise = answer(302, b"", {"Location": url})
            with pytest.raises((Permanent, Retry)):
                file = LinkedFile(chatwoot.url, "cat.png")
                downloads.fetch(file, tmp_path / "1", 1000)
        assert inside.requests == []
        downloads.close()


def test_a_password_is_sent_to_twilio_only() -> None:
    for odd in ("https://evil.example\\@api.twilio.com/x", "https://a@api.twilio.com/x"):
        assert not is_twilios(odd, "https://api.twilio.com")
    for other in (
        "https://evil.example/.twilio.com",
        "http://api.twilio.com/x",
        "https://twilio.com.x/",
    ):
        assert not is_twilios(other, "https://api.twilio.com")
    assert is_twilios("https://media.twilio.com/x", "https://api.twilio.com")
    assert is_twilios("http://localhost:4/x", "http://LOCALHOST:4")


def test_a_session_calls_no_odd_address() -> None:
    session = Session()
    with ScriptedServer() as inside:
        host = inside.url.removeprefix("http://")
        for url in (f"http://{host}\\@{KNOWN}/", f"http://me:mine@{host}/", f" {inside.url}/"):
            with pytest.raises(OddAddress) as caught:
                session.post(url, json={})
            assert host not in str(caught.value)
        assert inside.requests == []
    session.close()


@pytest.mark.parametrize(
    "odd", ["http://a\\@b", "http://a%41", "http://me@b", "http://b/ c", "http://b:0"]
)
def test_a_setting_must_be_plain_as_well(odd: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(WebAddress).validate_python(odd)
