"""An afternoon at the desk, from the first question to the last, with every process real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.e2e.sandbox_process import SandboxProcess
from tests.waiting import until

JSON = dict[str, Any]
CAT = Path(__file__).parents[1] / "adapters" / "cases" / "files" / "cat.png"


@pytest.fixture
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    started = SandboxProcess(tmp_path_factory.mktemp("afternoon"))
    yield Desk(started)
    started.end()


class Desk:
    """Both sides of the page."""

    def __init__(self, sandbox: SandboxProcess) -> None:
        self.sandbox = sandbox

    def newcomer(self, channel: str) -> str:
        return str(self.sandbox.post(f"customers/{channel}")["id"])

    def writes(self, channel: str, customer: str, text: str, quoted: str = "") -> None:
        who = quote(customer, safe="")
        self.sandbox.post(f"customers/{channel}/{who}/messages", text=text, quoted=quoted)

    def sends(self, channel: str, customer: str, picture: Path, text: str) -> None:
        url = f"{self.sandbox.url}/api/customers/{channel}/{quote(customer, safe='')}/files"
        files = {"file": (picture.name, picture.read_bytes(), "image/png")}
        answer = requests.post(url, data={"text": text}, files=files, timeout=10)
        assert answer.ok, answer.text

    def fetched(self, message: JSON) -> bytes:
        """The one file of a message, as the browser gets it."""
        [file] = message["files"]
        answer = requests.get(f"{self.sandbox.url}{file['url']}", timeout=10)
        assert answer.ok, answer.text
        return answer.content

    def blocks(self, customer: str, *, on: bool) -> None:
        self.sandbox.post(f"customers/telegram/{customer}/unreachable", on=on)

    def replies(self, conversation: int, text: str, **more: object) -> int:
        said = self.sandbox.post(f"conversations/{conversation}/messages", text=text, **more)
        return int(said["id"])

    def appears(self, channel: str, text: str) -> tuple[JSON, JSON]:
        """The conversation and the customer's message in it, once the agent sees it."""
        conversation = self.sandbox.agent_sees(channel, text)
        return conversation, next(m for m in conversation["messages"] if m["text"] == text)

    def phone(self, channel: str, customer: str) -> list[JSON]:
        """What the customer was sent, as the device shows it."""
        customers = self.sandbox.state()["channels"][channel]["customers"]
        [shown] = [each for each in customers if each["id"] == customer]
        return [message for message in shown["messages"] if not message["mine"]]

    def arrives(self, channel: str, customer: str, text: str) -> JSON:
        def look() -> JSON | None:
            shown = self.phone(channel, customer)
            return next((message for message in shown if text in message["text"]), None)

        return until(look)

    def heard(self, outcome: str) -> int:
        """How often the gateway did that with a webhook, where the page shows nothing of it."""
        return (self.sandbox.folder / "gateway.log").read_text().count(outcome)

    def message(self, number: int) -> JSON:
        messages = [m for each in self.sandbox.state()["conversations"] for m in each["messages"]]
        return next(m for m in messages if m["id"] == number)


def test_an_afternoon(desk: Desk) -> None:
    ada = desk.newcomer("telegram")

    # A question, an answer, and an answer to a certain message.
    desk.writes("telegram", ada, "Do you ship to Norway?")
    conversation, question = desk.appears("telegram", "Do you ship to Norway?")
    number = conversation["id"]
    assert (conversation["customer"], conversation["status"]) == (ada, "open")
    desk.sandbox.post(f"conversations/{number}/typing")
    desk.replies(number, "Let me **see**")
    desk.arrives("telegram", ada, "Let me see")
    desk.replies(number, "Yes, we do", in_reply_to=question["id"])
    assert desk.arrives("telegram", ada, "Yes, we do")["quoted"] == "Do you ship to Norway?"

    answer = _photo_and_quoted_reply(desk, ada)

    # A note among agents, and a slip that is taken back.
    desk.replies(number, "She seems nice", private=True)
    slip = desk.replies(number, "It costs 1000 €")
    desk.arrives("telegram", ada, "1000 €")
    desk.sandbox.post(f"messages/{slip}/delete")
    until(lambda: not any("1000" in m["text"] for m in desk.phone("telegram", ada)))

    # She has blocked the bot for a moment: red with the reason, and then Retry.
    desk.blocks(ada, on=True)
    lost = desk.replies(number, "It costs 10 €")
    until(lambda: desk.message(lost)["status"] == "failed")
    assert "blocked the bot" in desk.message(lost)["error"]
    desk.blocks(ada, on=False)
    desk.sandbox.post(f"messages/{lost}/retry")
    desk.arrives("telegram", ada, "It costs 10 €")
    until(lambda: desk.message(lost)["status"] != "failed")

    # Done, and reopened by the agent; what she writes then is in the same conversation.
    desk.sandbox.post(f"conversations/{number}/status", status="resolved")
    desk.sandbox.post(f"conversations/{number}/status", status="open")
    desk.writes("telegram", ada, "One more thing")
    again, _ = desk.appears("telegram", "One more thing")
    assert again["id"] == number

    # Done for good: the next question begins a new one.
    heard = desk.heard("noted:resolved")
    desk.sandbox.post(f"conversations/{number}/status", status="resolved")
    until(lambda: desk.heard("noted:resolved") > heard)
    desk.writes("telegram", ada, "Me again, about something else")
    new, _ = desk.appears("telegram", "Me again, about something else")
    assert new["id"] != number

    # What she quotes of the old one cannot be pointed at: its words are there instead.
    desk.writes("telegram", ada, "Or rather about that", quoted=answer["id"])
    there, _ = desk.appears("telegram", "> Yes, we do\n\nOr rather about that")
    assert there["id"] == new["id"]

    # Everything arrived once, in order, and nothing that was not meant for her.
    texts = [message["text"] for message in desk.phone("telegram", ada)]
    assert texts == ["Let me see", "Yes, we do", "It costs 10 €"]

    # The agent has the first word to somebody else, and the answer lands where it was said.
    bob = desk.newcomer("sms")
    said = desk.sandbox.post(
        "conversations", channel="sms", customer=bob, text="Your parcel is here"
    )
    desk.arrives("sms", bob, "Your parcel is here")
    desk.writes("sms", bob, "I will fetch it")
    answered, _ = desk.appears("sms", "I will fetch it")
    assert answered["id"] == said["id"]
    assert answered["customer"] == bob


def _photo_and_quoted_reply(desk: Desk, customer: str) -> JSON:
    """Returns the agent's message that the customer quotes, as the device shows it."""
    desk.sends("telegram", customer, CAT, "This one")
    _, photo = desk.appears("telegram", "This one")
    assert desk.fetched(photo) == CAT.read_bytes()
    answer = desk.arrives("telegram", customer, "Yes, we do")
    desk.writes("telegram", customer, "For how much?", quoted=answer["id"])
    _, asked = desk.appears("telegram", "For how much?")
    assert asked["quoted"] == "Yes, we do"
    return answer
