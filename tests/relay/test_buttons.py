"""Choices as buttons, on a network that has them; and what becomes of a press."""

from __future__ import annotations

import threading
import time

import pytest
import redis

from gateway.errors import Unreachable
from gateway.intake.indicators import IndicatorQueue
from gateway.lanes import keys
from gateway.model import ButtonLimits, Capabilities, Inbound
from gateway.relay.indicators import Indicators
from tests.relay.env import Env, Postcards

DOORS = [{"title": title, "value": title.lower()} for title in ("Front", "Back")]


class Keyed(Postcards):
    """A network with buttons, and a sign that one was heard."""

    capabilities = Capabilities(text_limit=20, buttons=ButtonLimits(most=3, label=10))
    heard: list[Inbound]

    def acknowledge_press(self, message: Inbound) -> None:
        self.heard.append(message)
        if self.errors:
            raise self.errors.pop()


@pytest.fixture(autouse=True)
def keyed(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    """A customer has written, and the network has buttons."""
    monkeypatch.setattr(Keyed, "heard", [], raising=False)
    monkeypatch.setattr(env.network, "__class__", Keyed)
    env.customer_writes("hello")
    env.drain()


def offers(env: Env, text: str = "Which door?", items: list[dict[str, str]] = DOORS) -> int:
    number = env.chatwoot.interactive_reply(1, text, "input_select", items)
    env.told(number)
    env.drain()
    return number


def presses(env: Env, label: str, press: str = "q1") -> None:
    card = f"card-{env.network.sent[-1].id}"
    item = Inbound(f"{card}:{label}", "p1", label, reply_to=card, press=press)
    env.intake.take(env.channel, [item])


def labels(env: Env) -> list[list[str]]:
    return [[button.label for button in part.buttons] for part in env.network.sent]


def test_choices_are_buttons_below_the_text(env: Env) -> None:
    offers(env)
    assert [part.text for part in env.network.sent] == ["Which door?"]
    assert labels(env) == [["Front", "Back"]]


def test_what_a_card_lets_a_customer_say_is_a_button(env: Env) -> None:
    more = {"type": "postback", "text": "Tell more", "payload": "MORE"}
    card = {"title": "Blue", "actions": [more]}
    env.told(env.chatwoot.interactive_reply(1, "", "cards", [card]))
    env.drain()
    assert [part.text for part in env.network.sent] == ["Blue"]
    assert labels(env) == [["Tell more"]]


def test_only_the_last_part_has_the_buttons(env: Env) -> None:
    offers(env, "There are several. Which door shall it be?")
    assert [part.text for part in env.network.sent][-1].endswith("be?")
    assert labels(env) == [[]] * (len(labels(env)) - 1) + [["Front", "Back"]]
    assert len(labels(env)) > 1


def test_a_press_comes_back_as_an_answer(env: Env) -> None:
    number = offers(env)
    presses(env, "Back")
    [heard] = env.drain_until(lambda: Keyed.heard)
    assert env.incoming() == ["hello", "Back"]
    answer = env.chatwoot.messages(1)[-1]
    assert answer["content_attributes"]["in_reply_to"] == number
    assert (heard.peer, heard.text, heard.press) == ("p1", "Back", "q1")
    assert heard.reply_to == f"card-{env.network.sent[-1].id}"


def test_who_taps_twice_has_answered_once_and_is_heard_twice(env: Env) -> None:
    offers(env)
    presses(env, "Back", "q1")
    presses(env, "Back", "q2")
    env.drain()
    presses(env, "Back", "q3")
    env.drain_until(lambda: len(Keyed.heard) == 3)
    assert env.incoming() == ["hello", "Back"]
    assert sorted(heard.press for heard in Keyed.heard) == ["q1", "q2", "q3"]


def test_a_worker_is_called_for_every_press(env: Env) -> None:
    offers(env)
    for press in ("q1", "q2"):
        env.store.delete("rq:queue:gateway")
        presses(env, "Back", press)
        assert env.store.llen("rq:queue:gateway") == 1


def test_nobody_is_left_waiting_when_many_press_at_once(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def slowly(network: Keyed, message: Inbound) -> None:
        go_on.wait(20)
        Keyed.heard.append(message)

    monkeypatch.setattr(Keyed, "acknowledge_press", slowly)
    offers(env)
    for number in range(12):
        presses(env, "Back", f"q{number}")
    indicators = Indicators(IndicatorQueue(env.store), env.deliveries.adapters, env.pool)
    for _ in range(12):
        indicators.show_while_waiting(0.01)
    go_on.set()
    deadline = time.monotonic() + 10
    while len(Keyed.heard) < 12:
        assert time.monotonic() < deadline, "somebody was left waiting"
        indicators.show_while_waiting(0.01)


def test_who_changes_their_mind_has_said_both(env: Env) -> None:
    offers(env)
    presses(env, "Back", "q1")
    presses(env, "Front", "q2")
    env.drain()
    assert env.incoming() == ["hello", "Back", "Front"]


def test_a_number_means_nothing_where_none_was_shown(env: Env) -> None:
    offers(env, items=[{"title": "a label too long"}, {"title": "No"}])
    offers(env)
    env.customer_writes("2")
    env.drain()
    assert env.incoming() == ["hello", "2"]


def test_a_number_is_an_answer_where_the_choices_had_to_be_a_list(env: Env) -> None:
    offers(env, items=[{"title": "a label too long"}, {"title": "No"}])
    env.customer_writes("2")
    env.drain()
    assert env.incoming() == ["hello", "2 (No)"]


@pytest.mark.parametrize("error", [Unreachable("away"), ValueError("a fault of the adapter")])
def test_a_sign_that_fails_harms_nothing(env: Env, error: Exception) -> None:
    offers(env)
    env.network.errors = [error]
    presses(env, "Back")
    env.drain_until(lambda: Keyed.heard)
    assert env.incoming() == ["hello", "Back"]
    assert len(Keyed.heard) == 1


def test_a_choice_is_taken_also_if_no_hint_of_it_can_be_left(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(IndicatorQueue, "push_press", away)
    offers(env)
    presses(env, "Back")
    env.drain()
    assert env.incoming() == ["hello", "Back"]


def test_a_press_that_nobody_shows_in_time_is_forgotten(env: Env) -> None:
    offers(env)
    presses(env, "Back")
    assert 0 < int(str(env.store.pttl(keys.PRESSED))) <= 60_000


def test_a_sign_that_hangs_leaves_the_answer_to_arrive(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(Keyed, "acknowledge_press", lambda *_: go_on.wait(20))
    offers(env)
    presses(env, "Back")
    try:
        env.drain_until(lambda: env.incoming() == ["hello", "Back"])
    finally:
        go_on.set()
