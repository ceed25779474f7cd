"""`python -m sandbox` as it stands: the whole way of a message, with every process real."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.ports import Ports, PortTaken, free_ports, keep_ports
from sandbox.stand_ins import StandIns
from sandbox.wiring import wire
from tests.e2e.sandbox_process import ROOT, SandboxProcess, descendants, running
from tests.waiting import until

CHANNELS = ("telegram", "sms", "email")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """One for all tests that leave it running."""
    started = SandboxProcess(tmp_path_factory.mktemp("sandbox"))
    yield started
    started.end()


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_message_travels_each_way(sandbox: SandboxProcess, channel: str) -> None:
    sandbox.customer_writes(channel, f"Hello over {channel}")
    sandbox.agent_sees(channel, f"Hello over {channel}")
    sandbox.agent_writes(channel, f"Welcome on {channel}")
    sandbox.customer_sees(channel, f"Welcome on {channel}")


def test_choices_are_buttons_and_a_press_is_an_answer(sandbox: SandboxProcess) -> None:
    sandbox.customer_writes("telegram", "choose?")
    number = sandbox.agent_sees("telegram", "choose?")["id"]
    sandbox.post(f"conversations/{number}/choices", text="Which door?\nFront\nBack")

    def asked(*labels: str) -> dict[str, Any] | None:
        """The question on the phone, once it has these buttons and none turns any more."""
        shown = [{"label": label, "turns": False} for label in labels]
        messages = sandbox.customer("telegram")["messages"]
        return next((each for each in messages if each["buttons"] == shown), None)

    question = until(lambda: asked("Front", "Back"))
    presses = f"customers/telegram/{sandbox.customer('telegram')['id']}/presses"
    sandbox.post(presses, message=int(question["id"]), label="Back")
    until(lambda: asked("✓ Back"))
    answer = sandbox.agent_sees("telegram", "Back")["messages"][-1]
    assert (answer["text"], answer["quoted"]) == ("Back", "Which door?")


def test_choices_are_numbers_in_a_text_message(sandbox: SandboxProcess) -> None:
    sandbox.customer_writes("sms", "choose?")
    number = sandbox.agent_sees("sms", "choose?")["id"]
    sandbox.post(f"conversations/{number}/choices", text="Which door?\nFront\nBack")
    sandbox.customer_sees("sms", "Which door?\n\n1. Front\n2. Back")
    sandbox.customer_writes("sms", "2")
    sandbox.agent_sees("sms", "2 (Back)")


def test_an_sms_that_arrived_shows_two_ticks(sandbox: SandboxProcess) -> None:
    sandbox.customer_writes("sms", "ticks?")
    sandbox.agent_sees("sms", "ticks?")
    sandbox.agent_writes("sms", "ticks!")
    until(lambda: sandbox.agent_sees("sms", "ticks!")["messages"][-1]["status"] == "delivered")


def test_a_private_note_stays_private(sandbox: SandboxProcess) -> None:
    sandbox.customer_writes("telegram", "before the note")
    number = sandbox.agent_sees("telegram", "before the note")["id"]
    sandbox.post(f"conversations/{number}/messages", text="a secret", private=True)
    sandbox.agent_writes("telegram", "after the note")
    sandbox.customer_sees("telegram", "after the note")
    notes = [m for m in sandbox.conversations("telegram")[0]["messages"] if m["private"]]
    assert [note["text"] for note in notes] == ["a secret"]
    assert "a secret" not in [m["text"] for m in sandbox.customer("telegram")["messages"]]


def test_a_reply_to_one_who_blocked_the_bot_is_red_and_can_be_retried(
    sandbox: SandboxProcess,
) -> None:
    sandbox.customer_writes("telegram", "I block you")
    sandbox.agent_sees("telegram", "I block you")
    where = f"customers/telegram/{sandbox.customer('telegram')['id']}/unreachable"
    sandbox.post(where, on=True)
    sandbox.agent_writes("telegram", "please stay")
    failed = until(
        lambda: [
            said
            for said in sandbox.agent_sees("telegram", "please stay")["messages"]
            if said["status"] == "failed"
        ]
    )
    assert "blocked the bot" in failed[0]["error"]
    sandbox.post(where, on=False)
    sandbox.post(f"messages/{failed[0]['id']}/retry")
    sandbox.customer_sees("telegram", "please stay")


def test_nothing_is_lost_while_chatwoot_is_down_and_the_worker_is_killed(
    sandbox: SandboxProcess,
) -> None:
    texts = [f"while it is down: {number}" for number in range(5)]
    sandbox.post("troubles/chatwoot-down", on=True)
    for text in texts:
        sandbox.customer_writes("telegram", text)
    until(lambda: sandbox.state()["gateway"]["waiting"])
    sandbox.post("processes/worker/kill")
    sandbox.post("troubles/chatwoot-down", on=False)
    told = sandbox.agent_sees("telegram", texts[-1])["messages"]
    assert [said["text"] for said in told if said["text"] in texts] == texts
    until(lambda: all(sandbox.state()["gateway"]["roles"].values()))


def test_the_page_is_served_with_its_files(sandbox: SandboxProcess) -> None:
    page = requests.get(sandbox.url, timeout=5)
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert "http://" not in page.text
    for name in ("page.js", "page.css", "icons.svg"):
        assert requests.get(f"{sandbox.url}/static/{name}", timeout=5).ok


@pytest.mark.parametrize("path", ["", "/api/state", "/static/page.js"])
def test_under_another_host_name_there_is_nothing(sandbox: SandboxProcess, path: str) -> None:
    answer = requests.get(sandbox.url + path, headers={"Host": "evil.example"}, timeout=5)
    assert answer.status_code == 403
    assert "own names" in answer.json()["error"]


def test_another_site_can_change_nothing(sandbox: SandboxProcess) -> None:
    address = f"{sandbox.url}/api/customers/telegram"
    before = len(sandbox.state()["channels"]["telegram"]["customers"])
    evil = {"Origin": "http://evil.example"}
    assert requests.post(address, json={}, headers=evil, timeout=5).status_code == 403
    assert len(sandbox.state()["channels"]["telegram"]["customers"]) == before
    own = {"Origin": sandbox.url}
    assert requests.post(address, json={}, headers=own, timeout=5).ok


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("customers/pigeon", "{}", 404),
        ("customers/sms/+15550000000/messages", '{"text": "?"}', 404),
        ("conversations/99999/messages", '{"text": "?"}', 404),
        ("conversations/1/choices", '{"text": "a question alone"}', 400),
        ("customers/telegram/1/presses", '{"message": 1, "label": "Yes"}', 404),
        ("messages/99999/delete", "{}", 404),
        ("troubles/rain", '{"on": true}', 404),
        ("troubles/chatwoot-down", '{"on": "yes"}', 400),
        ("troubles/chatwoot-down", "[]", 400),
        ("troubles/chatwoot-down", "{", 400),
        ("processes/moon/kill", "{}", 404),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    sandbox: SandboxProcess, path: str, body: str, status: int
) -> None:
    answer = requests.post(
        f"{sandbox.url}/api/{path}",
        data=body,
        headers={"Content-Type": "application/json"},
        timeout=5,
    )
    assert answer.status_code == status
    assert answer.json()["error"].endswith((".", "}"))


def test_no_secret_is_said(sandbox: SandboxProcess) -> None:
    lines = (sandbox.folder / "gateway.env").read_text().splitlines()
    secrets = [line.partition("=")[2] for line in lines]
    assert len(secrets) == 5
    said = sandbox.text + (sandbox.folder / "gateway.log").read_text()
    said += requests.get(f"{sandbox.url}/api/state", timeout=5).text
    said += (sandbox.folder / "channels.toml").read_text()
    assert not [secret for secret in secrets if secret in said]


def test_a_second_start_goes_on_where_the_first_stopped(tmp_path: Path) -> None:
    first = SandboxProcess(tmp_path)
    try:
        for channel in CHANNELS:
            first.customer_writes(channel, f"first over {channel}")
            first.agent_sees(channel, f"first over {channel}")
        before = {each["id"]: each["messages"][0]["id"] for each in first.state()["conversations"]}
        # Chatwoot is away at the end: this is stored, and delivered by the next one.
        first.post("troubles/chatwoot-down", on=True)
        first.customer_writes("telegram", "said in the meantime")
        until(lambda: first.state()["gateway"]["waiting"])
        left = descendants(first.process.pid)
        assert first.stop() < 10
        assert len(left) >= 5  # web and its worker, worker, clock, the server of Redis
        assert not running(left), "a process outlived the sandbox"
    finally:
        first.end()
    second = SandboxProcess(tmp_path)
    try:
        assert second.url == first.url
        second.agent_sees("telegram", "said in the meantime")
        after = {each["id"]: each["messages"][0]["id"] for each in second.state()["conversations"]}
        assert after == before
        second.agent_writes("telegram", "answered by the second")
        second.customer_sees("telegram", "answered by the second")
        second.customer_writes("email", "again by mail")
        second.agent_sees("email", "again by mail")
    finally:
        second.end()


def test_the_wired_file_passes_the_check(tmp_path: Path) -> None:
    ports = keep_ports(tmp_path / "ports.json", Ports(page=0, gateway=0))
    stand_ins = StandIns(tmp_path, ports)
    with stand_ins.running():
        wiring = wire(stand_ins, tmp_path, f"http://127.0.0.1:{ports.gateway}")
    told = tomllib.loads(wiring.config.read_text())
    assert told["chatwoot"]["main"]["token"] == "${CHATWOOT_TOKEN}"
    check = subprocess.run(
        [sys.executable, "-m", "gateway", "check"],
        cwd=ROOT,
        env={**os.environ, **wiring.environ, "GATEWAY_CONFIG": str(wiring.config)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stdout
    assert "3 channels (telegram, sms, email)" in check.stdout


def test_a_taken_port_is_replaced_and_a_free_one_kept(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    first = keep_ports(path, Ports(page=0, gateway=0))
    assert keep_ports(path) == first
    with socket.create_server(("127.0.0.1", first.page)):
        second = keep_ports(path)
    assert second.page != first.page
    assert second.chatwoot == first.chatwoot
    assert keep_ports(path) == second


def test_a_port_that_is_named_is_obeyed_and_one_that_is_taken_is_said(tmp_path: Path) -> None:
    path, said = tmp_path / "ports.json", list[str]()
    first = keep_ports(path, Ports(page=0, gateway=0))
    (other,) = free_ports(1)
    named = {"page": "SANDBOX_PORT"}
    assert keep_ports(path, Ports(page=other), named, said.append).page == other != first.page
    assert said == []
    with socket.create_server(("127.0.0.1", other)):
        with pytest.raises(PortTaken, match="SANDBOX_PORT"):
            keep_ports(path, Ports(page=other), named)
        moved = keep_ports(path, say=said.append).page
    assert said == [f"Port {other} is in use; the page is on port {moved} from now on."]


def test_a_second_one_in_the_same_folder_is_refused_before_it_writes(
    sandbox: SandboxProcess,
) -> None:
    files = [sandbox.folder / "channels.toml", sandbox.folder / "ports.json"]
    before = [(file.read_text(), file.stat().st_mtime_ns) for file in files]
    done = subprocess.run(
        [sys.executable, "-m", "sandbox"],
        cwd=ROOT,
        env={**os.environ, "GATEWAY_DATA": str(sandbox.folder.parent), "SANDBOX_PORT": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "another gateway" in done.stderr
    assert [(file.read_text(), file.stat().st_mtime_ns) for file in files] == before
    sandbox.customer_writes("telegram", "Still there?")
    sandbox.agent_sees("telegram", "Still there?")


def test_state_that_cannot_be_read_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "sandbox").mkdir()
    (tmp_path / "sandbox" / "telegram.json").write_text("{")
    done = subprocess.run(
        [sys.executable, "-m", "sandbox"],
        cwd=ROOT,
        env={**os.environ, "GATEWAY_DATA": str(tmp_path), "SANDBOX_PORT": "0", "PORT": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert "cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_gateway_knows_nothing_of_a_sandbox() -> None:
    sources = [*ROOT.glob("gateway/**/*"), *ROOT.glob("adapters/**/*")]
    read = [path for path in sources if path.suffix in {".py", ".lua", ".html"}]
    assert len(read) > 50
    assert not [path for path in read if "sandbox" in path.read_text().lower()]
