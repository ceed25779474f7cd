"""What only Telegram carries."""

from __future__ import annotations

import re

from live.checks import Check
from live.people import Person
from live.scene import Scene
from live.waiting import Wrong, expect, stays, wait_for

LONG = " ".join(f"word{number}" for number in range(900))


def _begun(scene: Scene, text: str) -> tuple[Person, int]:
    ada = scene.newcomers.on("telegram")
    ada.writes(text)
    number, _ = ada.shown(text)
    return ada, number


def _bold_comes_in(scene: Scene) -> None:
    ada = scene.newcomers.on("telegram")
    bold = [{"type": "bold", "offset": 3, "length": 4}]
    scene.networks.telegram.customer_says(int(ada.address), "so very good", entities=bold)
    _, message = ada.shown("very")
    expect("**very**" in message["content"], message["content"])


def _bold_goes_out(scene: Scene) -> None:
    ada, number = _begun(scene, "How good is it?")
    scene.desk.reply(number, "so **very** good")
    got = ada.gets("so very good")
    expect([each["type"] for each in got["entities"]] == ["bold"], got)


def _link_goes_out(scene: Scene) -> None:
    ada, number = _begun(scene, "Where can I read it?")
    scene.desk.reply(number, "Read [our page](https://example.com/page)")
    got = ada.gets("Read our page")
    expect(got["entities"][0].get("url") == "https://example.com/page", got)


def _customer_quotes(scene: Scene) -> None:
    ada, number = _begun(scene, "What does it cost?")
    reply = scene.desk.reply(number, "It costs 10 €")
    got = ada.gets("It costs 10 €")
    ada.writes("That is much", quoted=got["id"])
    _, message = ada.shown("That is much")
    expect(message["content_attributes"].get("in_reply_to") == reply, message)


def _agent_quotes(scene: Scene) -> None:
    ada, number = _begun(scene, "One question")
    _, question = ada.shown("One question")
    scene.desk.reply(number, "One answer", content_attributes={"in_reply_to": question["id"]})
    got = ada.gets("One answer")
    expect(got["quoted"] == "One question", got)


def _typing_is_shown(scene: Scene) -> None:
    _, number = _begun(scene, "Are you typing?")
    feed = scene.networks.telegram.subscribe()

    def is_typing() -> bool:
        while not feed.empty():
            if feed.get().get("type") == "action":
                return True
        return False

    scene.desk.type(number)
    wait_for(is_typing, "«typing» in the chat")


def _deleted(scene: Scene) -> None:
    ada, number = _begun(scene, "How much?")
    slip = scene.desk.reply(number, "It costs 1000 €")
    ada.gets("1000 €")
    scene.desk.delete_message(number, slip)
    wait_for(lambda: ada.has_got("1000 €") is None, "the message taken back")


def _buttons(scene: Scene) -> None:
    ada, number = _begun(scene, "Which sizes are there?")
    items = [{"title": each, "value": each.lower()} for each in ("Small", "Large")]
    scene.desk.reply(
        number,
        "Which size?",
        content_type="input_select",
        content_attributes={"items": items},
    )
    got = ada.gets("Which size?")
    expect([each["label"] for each in got["buttons"]] == ["Small", "Large"], got)
    scene.networks.telegram.customer_presses(int(ada.address), int(got["id"]), "Large")
    ada.shown("Large")


def _edited(scene: Scene) -> None:
    ada = scene.newcomers.on("telegram")
    first = scene.networks.telegram.customer_says(int(ada.address), "Tuesdai")
    ada.shown("Tuesdai")
    scene.networks.telegram.customer_says(int(ada.address), "Tuesday it is", edit_of=first)
    ada.shown("Tuesday it is")


def _location(scene: Scene) -> None:
    ada = scene.newcomers.on("telegram")
    place = {"location": {"latitude": 52.52, "longitude": 13.405}}
    scene.networks.telegram.customer_sends(int(ada.address), place)
    _, message = ada.shown("52.52")
    expect("13.405" in message["content"], message["content"])


def _long_text(scene: Scene) -> None:
    ada, number = _begun(scene, "Tell me everything")
    scene.desk.reply(number, LONG)
    ada.gets("word899")
    got = " ".join(each["text"] for each in ada.has())
    expect(re.findall(r"word\d+", got) == LONG.split(), f"{len(ada.has())} pieces")


def _blocked_and_retried(scene: Scene) -> None:
    ada, number = _begun(scene, "I may block you")
    scene.networks.telegram.block(int(ada.address))
    lost = scene.desk.reply(number, "Are you still there?")
    failed = wait_for(
        lambda: (m := scene.desk.message(number, lost))["status"] == "failed" and m,
        "the reply in red",
    )
    if not isinstance(failed, dict):
        raise Wrong("no message")
    expect("block" in str(failed["content_attributes"].get("external_error")), failed)
    scene.networks.telegram.unblock(int(ada.address))
    scene.desk.retry(number, lost)
    ada.gets("Are you still there?")
    wait_for(lambda: scene.desk.message(number, lost)["status"] != "failed", "the red taken off")
    stays(lambda: len([m for m in ada.has() if "still there" in m["text"]]) > 1, 1.0)


def _throttled(scene: Scene) -> None:
    ada, number = _begun(scene, "Quickly, please")
    scene.networks.telegram.throttle(2)
    scene.desk.reply(number, "In a moment")
    ada.gets("In a moment")
    expect(len([m for m in ada.has() if "In a moment" in m["text"]]) == 1, ada.has())


def _customers_retry(scene: Scene) -> None:
    ada, number = _begun(scene, "My own words")
    _, message = ada.shown("My own words")
    path = f"/conversations/{number}/messages/{message['id']}"
    scene.desk.call("PATCH", path, json={"status": "failed", "external_error": "as if"})
    scene.desk.retry(number, int(message["id"]))
    scene.desk.reply(number, "Here is an answer")
    ada.gets("Here is an answer")
    stays(lambda: [each for each in ada.has() if "My own words" in each["text"]], 1.0)


CHECKS = (
    Check("telegram: bold words come in as Markdown", _bold_comes_in),
    Check("telegram: Markdown goes out as bold words", _bold_goes_out),
    Check("telegram: a link goes out as a link", _link_goes_out),
    Check("telegram: what a customer answers is quoted in Chatwoot", _customer_quotes),
    Check("telegram: what an agent answers is quoted on the phone", _agent_quotes),
    Check(
        "telegram: the customer sees that the agent is typing",
        _typing_is_shown,
        ways=(
            "webhook",
        ),  # the event stream tells nobody of their own typing, and we have one token
    ),
    Check("telegram: a deleted reply is taken back", _deleted),
    Check("telegram: choices are buttons, and a press is an answer", _buttons),
    Check("telegram: an edit is shown", _edited),
    Check("telegram: a place is shown as a line", _location),
    Check("telegram: a long reply arrives whole, in pieces", _long_text),
    Check("telegram: blocked is red with the reason, and Retry sends once", _blocked_and_retried),
    Check("telegram: a reply waits for as long as the network asks", _throttled),
    Check("telegram: Retry on a customer's message sends nothing", _customers_retry),
)
