"""Which conversation a customer's message goes into: of whom agents have blocked, and when somebody
else begins a newer one."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.chatwoot.client import Chatwoot
from gateway.model import Person
from tests.relay.house import House
from tests.relay.village import EMAIL, PHONE, Village, village

__all__ = ["village"]

CREATED, STATUS = "conversation_created", "conversation_status_changed"


def statuses(house: House) -> dict[int, str]:
    shown = {c["id"]: c["status"] for c in house.chatwoot.conversations()}
    return dict(sorted(shown.items()))


def cost(house: House, text: str) -> int:
    before = house.chatwoot.requests.total()
    house.customer_writes(text)
    house.drain()
    return house.chatwoot.requests.total() - before


def forgotten(house: House) -> None:
    """The gateway has not heard of this person for a long time."""
    house.store.delete("gw:route:in/cards/p1")


def time_passes(house: House) -> None:
    """Long enough to look again whether a contact is blocked."""
    house.store.hset("gw:route:in/cards/p1", "blocked", "1")


def blocked(house: House) -> None:
    """Somebody wrote, and an agent has blocked them; Chatwoot tells only that it is resolved."""
    cost(house, "hello")
    house.chatwoot.agent_blocks(1)
    house.told_of(1, STATUS)


def test_a_blocked_contact_fills_one_conversation_and_opens_none(house: House) -> None:
    blocked(house)
    assert [cost(house, f"spam {n}") for n in range(5)] == [3, 1, 1, 1, 1]
    assert statuses(house) == {1: "resolved"}
    assert house.incoming() == ["hello", *(f"spam {n}" for n in range(5))]


def test_a_blocked_contact_whom_we_have_forgotten_goes_on_in_the_latest(house: House) -> None:
    blocked(house)
    for number in range(5):
        cost(house, f"spam {number}")
        forgotten(house)
    assert statuses(house) == {1: "resolved"}


def test_a_blocked_contact_without_a_conversation_gets_one_that_is_born_resolved(
    house: House,
) -> None:
    blocked(house)
    with house.chatwoot.store.changing():
        [row] = house.chatwoot.store.conversations
        del house.chatwoot.store.conversations.rows[row.id]
    for number in range(5):
        cost(house, f"spam {number}")
    assert statuses(house) == {2: "resolved"}


def test_who_is_unblocked_begins_anew(house: House) -> None:
    blocked(house)
    cost(house, "spam")
    house.chatwoot.agent_unblocks(1)
    time_passes(house)
    cost(house, "sorry")
    assert statuses(house) == {1: "resolved", 2: "open"}
    assert [cost(house, text) for text in ("hello?", "anybody?")] == [1, 1]
    assert house.incoming()[-3:] == ["sorry", "hello?", "anybody?"]
    house.chatwoot.agent_resolve(2)
    house.told_of(2, STATUS)
    cost(house, "one more thing")
    assert statuses(house) == {1: "resolved", 2: "resolved", 3: "open"}


def test_who_stays_blocked_stays_there_when_that_is_looked_at_again(house: House) -> None:
    blocked(house)
    cost(house, "spam")
    time_passes(house)
    assert [cost(house, text) for text in ("spam again", "and again")] == [3, 1]
    assert statuses(house) == {1: "resolved"}


def agent_begins(house: House) -> int:
    """A second conversation with p1, from the dashboard."""
    [row] = house.chatwoot.store.contacts
    return house.chatwoot.agent_start_conversation(row.id, house.channel.config.inbox, "news")


def test_the_next_message_goes_into_a_newer_conversation_that_an_agent_began(house: House) -> None:
    cost(house, "one")
    newer = agent_begins(house)
    assert house.told_of(newer, CREATED) == "noted:begun"
    assert cost(house, "two") == 3
    assert cost(house, "three") == 1
    texts = [m["content"] for m in house.chatwoot.messages(newer)]
    assert texts == ["news", "two", "three"]


def test_a_repeated_or_late_word_of_it_changes_nothing(house: House) -> None:
    cost(house, "one")
    newer = agent_begins(house)
    house.told_of(newer, CREATED)
    cost(house, "two")
    assert house.told_of(newer, CREATED) == "ignored:ConversationCreated"
    assert house.told_of(1, CREATED) == "ignored:ConversationCreated"
    assert cost(house, "three") == 1


def test_it_is_heard_while_a_message_is_on_its_way_to_the_older_one(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost(house, "one")
    post = Chatwoot.create_message

    def as_an_agent_begins(self: Chatwoot, *args: Any, **more: Any) -> Any:
        house.told_of(agent_begins(house), CREATED)
        return post(self, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Chatwoot, "create_message", as_an_agent_begins)
        cost(house, "two")
    assert cost(house, "three") == 3
    assert cost(house, "four") == 1
    assert [m["content"] for m in house.chatwoot.messages(1)] == ["one", "two"]
    assert [m["content"] for m in house.chatwoot.messages(2)] == ["news", "three", "four"]


def test_a_message_that_is_found_in_the_older_one_does_not_bring_that_back(house: House) -> None:
    cost(house, "one")
    house.chatwoot.fault("lose", method="POST", path="*/messages")
    cost(house, "two")
    house.told_of(agent_begins(house), CREATED)
    house.drain_until(lambda: house.count("delivered_in") == 2)
    cost(house, "three")
    assert [m["content"] for m in house.chatwoot.messages(1)] == ["one", "two"]
    assert [m["content"] for m in house.chatwoot.messages(2)] == ["news", "three"]


def test_a_newer_one_that_is_resolved_already_costs_one_look(house: House) -> None:
    cost(house, "one")
    newer = agent_begins(house)
    house.told_of(newer, CREATED)
    house.chatwoot.agent_resolve(newer)
    assert [cost(house, text) for text in ("two", "three")] == [3, 1]
    house.told_of(newer, CREATED)  # Chatwoot may say a thing twice
    assert cost(house, "four") == 1
    assert [m["content"] for m in house.chatwoot.messages(1)] == ["one", "two", "three", "four"]


def test_what_we_began_ourselves_is_no_news_after_it(house: House) -> None:
    cost(house, "one")
    assert house.told_of(1, CREATED) == "ignored:ConversationCreated"
    assert cost(house, "two") == 1


def test_what_we_began_ourselves_is_no_news_before_it_either(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = Chatwoot.create_message

    def as_we_hear_of_it(self: Chatwoot, conversation: int, *args: Any, **more: Any) -> Any:
        house.told_of(conversation, CREATED)
        return post(self, conversation, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Chatwoot, "create_message", as_we_hear_of_it)
        cost(house, "one")
        house.chatwoot.agent_resolve(1)
        house.told_of(1, STATUS)
        cost(house, "two")
    assert statuses(house) == {1: "resolved", 2: "open"}
    assert cost(house, "three") == 1


def test_a_stranger_s_conversation_leaves_nothing_behind(house: House) -> None:
    cost(house, "one")
    newer = agent_begins(house)
    house.store.flushdb()
    house.told_of(newer, CREATED)
    assert list(house.store.scan_iter("gw:route:*")) == []


def test_a_thread_stays_in_its_conversation(village: Village) -> None:
    house = village.house
    village.customer_writes("letters", "one", EMAIL, thread="t1")
    village.deliver()
    [ada] = village.contacts()
    inbox = village.channel("letters").config.inbox
    newer = village.chatwoot.agent_start_conversation(ada.id, inbox, "news")
    assert village.told_of("letters", newer, CREATED) == "ignored:ConversationCreated"
    before = village.requests()
    village.customer_writes("letters", "two", EMAIL, thread="t1")
    village.deliver()
    assert village.requests() == before + 1
    assert house.incoming() == ["one", "two"]
    assert village.texts(1) == ["one", "two"]


def test_what_an_agent_began_with_a_made_up_address_is_known_by_its_reply(village: Village) -> None:
    ada = village.add_contact(phone_number=PHONE)
    begun = village.agent_begins("phones", ada, "hello?")
    village.deliver()
    assert village.told_of("phones", begun, CREATED) == "ignored:ConversationCreated"
    before = village.requests()
    village.customer_writes("phones", "yes?", PHONE, person=Person())
    village.deliver()
    assert village.requests() == before + 1
    assert village.texts(begun) == ["hello?", "yes?"]
