"""A real `python -m sandbox`, driven over HTTP as its page drives it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import requests

from tests.waiting import until

ROOT = Path(__file__).parents[2]
JSON = dict[str, Any]
T = TypeVar("T")


def descendants(pid: int) -> list[int]:
    """The processes below one, however deep."""
    rows, found, parents = _processes(), list[int](), {pid}
    while parents:
        parents = {child for child, parent in rows.items() if parent in parents}
        found += sorted(parents)
    return found


def running(pids: list[int]) -> set[int]:
    """Those that have not ended."""
    return set(pids) & set(_processes())


def _processes() -> dict[int, int]:
    """Each one's parent; without those that have ended and that nobody has fetched."""
    done = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    return {int(pid): int(parent) for pid, parent, state in rows if state[0] != "Z"}


class SandboxProcess:
    """Ready once it is made. `folder` is where its data are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "sandbox"
        self._output = folder / "output"
        environ = {**os.environ, "GATEWAY_DATA": str(folder), "SANDBOX_PORT": "0", "PORT": "0"}
        with self._output.open("w") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sandbox"],
                cwd=ROOT,
                env=environ,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        self.url = until(self._address, 90)

    @property
    def text(self) -> str:
        return self._output.read_text()

    def stop(self) -> float:
        """SIGTERM. Returns the seconds until it has ended."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        return time.monotonic() - began

    def end(self) -> None:
        """Whatever happened before: nothing of it is left."""
        if self.process.poll() is None:
            left = descendants(self.process.pid)
            self.process.kill()
            self.process.wait()
            for pid in left:
                _kill(pid)

    def state(self) -> JSON:
        answer = requests.get(f"{self.url}/api/state", timeout=10)
        assert answer.ok, answer.text
        return dict(answer.json())

    def post(self, path: str, **fields: object) -> JSON:
        answer = requests.post(f"{self.url}/api/{path}", json=fields, timeout=10)
        assert answer.ok, answer.text
        return dict(answer.json())

    def customer(self, channel: str) -> JSON:
        """The first customer of a channel."""
        return dict(self.state()["channels"][channel]["customers"][0])

    def customer_writes(self, channel: str, text: str, subject: str = "") -> None:
        who = quote(self.customer(channel)["id"], safe="")
        self.post(f"customers/{channel}/{who}/messages", text=text, subject=subject)

    def conversations(self, channel: str) -> list[JSON]:
        return [each for each in self.state()["conversations"] if each["channel"] == channel]

    def agent_sees(self, channel: str, text: str) -> JSON:
        """The conversation in which the customer's text has appeared."""

        def look() -> JSON | None:
            for conversation in self.conversations(channel):
                if any(_below_subject(said["text"]) == text for said in conversation["messages"]):
                    return conversation
            return None

        return until(look)

    def agent_writes(self, channel: str, text: str) -> None:
        number = self.conversations(channel)[0]["id"]
        self.post(f"conversations/{number}/messages", text=text)

    def customer_sees(self, channel: str, text: str) -> None:
        until(
            lambda: any(
                got["text"] == text and not got["mine"]
                for got in self.customer(channel)["messages"]
            )
        )

    def _address(self) -> str:
        assert self.process.poll() is None, self.text
        found = re.search(r"Open (http://127\.0\.0\.1:\d+)", self.text)
        return found[1] if found else ""


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _below_subject(text: str) -> str:
    """What a customer wrote; the first mail of a thread has its subject above."""
    return text.partition("\n\n")[2] if text.startswith("Subject: ") else text
