"""When a choice becomes a button, and when it stays a line of a numbered list."""

from __future__ import annotations

import json

import pytest

from gateway.chatwoot import interactive
from gateway.chatwoot.events import Reply
from gateway.lanes import bodies
from gateway.model import ButtonLimits, Capabilities, Inbound
from gateway.relay.to_network.choices import Choices, choices_in

ABLE = Capabilities(buttons=ButtonLimits(most=3, label=8))


def offering(*titles: str, text: str = "Sure?") -> Reply:
    """A reply as it waits: what it offers stands in its text as well."""
    items = [{"title": title} for title in titles]
    return Reply(
        message=2,
        conversation=1,
        peer="p1",
        text=interactive.readable(text, "input_select", items),
        choices=interactive.choices("input_select", items),
    )


def shown(reply: Reply, able: Capabilities = ABLE) -> tuple[str, list[str]]:
    chosen = choices_in(reply, able)
    return chosen.text, [button.label for button in chosen.buttons]


def test_choices_that_fit_are_buttons_and_no_list() -> None:
    chosen = choices_in(offering("Yes", "No"), ABLE)
    assert (chosen.text, chosen.listed) == ("Sure?", ())
    assert [(each.number, each.label) for each in chosen.buttons] == [(1, "Yes"), (2, "No")]


def test_signs_of_markdown_stand_on_a_button_as_they_are() -> None:
    assert shown(offering("1. *a*", "[b](c)")) == ("Sure?", ["1. *a*", "[b](c)"])


@pytest.mark.parametrize(
    ("reply", "able"),
    [
        (offering("Yes", "No"), Capabilities()),
        (offering("Yes", "Certainly"), ABLE),
        (offering("a", "b", "c", "d"), ABLE),
        (offering("Yes", "No", text=""), ABLE),
        (offering("👍👍👍👍👍"), Capabilities(text_unit="utf16", buttons=ABLE.buttons)),
    ],
    ids=["no buttons", "a label too long", "too many", "no text to stand below", "other units"],
)
def test_what_does_not_fit_is_a_list(reply: Reply, able: Capabilities) -> None:
    assert choices_in(reply, able) == Choices(reply.text, listed=reply.choices)


def test_what_just_fits_is_a_button() -> None:
    assert shown(offering("12345678", "👍👍👍👍", "c"))[1] == ["12345678", "👍👍👍👍", "c"]


def test_a_list_that_an_agent_typed_is_left_alone() -> None:
    reply = Reply(message=2, conversation=1, peer="p1", text="Two things:\n\n1. Yes\n2. No")
    assert shown(reply) == (reply.text, [])


def test_a_reply_that_an_earlier_release_stored_gets_buttons() -> None:
    body = {
        "message": 2,
        "conversation": 1,
        "peer": "p1",
        "text": "Sure?\n\n1. Yes\n2. Not\\-yet",
        "in_reply_to": "",
        "sender": "Bob",
        "written_at": 1.0,
        "attributes": {},
        "choices": ["Yes", "Not-yet"],
        "files": [],
        "contact": 0,
        "to": None,
    }
    assert shown(bodies.read_reply(json.dumps(body), "1")) == ("Sure?", ["Yes", "Not-yet"])
    assert json.loads(bodies.write(offering("Yes"))).keys() >= body.keys(), (
        "a worker of the earlier release must be able to send what waits"
    )


def test_a_list_that_another_release_wrote_in_another_way_stays() -> None:
    reply = Reply(1, 1, "p1", "Sure?\n\n1) Yes\n2) No", choices=("Yes", "No"))
    assert choices_in(reply, ABLE) == Choices(reply.text, listed=reply.choices)


def test_a_press_is_not_stored_with_its_message() -> None:
    message = Inbound("42:7:button:1", "42", "Yes", press="4382 1")
    body = bodies.write(message)
    assert "press" not in json.loads(body)
    assert bodies.read_inbound(body, "1").text == "Yes"
