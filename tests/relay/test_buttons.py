"""Choices as buttons, on a network that has them; and what becomes of a press."""

from __future__ import annotations

import threading
import time

import pytest
import redis

from gateway.errors import Unreachable
from gateway.intake.indicators import Hints
from gateway.model import ButtonLimits, Capabilities, Inbound
from gateway.relay.indicators import Signs
from tests.relay.house import House, Postcards

DOORS = [{"title": title, "value": title.lower()} for title in ("Front", "Back")]


class Keyed(Postcards):
    """A network with buttons, and a sign that one was heard."""

    capabilities = Capabilities(text_limit=20, buttons=ButtonLimits(most=3, label=10))
    heard: list[Inbound]

    def pressed(self, message: Inbound) -> None:
        self.heard.append(message)
        if self.errors:
            raise self.errors.pop()


@pytest.fixture(autouse=True)
def keyed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A customer has written, and the network has buttons."""
    monkeypatch.setattr(Keyed, "heard", [], raising=False)
    monkeypatch.setattr(house.network, "__class__", Keyed)
    house.customer_writes("hello")
    house.drain()


def offers(house: House, text: str = "Which door?", items: list[dict[str, str]] = DOORS) -> int:
    number = house.chatwoot.interactive_reply(1, text, "input_select", items)
    house.told(number)
    house.drain()
    return number


def presses(house: House, label: str, press: str = "q1") -> None:
    card = f"card-{house.network.sent[-1].id}"
    item = Inbound(f"{card}:{label}", "p1", label, reply_to=card, press=press)
    house.intake.take(house.channel, [item])


def labels(house: House) -> list[list[str]]:
    return [[button.label for button in part.buttons] for part in house.network.sent]


def test_choices_are_buttons_below_the_text(house: House) -> None:
    offers(house)
    assert [part.text for part in house.network.sent] == ["Which door?"]
    assert labels(house) == [["Front", "Back"]]


def test_what_a_card_lets_a_customer_say_is_a_button(house: House) -> None:
    more = {"type": "postback", "text": "Tell more", "payload": "MORE"}
    card = {"title": "Blue", "actions": [more]}
    house.told(house.chatwoot.interactive_reply(1, "", "cards", [card]))
    house.drain()
    assert [part.text for part in house.network.sent] == ["Blue"]
    assert labels(house) == [["Tell more"]]


def test_only_the_last_part_has_the_buttons(house: House) -> None:
    offers(house, "There are several. Which door shall it be?")
    assert [part.text for part in house.network.sent][-1].endswith("be?")
    assert labels(house) == [[]] * (len(labels(house)) - 1) + [["Front", "Back"]]
    assert len(labels(house)) > 1


def test_a_press_comes_back_as_an_answer(house: House) -> None:
    number = offers(house)
    presses(house, "Back")
    [heard] = house.drain_until(lambda: Keyed.heard)
    assert house.incoming() == ["hello", "Back"]
    answer = house.chatwoot.messages(1)[-1]
    assert answer["content_attributes"]["in_reply_to"] == number
    assert (heard.peer, heard.text, heard.press) == ("p1", "Back", "q1")
    assert heard.reply_to == f"card-{house.network.sent[-1].id}"


def test_who_taps_twice_has_answered_once_and_is_heard_twice(house: House) -> None:
    offers(house)
    presses(house, "Back", "q1")
    presses(house, "Back", "q2")
    house.drain()
    presses(house, "Back", "q3")
    house.drain_until(lambda: len(Keyed.heard) == 3)
    assert house.incoming() == ["hello", "Back"]
    assert sorted(heard.press for heard in Keyed.heard) == ["q1", "q2", "q3"]


def test_a_worker_is_called_for_every_press(house: House) -> None:
    offers(house)
    for press in ("q1", "q2"):
        house.store.delete("rq:queue:gateway")
        presses(house, "Back", press)
        assert house.store.llen("rq:queue:gateway") == 1


def test_nobody_is_left_waiting_when_many_press_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def slowly(network: Keyed, message: Inbound) -> None:
        go_on.wait(20)
        Keyed.heard.append(message)

    monkeypatch.setattr(Keyed, "pressed", slowly)
    offers(house)
    for number in range(12):
        presses(house, "Back", f"q{number}")
    signs = Signs(Hints(house.store), house.deliveries.adapters, house.pool)
    for _ in range(12):
        signs.wait(0.01)
    go_on.set()
    deadline = time.monotonic() + 10
    while len(Keyed.heard) < 12:
        assert time.monotonic() < deadline, "somebody was left waiting"
        signs.wait(0.01)


def test_who_changes_their_mind_has_said_both(house: House) -> None:
    offers(house)
    presses(house, "Back", "q1")
    presses(house, "Front", "q2")
    house.drain()
    assert house.incoming() == ["hello", "Back", "Front"]


def test_a_number_means_nothing_where_none_was_shown(house: House) -> None:
    offers(house, items=[{"title": "a label too long"}, {"title": "No"}])
    offers(house)
    house.customer_writes("2")
    house.drain()
    assert house.incoming() == ["hello", "2"]


def test_a_number_is_an_answer_where_the_choices_had_to_be_a_list(house: House) -> None:
    offers(house, items=[{"title": "a label too long"}, {"title": "No"}])
    house.customer_writes("2")
    house.drain()
    assert house.incoming() == ["hello", "2 (No)"]


@pytest.mark.parametrize("error", [Unreachable("away"), ValueError("a fault of the adapter")])
def test_a_sign_that_fails_harms_nothing(house: House, error: Exception) -> None:
    offers(house)
    house.network.errors = [error]
    presses(house, "Back")
    house.drain_until(lambda: Keyed.heard)
    assert house.incoming() == ["hello", "Back"]
    assert len(Keyed.heard) == 1


def test_a_choice_is_taken_also_if_no_hint_of_it_can_be_left(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(Hints, "pressed", away)
    offers(house)
    presses(house, "Back")
    house.drain()
    assert house.incoming() == ["hello", "Back"]


def test_a_press_that_nobody_shows_in_time_is_forgotten(house: House) -> None:
    offers(house)
    presses(house, "Back")
    assert 0 < int(str(house.store.pttl("gw:pressed"))) <= 60_000


def test_a_sign_that_hangs_leaves_the_answer_to_arrive(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(Keyed, "pressed", lambda *_: go_on.wait(20))
    offers(house)
    presses(house, "Back")
    try:
        house.drain_until(lambda: house.incoming() == ["hello", "Back"])
    finally:
        go_on.set()
