from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from gateway.storage.connections import connect, is_unverified
from gateway.storage.durability import explain_failure
from gateway.storage.embedded import EmbeddedValkey
from gateway.storage.failover import ServerWatch
from tests.faults.partition import Network


def test_no_more_connections_than_asked_for(redis_url: str, store: redis.Redis) -> None:
    client = connect(redis_url, connections=2, retries=0)
    client.client_setname("counted")
    threads = [threading.Thread(target=client.blpop, args=("nothing", 0.3)) for _ in range(5)]
    for thread in threads:
        thread.start()
    most = 0
    while any(thread.is_alive() for thread in threads):
        blocked = [c for c in store.client_list() if c["cmd"] == "blpop"]
        most = max(most, len(blocked))
    client.close()
    assert most == 2


def test_without_retries_a_closed_door_is_told_at_once(tmp_path: Path) -> None:
    client = connect(f"unix://{tmp_path}/none", connections=1, retries=0)
    before = time.monotonic()
    with pytest.raises(redis.ConnectionError):
        client.ping()
    assert time.monotonic() - before < 1


def test_a_server_that_says_nothing_is_left_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        client = connect(url, connections=1, timeout=0.2, retries=0)
        with pytest.raises(redis.TimeoutError):
            client.ping()


def test_a_server_that_says_nothing_is_left_in_time_with_retries_too() -> None:
    """A greeting that fails is not repeated within itself, ever deeper."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        client = connect(url, connections=1, timeout=0.05, retries=3, greet=ServerWatch().greet)
        before = time.monotonic()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        assert time.monotonic() - before < 4


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops calls to a full listener")
def test_a_server_that_cannot_be_reached_any_more_is_left_in_time(redis_url: str) -> None:
    """Each repetition of a command connects once, and does not repeat that as often."""
    with Network.before(redis_url) as network:
        client = connect(network.url, connections=1, timeout=0.3, retries=3)
        client.ping()
        with network.cut():
            before = time.monotonic()
            with pytest.raises(redis.TimeoutError):
                client.ping()
            assert time.monotonic() - before < 3
        assert client.ping()


@pytest.mark.system("openssl")
def test_a_certificate_is_verified_unless_we_are_told_not_to(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _encrypted(tmp_path, redis_url.removeprefix("unix://")) as port:
        url = f"rediss://127.0.0.1:{port}"
        with pytest.raises(redis.ConnectionError, match="certificate") as caught:
            connect(url, connections=1, retries=0).ping()
        assert "REDIS_TLS_VERIFY=off" in explain_failure(url, caught.value)[1]
        assert not is_unverified(url)
        monkeypatch.setenv("REDIS_TLS_VERIFY", "off")
        client = connect(url, connections=1, retries=0)
        assert client.ping()
        client.close()
        assert is_unverified(url) and not is_unverified("redis://127.0.0.1")


@contextlib.contextmanager
def _encrypted(folder: Path, target: str) -> Iterator[int]:
    """A port where TLS with a self-signed certificate leads to a Unix socket; takes two calls."""
    key, certificate = str(folder / "key"), str(folder / "certificate")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=redis"]
    command += ["-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_serve, args=(server, context, target), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


def _serve(server: socket.socket, context: ssl.SSLContext, target: str) -> None:
    for _ in range(2):
        plain, _address = server.accept()
        with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as outer:
            inner = socket.socket(socket.AF_UNIX)
            inner.connect(target)
            with inner:
                while question := outer.recv(65536):
                    inner.sendall(question)
                    outer.sendall(inner.recv(65536))


def test_an_old_folder_that_stands_open_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    (folder / "appendonlydir").mkdir(parents=True)
    (folder / "appendonlydir" / "a.aof").write_bytes(b"")
    for path in (folder, folder / "appendonlydir", folder / "appendonlydir" / "a.aof"):
        path.chmod(0o777)
    EmbeddedValkey(folder).prepare()
    modes = [path.stat().st_mode & 0o777 for path in (folder, *sorted(folder.rglob("*")))]
    assert modes == [0o700, 0o700, 0o600]
