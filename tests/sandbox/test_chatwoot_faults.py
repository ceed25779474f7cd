"""Faults on request, the state file, the change feed, and the server under load."""

from __future__ import annotations

import json
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from sandbox.chatwoot import ChatwootStandIn, Upload
from tests.sandbox.chatwoot_parties import Bridge, bridge


@pytest.fixture
def cw() -> Iterator[Bridge]:
    with bridge() as running:
        yield running


def _eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _write(cw: Bridge, number: int, text: str = "hello") -> requests.Response:
    body = {"content": text, "message_type": "incoming"}
    return cw.call("POST", f"/conversations/{number}/messages", json=body)


def test_a_status_fails_as_often_as_asked_and_only_where_asked(cw: Bridge) -> None:
    number = cw.conversation()
    cw.chatwoot.fault("status", method="POST", path="*/messages", times=2, status=503)
    assert cw.get(f"/conversations/{number}/messages")["payload"] == []
    assert [_write(cw, number).status_code for _ in range(3)] == [503, 503, 200]
    assert len(cw.chatwoot.messages(number)) == 1


def test_a_fault_without_a_number_lasts_until_it_is_cleared(cw: Bridge) -> None:
    cw.chatwoot.fault("status", times=None)
    assert [cw.call("GET", "/inboxes").status_code for _ in range(3)] == [500] * 3
    cw.chatwoot.clear_faults()
    assert cw.call("GET", "/inboxes").status_code == 200


def test_latency_comes_before_the_work_which_is_done_for_nobody(cw: Bridge) -> None:
    number = cw.conversation()
    cw.chatwoot.fault("latency", path="*/messages", seconds=0.3)
    headers = {"api_access_token": cw.chatwoot.access_token}
    url = f"{cw.chatwoot.url}/api/v1/accounts/1/conversations/{number}/messages"
    with pytest.raises(requests.Timeout):
        requests.post(url, json={"content": "late"}, headers=headers, timeout=0.05)
    assert cw.chatwoot.messages(number) == []
    _eventually(lambda: cw.chatwoot.messages(number))


@pytest.mark.parametrize("kind", ["drop_unread", "drop", "silence"])
def test_a_dropped_request_has_no_effect(cw: Bridge, kind: str) -> None:
    number = cw.conversation()
    cw.chatwoot.fault(kind, path="*/messages", seconds=0.05)
    with pytest.raises(requests.ConnectionError):
        _write(cw, number)
    assert cw.chatwoot.messages(number) == []
    assert _write(cw, number).status_code == 200


@pytest.mark.parametrize(
    ("kind", "error"),
    [("lose", requests.ConnectionError), ("half", requests.exceptions.ChunkedEncodingError)],
)
def test_an_answer_is_lost_after_the_effect(cw: Bridge, kind: str, error: type[Exception]) -> None:
    number = cw.conversation()
    cw.chatwoot.fault(kind, path="*/messages")
    with pytest.raises(error):
        _write(cw, number)
    assert len(cw.chatwoot.messages(number)) == 1


def test_a_late_commit_comes_after_the_caller_was_told_of_failure(cw: Bridge) -> None:
    number = cw.conversation()
    cw.chatwoot.fault("late", path="*/messages", seconds=0.1, status=504, times=1)
    assert _write(cw, number).status_code == 504
    assert cw.chatwoot.messages(number) == []
    _eventually(lambda: cw.chatwoot.messages(number))
    cw.chatwoot.fault("late", path="*/messages", seconds=0.0)
    with pytest.raises(requests.ConnectionError):
        _write(cw, number)
    _eventually(lambda: len(cw.chatwoot.messages(number)) == 2)


def test_nonsense_is_answered(cw: Bridge) -> None:
    cw.chatwoot.fault("html")
    page = cw.call("GET", "/inboxes")
    assert (page.status_code, page.text[:6]) == (200, "<html>")
    cw.chatwoot.fault("empty")
    assert cw.call("GET", "/inboxes").content == b""
    cw.chatwoot.fault("status", status=200, body='{"payload": 7}')
    assert cw.call("GET", "/inboxes").json() == {"payload": 7}


def test_faults_are_switched_by_the_control_interface(cw: Bridge) -> None:
    control = cw.chatwoot.control_url
    fault = {"kind": "status", "path": "*/inboxes", "status": 418, "times": None}
    assert requests.post(f"{control}/_faults", json=fault, timeout=5).status_code == 201
    assert cw.call("GET", "/inboxes").status_code == 418
    assert requests.get(f"{control}/_faults", timeout=5).json()[0]["status"] == 418
    assert requests.delete(f"{control}/_faults", timeout=5).json() == []
    assert cw.call("GET", "/inboxes").status_code == 200
    for wrong in ('{"kind": "x"}', "[]", "{", '{"kind": "status", "times": "many"}'):
        assert requests.post(f"{control}/_faults", data=wrong, timeout=5).status_code == 400
    counts = requests.get(f"{control}/_counts", timeout=5).json()
    assert counts["GET /api/v1/accounts/{account}/inboxes"] == 1


def test_a_restart_finds_everything_again(tmp_path: Path) -> None:
    path = tmp_path / "state" / "chatwoot.json"
    with bridge(state_file=path) as cw:
        number = cw.conversation()
        asked = cw.write(number, "hello", source_id="tgm:1")
        cw.chatwoot.agent_reply(number, "hi", attachments=[Upload("a.txt", "text/plain", b"file")])
        token, before = cw.chatwoot.access_token, cw.chatwoot.messages(number)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with ChatwootStandIn(state_file=path) as again:
        after = again.messages(number)
        assert [row["content"] for row in after] == [row["content"] for row in before]
        assert after[0]["sender"] == asked["sender"]
        assert requests.get(after[1]["attachments"][0]["data_url"], timeout=5).content == b"file"
        assert again.access_token == token
        assert again.agent_reply(number, "more") == after[-1]["id"] + 1


def test_the_state_is_written_while_running(tmp_path: Path) -> None:
    path = tmp_path / "chatwoot.json"
    with ChatwootStandIn(state_file=path) as chatwoot:
        chatwoot.add_inbox("kept", None)
        _eventually(path.exists)
        assert json.loads(path.read_text())["tables"]["inboxes"]["rows"][0]["name"] == "kept"


def test_a_damaged_state_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chatwoot.json"
    path.write_text('{"tables": {}}')
    with pytest.raises(ValueError, match="is not a state file"):
        ChatwootStandIn(state_file=path).start()


def test_the_feed_tells_what_happened_in_which_conversation(cw: Bridge) -> None:
    number = cw.conversation()
    queue = cw.chatwoot.subscribe()
    reply = cw.chatwoot.agent_reply(number, "hi")
    told = [queue.get(timeout=5) for _ in range(2)]
    assert {"event": "message_created", "conversation": number, "message": reply} in told
    assert {"event": "conversation_updated", "conversation": number} in told
    cw.chatwoot.unsubscribe(queue)
    cw.chatwoot.agent_reply(number, "again")
    assert queue.empty()


def test_many_clients_at_once_lose_nothing() -> None:
    with bridge(flood_limit=None) as cw:
        number = cw.conversation()
        failures: list[str] = []

        def write() -> None:
            with requests.Session() as session:
                party = Bridge(cw.chatwoot, cw.receiver, cw.inbox, session)
                answers = [_write(party, number) for _ in range(5)]
                failures.extend(each.text for each in answers if each.status_code != 200)

        threads = [threading.Thread(target=write) for _ in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert failures == []
        ids = [message["id"] for message in cw.chatwoot.messages(number)]
        assert len(ids) == 160
        assert ids == sorted(set(ids))


def test_a_port_can_be_chosen_and_is_free_again_at_once() -> None:
    with ChatwootStandIn() as first:
        port = int(first.url.rsplit(":", 1)[1])
    with ChatwootStandIn(port=port) as second:
        assert second.url.endswith(f":{port}")
        assert requests.get(second.url + "/api", timeout=5).status_code == 200
