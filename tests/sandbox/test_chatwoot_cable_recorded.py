"""The stand-in's event stream beside that of two real Chatwoots: the same deeds, and what was told.

The recordings have what was done, when, and each frame with the time at which it came.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.cable_listener import Listener, listening
from tests.sandbox.chatwoot_parties import Bridge, bridge

RECORDINGS = Path(__file__).parent / "recordings"
RELEASES = ("4.10.1", "4.15.1")
Frame = dict[str, Any]


def deeds(cw: Bridge) -> Mapping[str, Callable[[], object]]:
    """What was done when the recordings were made, by the names that stand there."""
    agent = cw.chatwoot.agent.token
    talk = "/conversations/1"

    def say(text: str, **more: Any) -> None:
        cw.post(f"{talk}/messages", {"content": text, **more}, token=agent)

    def send_file() -> None:
        files = [("attachments[]", ("p.pdf", b"%PDF-1.4 x", "application/pdf"))]
        path = f"{talk}/messages"
        cw.call("POST", path, token=agent, data={"content": "a file"}, files=files)

    def choose() -> None:
        items = {"items": [{"title": "A", "value": "a"}]}
        say("Which?", content_type="input_select", content_attributes=items)

    def begin() -> None:
        body = {"inbox_id": cw.inbox, "contact_id": 1, "message": {"content": "news"}}
        cw.post("/conversations", body, token=agent)

    def merge() -> None:
        base = cw.post("/contacts", {"name": "Base"})["payload"]["contact"]["id"]
        cw.post("/actions/contact_merge", {"base_contact_id": base, "mergee_contact_id": 1})

    def type_(typing: str) -> None:
        cw.post(f"{talk}/toggle_typing_status", {"typing_status": typing}, token=agent)

    return {
        "contact made": lambda: cw.post("/contacts", {"name": "Rosa", "identifier": "telegram:1"}),
        "conversation made": lambda: cw.conversation(1, source="s1"),
        "customer's message": lambda: cw.write(1, "hello", source_id="gw:1"),
        "reply": lambda: say("by **websocket**"),
        "reply with a file": send_file,
        "private note": lambda: say("a note", private=True),
        "choice": choose,
        "failed": lambda: cw.call(
            "PATCH", f"{talk}/messages/2", json={"status": "failed", "external_error": "off"}
        ),
        "retry": lambda: cw.post(f"{talk}/messages/2/retry", {}, token=agent),
        "deleted": lambda: cw.call("DELETE", f"{talk}/messages/2", token=agent),
        "typing on": lambda: type_("on"),
        "typing off": lambda: type_("off"),
        "contact renamed": lambda: cw.call("PUT", "/contacts/1", json={"name": "Renamed"}),
        "contact blocked": lambda: cw.post(f"{talk}/mute", {}, token=agent),
        "contact unblocked": lambda: cw.post(f"{talk}/unmute", {}, token=agent),
        "resolved": lambda: cw.post(f"{talk}/toggle_status", {"status": "resolved"}, token=agent),
        "begun by the agent": begin,
        "contacts merged": merge,
        "conversation deleted": lambda: cw.call("DELETE", talk),
    }


def recorded(release: str) -> Mapping[str, list[Frame]]:
    """The frames of a real Chatwoot that came after each deed; those before the first are «»."""
    path = RECORDINGS / f"cable-{release}.json.gz"
    recording = json.loads(gzip.decompress(path.read_bytes()))
    marks = [(0, ""), *((did["at"], did["what"]) for did in recording["did"]), (2**63, "")]
    return {
        what: [each["frame"] for each in recording["frames"] if begin <= each["at"] < end]
        for (begin, what), (end, _) in pairwise(marks)
    }


def shape(value: object) -> object:
    """A value's keys and types. Of a list, the shapes that its members have."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(shape(each), sort_keys=True) for each in value})
    return type(value).__name__


def shapes(frames: list[Frame]) -> list[str]:
    """One line for each frame, sorted: Chatwoot's frames overtake each other."""
    told = [
        {**frame["message"], "data": shape(frame["message"]["data"])}
        if "message" in frame
        else {"type": frame["type"]}
        for frame in frames
    ]
    return sorted(json.dumps(each, sort_keys=True) for each in told)


def watch(client: Listener, deed: Callable[[], object], number: int) -> list[Frame]:
    """Do something and wait for so many frames."""
    before = len(client.frames())
    deed()
    client.wait_for(lambda: len(client.frames()) >= before + number)
    return client.frames()[before:]


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param


def test_a_client_is_told_what_real_chatwoots_tell(release: str) -> None:
    real = dict(recorded(release))
    with bridge(version=release) as cw, listening(cw.chatwoot) as client:
        assert shapes(client.frames()) == shapes(real.pop(""))
        for what, deed in deeds(cw).items():
            ours = watch(client, deed, len(real[what]))
            assert shapes(ours) == shapes(real.pop(what)), what
        assert not real
