"""Callers that mean no good, at the process as it runs: silent, dripping, oversized, lying."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import pytest
import requests

from gateway.processes.launch import WEB_CONNECTIONS, WEB_THREADS
from tests.unit.web_kit import HOOK, SIGNED, text
from tests.unit.web_process import Web, own_valkey, serving
from tests.waiting import until

HEAD = f"POST {HOOK} HTTP/1.1\r\nHost: x\r\nX-Key: marked-network-key\r\n".encode()
FEW = 50


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    worker = "tests.unit.hasty_worker.HastyWorker"
    with (
        own_valkey(tmp_path_factory.mktemp("valkey")) as server,
        serving(server, tmp_path_factory.mktemp("web"), "--worker-class", worker) as web,
    ):
        until(lambda: requests.get(f"{web.url}/readyz", timeout=5).ok)
        yield web


def caller(web: Web, said: bytes = b"") -> socket.socket:
    host = urlsplit(web.url)
    line = socket.create_connection((host.hostname, host.port or 80), timeout=10)
    line.sendall(said)
    return line


def answer_to(web: Web, said: bytes) -> bytes:
    """All that comes back until the other side hangs up."""
    told = b""
    with caller(web, said) as line, suppress(ConnectionResetError):
        while piece := line.recv(4096):
            told += piece
    return told


def test_fifty_silent_callers_hold_nobody_up(web: Web) -> None:
    with ExitStack() as open_lines:
        silent = [open_lines.enter_context(caller(web)) for _ in range(FEW)]
        answer = requests.get(f"{web.url}/healthz", timeout=1.5)  # a silent one waits two seconds
        assert answer.ok
        for line in silent:
            assert line.recv(1) == b""  # and it is hung up on, in the end


@pytest.mark.parametrize(
    "half", [HEAD, HEAD + b"Content-Length: 900\r\n\r\n{", b"P"], ids=["head", "body", "byte"]
)
def test_half_a_request_holds_a_thread_for_a_while_only(web: Web, half: bytes) -> None:
    with ExitStack() as open_lines:
        slow = [open_lines.enter_context(caller(web, half)) for _ in range(WEB_THREADS)]
        assert requests.get(f"{web.url}/healthz", timeout=8).ok
        for line in slow:
            with suppress(ConnectionResetError):
                while line.recv(4096):
                    pass


HALVES = (
    b"P",
    HEAD,
    HEAD + b"Content-Length: 900\r\n\r\n{",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\n{",
    b"POST /channels/nobody/webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n{",
    HEAD.replace(b"-Key", b"-No") + b"Content-Length: 90000\r\n\r\n{",
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"nonsense\r\n\r\n",
)
"""What is begun, and what is answered without the caller's hanging up."""


def seconds_of_honest_calls(web: Web, calls: int) -> list[float]:
    """Of a network's webhooks, each over a connection of its own; the slowest last."""
    took = []
    for number in range(calls):
        began = monotonic()
        body = json.dumps(text(f"honest-{number}-{began}")).encode()
        answer = requests.post(web.url + HOOK, data=body, headers=SIGNED, timeout=30)
        assert answer.status_code == 200
        took.append(monotonic() - began)
    return sorted(took)


def test_two_hundred_half_sent_requests_hold_nobody_up(web: Web) -> None:
    with ExitStack() as open_lines:
        for number in range(200):
            open_lines.enter_context(caller(web, HALVES[number % len(HALVES)]))
        assert seconds_of_honest_calls(web, 100)[98] < 1


def test_more_connections_than_there_may_be_hold_nobody_up(web: Web) -> None:
    with ExitStack() as open_lines:
        for _ in range(WEB_CONNECTIONS + 20):
            open_lines.enter_context(caller(web, b"P"))
        assert seconds_of_honest_calls(web, 20)[-1] < 1


def largest_ever(web: Web) -> int:
    """The most memory, in kB, that gunicorn's worker has held so far."""
    parent = web.process.pid
    [worker] = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    [line] = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{worker}/status").read_text())
    return int(line)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux")
@pytest.mark.parametrize("channel", ["forms", "shop", "nobody"])
def test_forms_of_many_fields_cost_nothing(web: Web, channel: str) -> None:
    """Eight times eight megabytes of `a&a&…`, each field of which would become an object."""
    before = largest_ever(web)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    def post(_: int) -> int:
        url, form = f"{web.url}/channels/{channel}/webhook", b"a&" * 4_000_000
        try:
            return requests.post(url, data=form, headers=headers, timeout=10).status_code
        except requests.ConnectionError:
            return 0  # hung up on, in the middle of the form

    with ThreadPoolExecutor(8) as crowd:
        assert set(crowd.map(post, range(8))) <= {0, 403, 413}
    assert largest_ever(web) - before < 16 * 1024


def test_a_long_body_that_is_wanted_is_read(web: Web) -> None:
    assert (
        requests.post(web.url + HOOK, data=b"{" * 5000, headers=SIGNED, timeout=5).status_code
        == 413
    )
    whole = json.dumps(text("long", "x" * 3000)).encode()
    with caller(
        web, HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(whole)
    ) as line:
        assert b"100 Continue" in line.recv(4096)
        line.sendall(whole)
        assert b" 200 " in line.recv(4096)


def test_requests_in_a_row_on_one_connection(web: Web) -> None:
    """Also two that are sent at once, and one in pieces."""
    ping = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with caller(web, ping + ping) as line:
        said = b""
        while said.count(b"alive") < 2:
            said += line.recv(4096)
        for byte in ping:
            line.sendall(bytes([byte]))
        assert b"alive" in line.recv(4096)


def test_a_caller_cannot_move_our_pages(web: Web) -> None:
    for name in ("SCRIPT_NAME", "SCRIPT-NAME", "PATH_INFO"):
        answer = requests.get(f"{web.url}/healthz", headers={name: "/healthz"}, timeout=5)
        assert answer.text == "alive\n"


def test_a_dripping_request_ends_too(web: Web) -> None:
    with caller(web, HEAD) as line:
        line.settimeout(0.2)
        hung_up = False

        def drip() -> bool:
            nonlocal hung_up
            try:
                line.sendall(b"X-A: b\r\n")
                hung_up = line.recv(1) == b""
            except TimeoutError:
                pass
            except OSError:
                hung_up = True
            return hung_up

        until(drip, 10)


@pytest.mark.parametrize(
    "said",
    [
        b"GET /" + b"a" * 8000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 200 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64 + b"\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n{}",
        HEAD + b"Content-Length: 2\r\nContent-Length: 9\r\n\r\n{}",
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        HEAD.replace(b"\r\nX-Key", b"\r\nBad Name: 1\r\nX-Key") + b"\r\n",
    ],
    ids=[
        "long line",
        "long header",
        "many headers",
        "TLS",
        "negative length",
        "two lengths",
        "length and chunks",
        "no chunk",
        "bad header",
    ],
)
def test_what_is_no_request_is_refused(web: Web, said: bytes) -> None:
    told = answer_to(web, said)
    assert told.split(b" ", 2)[1:2] in ([b"400"], [b"413"], [b"414"], [b"431"]), told[:300]
    assert b"Traceback" not in told
    assert requests.get(f"{web.url}/healthz", timeout=5).ok


def test_a_caller_that_hangs_up_in_the_middle_is_no_fault_of_ours(web: Web) -> None:
    for half in (b"Content-Length: 900\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n9\r\n{"):
        with caller(web, HEAD + half) as line:
            line.shutdown(socket.SHUT_WR)
            assert b" 400 " in line.recv(4096)
    assert "event=crashed" not in web.output


def test_a_body_that_says_it_is_compressed_is_not_unpacked(web: Web) -> None:
    """A few bytes that would become a gigabyte: a webhook is read as it comes."""
    bomb = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + b"\x00" * 100
    headers = {**SIGNED, "Content-Encoding": "gzip", "Content-Type": "application/json"}
    answer = requests.post(web.url + HOOK, data=bomb, headers=headers, timeout=5)
    assert answer.status_code == 400


def test_the_host_that_a_caller_names_is_believed_nowhere(web: Web) -> None:
    """Signatures are over `public_url`, and no page makes an address from what a caller says."""
    headers = {**SIGNED, "Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    body = json.dumps(text("host")).encode()
    answer = requests.post(web.url + HOOK, data=body, headers=headers, timeout=5)
    assert answer.status_code == 200
    for path in ("/", "/readyz", "/no-such-page", "//evil.example/..", "/channels/shop/webhook/"):
        told = requests.get(web.url + path, headers=headers, timeout=5, allow_redirects=False)
        assert told.status_code in {200, 404}
        assert "evil" not in told.text + str(told.headers)
