"""Behind a 200 there is an fsync: watched from outside, by the system calls of both processes."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import requests

from gateway.storage.connections import connect
from gateway.storage.embedded import EmbeddedValkey
from sandbox.chatwoot import ChatwootStandIn
from sandbox.ports import free_ports
from tests.faults.roles import HOOK, ROOT, SIGNED, answers, write_settings
from tests.waiting import until

LINE = re.compile(r"(?:\d+ +)?(?P<at>\d+\.\d+) (?P<call>\w+)\((?P<rest>.*)")
TOOK = re.compile(r"= 0 <(?P<seconds>\d+\.\d+)>$")
SAID = "behind this there is a disk"


@pytest.mark.system("strace")
def test_the_log_is_on_the_disk_before_the_200_leaves(tmp_path: Path) -> None:
    _require_tracing()
    server = EmbeddedValkey(tmp_path / "redis")
    server.prepare()
    storing, serving = tmp_path / "valkey.trace", tmp_path / "web.trace"
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    with contextlib.ExitStack() as stack:
        chatwoot = stack.enter_context(ChatwootStandIn())
        file = write_settings(tmp_path, chatwoot)
        # Not its threads: one that writes to the disk beside the answers would prove nothing.
        calls = "--trace=write,fdatasync,fsync"
        stack.enter_context(_traced(server.command(), storing, calls))
        client = connect(server.url, connections=1, retries=20)
        until(client.ping)
        environ = {
            "GATEWAY_CONFIG": str(file),
            "REDIS_URL": server.url,
            "GATEWAY_BIND": f"127.0.0.1:{port}",
        }
        web = [sys.executable, "-m", "gateway", "web"]
        stack.enter_context(_traced(web, serving, "-f", "--trace=sendto,sendmsg,write", **environ))
        until(lambda: answers(address), 60)
        for number in range(5):
            body = {"id": str(number), "from": "ada", "text": f"{SAID} {number}"}
            assert requests.post(address + HOOK, json=body, headers=SIGNED).status_code == 200
    for number in range(5):
        written = _times(storing, "write", f"{SAID} {number}")
        assert len(written) == 1, "the log has it once"
        synced = min(end for end in _ends_of_fsync(storing) if end > written[0])
        answered = _times(serving, "sendto", "HTTP/1.1 200 OK")[-5 + number]
        assert written[0] < synced < answered


@contextlib.contextmanager
def _traced(
    command: list[str], trace: Path, *options: str, **environ: str
) -> Iterator[subprocess.Popen[bytes]]:
    given: Mapping[str, str] = {**os.environ, **environ}
    strace = ["strace", "-ttt", "-T", "-y", "-s", "4096", "-o", str(trace), *options]
    process = subprocess.Popen([*strace, *command], cwd=ROOT, env=given, start_new_session=True)
    try:
        yield process
    finally:
        # Strace itself takes no notice, and ends with what it traces.
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _lines(trace: Path) -> Iterator[re.Match[str]]:
    return filter(None, map(LINE.match, trace.read_text(errors="replace").splitlines()))


def _times(trace: Path, call: str, part: str) -> list[float]:
    """When calls began that have `part` among their arguments."""
    found = [line for line in _lines(trace) if line["call"] == call and part in line["rest"]]
    return [float(line["at"]) for line in found]


def _ends_of_fsync(trace: Path) -> list[float]:
    return [
        float(line["at"]) + float(took["seconds"])
        for line in _lines(trace)
        if line["call"] in {"fdatasync", "fsync"} and (took := TOOK.search(line["rest"]))
    ]


def _require_tracing() -> None:
    done = subprocess.run(["strace", "true"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"strace may not trace here: {done.stderr.splitlines()[0]}")
