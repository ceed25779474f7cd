"""Files both ways."""

from __future__ import annotations

import base64
from urllib.parse import urlsplit, urlunsplit

import requests

from live.checks import Check, on_each
from live.people import JSON, Person
from live.scene import CHANNEL_NAMES, Scene
from live.waiting import Wrong, expect, wait_for
from sandbox.page.files import PageFile

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PAPER = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"


def _attachment(ada: Person, text: str) -> JSON:
    def look() -> JSON | None:
        for conversation in ada.conversations():
            for message in ada.desk.messages(int(conversation["id"])):
                if message.get("attachments") and text in (message["content"] or ""):
                    found: JSON = message["attachments"][0]
                    return found
        return None

    return wait_for(look, f"a file with «{text}» in Chatwoot")


def _fetch(scene: Scene, url: str) -> bytes:
    """At the address of Chatwoot that we know: its own may be for browsers only."""
    there, here = urlsplit(url), urlsplit(scene.options.url)
    if there.path.startswith("/rails/"):
        url = urlunsplit((here.scheme, here.netloc, there.path, there.query, ""))
    answer = requests.get(url, timeout=30)
    if not answer.ok:
        raise Wrong(f"{answer.status_code} for the file")
    return answer.content


def _picture_comes_in(scene: Scene, channel: str) -> None:
    ada = scene.newcomers.on(channel)
    ada.writes("Look at this", files=(PageFile("pixel.png", "image/png", PIXEL),))
    shown = _attachment(ada, "Look at this")
    expect(shown["file_type"] == "image", shown)
    expect(_fetch(scene, shown["data_url"]) == PIXEL, "other bytes")


def _paper_comes_in(scene: Scene, channel: str) -> None:
    ada = scene.newcomers.on(channel)
    ada.writes("The contract", files=(PageFile("contract.pdf", "application/pdf", PAPER),))
    shown = _attachment(ada, "The contract")
    expect(_fetch(scene, shown["data_url"]) == PAPER, "other bytes")


def _paper_goes_out(scene: Scene, channel: str) -> None:
    ada = scene.newcomers.on(channel)
    ada.writes("Send me the contract")
    number, _ = ada.shown("Send me the contract")
    scene.desk.reply_with(number, "Here it is", [("contract.pdf", PAPER, "application/pdf")])
    if channel == "sms":  # as a link, behind the words
        got = ada.gets("http")
        expect("Here it is" in "".join(each["text"] for each in ada.has()), got)
        return

    def with_file() -> JSON | None:
        return next((each for each in ada.has() if each["files"]), None)

    got = wait_for(with_file, "the file on the device")
    expect(got["files"][0]["name"] == "contract.pdf", got)


def _several_go_out(scene: Scene) -> None:
    ada = scene.newcomers.on("email")
    ada.writes("Send me both")
    number, _ = ada.shown("Send me both")
    both = [(f"{name}.pdf", PAPER, "application/pdf") for name in ("one", "two")]
    scene.desk.reply_with(number, "Here they are", both)
    got = ada.gets("Here they are")
    expect([each["name"] for each in got["files"]] == ["one.pdf", "two.pdf"], got)


CHECKS: tuple[Check, ...] = (
    *on_each(CHANNEL_NAMES, "a customer's picture is shown", _picture_comes_in),
    *on_each(("telegram", "email"), "a customer's document is shown", _paper_comes_in),
    *on_each(CHANNEL_NAMES, "an agent's document arrives", _paper_goes_out),
    Check("email: two documents arrive in one mail", _several_go_out),
)
