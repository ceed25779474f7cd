"""What customers must get, and what they must never get, of what Chatwoot tells."""

from __future__ import annotations

import pytest

from tests.relay.house import House

YES_NO = [{"title": "Yes", "value": "y"}, {"title": "No", "value": "n"}]


@pytest.fixture(autouse=True)
def somebody_wrote(house: House) -> None:
    house.customer_writes("hello")
    house.drain()


def sent(house: House) -> str:
    return "\n".join(part.text for part in house.network.sent)


def offers(house: House, text: str = "Sure?") -> None:
    house.told(house.chatwoot.interactive_reply(1, text, "input_select", YES_NO))
    house.drain()


def test_choices_arrive_numbered_and_the_answer_says_which(house: House) -> None:
    offers(house)
    assert sent(house) == "Sure?\n\n1. Yes\n2. No"
    house.customer_writes("2")
    house.customer_writes("yes!")
    house.drain()
    assert house.incoming() == ["hello", "2 (No)", "yes!"]


def test_a_later_reply_ends_the_offer(house: House) -> None:
    offers(house)
    house.agent_replies("How many?")
    house.drain()
    house.customer_writes("2")
    house.drain()
    assert house.incoming() == ["hello", "2"]


def test_another_customers_number_is_a_number(house: House) -> None:
    offers(house)
    house.customer_writes("2", peer="p2")
    house.drain()
    assert house.incoming() == ["hello", "2"]


def test_trap_34_a_survey_and_other_texts_of_chatwoot_itself_are_delivered(house: House) -> None:
    for text in ("Thanks for it", "https://s.x/1"):
        house.told(house.chatwoot.automatic_reply(1, text))
    house.drain()
    assert sent(house) == "Thanks for it\nhttps://s.x/1"
