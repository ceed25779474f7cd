"""What every test may ask for: a real Valkey, emptied for each test, and system programs.

`make test` runs several processes, each with a Valkey of its own and one file of tests at a time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import redis

from gateway.storage.connections import connect
from gateway.storage.embedded import EmbeddedValkey

# The promises in tests/adapters/contract.py are assertions too: show what they compared.
pytest.register_assert_rewrite("tests.adapters.contract")

# FUZZ=10000 pytest …: the long run of everything that is generated.
if size := os.environ.get("FUZZ"):
    hypothesis.settings.register_profile("fuzz", max_examples=int(size), deadline=None)
    hypothesis.settings.load_profile("fuzz")

SLOW_ROOMS = ("e2e", "faults")
MOST_PROCESSES = 4
"""However many cores there are: a container may see more of them than it has."""
ALSO_KNOWN_AS = {"chromium": ("chromium", "chromium-browser", "google-chrome")}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process more than there are cores, because most tests wait most of the time."""
    return min((os.cpu_count() or 1) + 1, MOST_PROCESSES)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow rooms, so that no long file is left for the end, when it runs alone.

    A file of each in turn: one starts many processes, the other waits for them to die.
    """
    files: dict[str, list[Path]] = {room: [] for room in SLOW_ROOMS}
    for item in items:
        known = files.get(item.path.parent.name)
        if known is not None and item.path not in known:
            known.append(item.path)
    turns = {path: turn for known in files.values() for turn, path in enumerate(known)}
    items.sort(key=lambda item: turns.get(item.path, len(items)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`@pytest.mark.system("chromium")`: skipped where it is absent, unless REQUIRE_SYSTEM=1."""
    for marker in item.iter_markers("system"):
        for program in marker.args:
            _need(program)


def _need(program: str) -> None:
    if any(shutil.which(name) for name in ALSO_KNOWN_AS.get(program, (program,))):
        return
    reason = f"{program} is not installed"
    if os.environ.get("REQUIRE_SYSTEM") == "1":
        pytest.fail(f"{reason}, and REQUIRE_SYSTEM=1 asks for it", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """The address of a real Valkey server that lives as long as the test run."""
    with tempfile.TemporaryDirectory(prefix="gateway-tests-") as folder:
        server = EmbeddedValkey(Path(folder))
        server.prepare()
        process = subprocess.Popen(server.command(), stdin=subprocess.DEVNULL)
        try:
            _wait_for(server.url, process)
            yield server.url
        finally:
            process.kill()
            process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    client, deadline = connect(url, connections=1, retries=0), time.monotonic() + 10
    while True:
        try:
            client.ping()
            break
        except redis.ConnectionError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    client.close()


@pytest.fixture
def redis_url(valkey_url: str) -> str:
    """The address of an empty database (the same server for all tests of a run)."""
    client = connect(valkey_url, connections=1, retries=0)
    client.flushall()
    client.script_flush()
    client.close()
    return valkey_url


@pytest.fixture
def store(redis_url: str) -> Iterator[redis.Redis]:
    """A client of `redis_url` that answers with `str`."""
    client = connect(redis_url, connections=32, retries=0)
    yield client
    client.close()
