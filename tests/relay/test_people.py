"""Contacts stay fresh and few: what agents wrote stays, what was merged or deleted heals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.chatwoot.client import Chatwoot
from gateway.model import Person
from sandbox.chatwoot.contacts import delete_contact, merge_contacts
from sandbox.chatwoot.store import Store
from tests.relay.village import EMAIL, PHONE, Village, village

__all__ = ["village"]

ADA = Person(name="Ada", phone=PHONE, email=EMAIL, username="ada", language="en")
NUMBERED = Person(name="Ada", identifier="telegram:4711")


def only_contact(village: Village) -> Any:
    [contact] = village.contacts()
    return contact


def cost(village: Village, text: str, person: Person) -> int:
    """Requests that a message takes once the inbox itself is known."""
    before = village.requests()
    village.customer_writes("phones", text, PHONE, person=person)
    village.deliver()
    return village.requests() - before


def known(village: Village) -> None:
    """The gateway has asked for the inbox, which it does once in five minutes."""
    village.customer_writes("phones", "somebody else", "other")
    village.deliver()


def test_a_new_person_of_whom_all_is_told_costs_four_calls_and_then_one(village: Village) -> None:
    known(village)
    assert cost(village, "one", ADA) == 4
    assert [cost(village, text, ADA) for text in ("two", "three")] == [1, 1]


def test_a_changed_name_language_and_username_are_written_once(village: Village) -> None:
    cost(village, "one", ADA)
    married = Person("Ada Lovelace", PHONE, EMAIL, "lovelace", "fr")
    assert cost(village, "two", married) == 3
    contact = only_contact(village)
    assert contact.name == "Ada Lovelace"
    assert contact.additional_attributes["username"] == "lovelace"
    assert contact.additional_attributes["language_code"] == "fr"
    assert cost(village, "three", married) == 1


def test_a_name_that_an_agent_chose_stays_but_the_rest_is_fresh(village: Village) -> None:
    cost(village, "one", ADA)
    village.edit_contact(only_contact(village).id, name="Countess")
    for number, name in enumerate(("Ada L.", "Ada Lovelace")):
        cost(village, f"more {number}", Person(name, PHONE, EMAIL, f"ada{number}"))
    assert only_contact(village).name == "Countess"
    assert only_contact(village).additional_attributes["username"] == "ada1"


def test_a_message_that_tells_nothing_of_the_person_changes_nothing(village: Village) -> None:
    cost(village, "one", ADA)
    assert cost(village, "two", Person()) == 1
    assert cost(village, "three", Person(phone=PHONE)) == 2
    assert only_contact(village).name == "Ada"
    cost(village, "four", Person("Ada Lovelace", PHONE))
    assert only_contact(village).name == "Ada Lovelace"


def test_a_name_replaces_a_number_that_stood_for_it(village: Village) -> None:
    cost(village, "one", Person(phone=PHONE))
    assert only_contact(village).name == PHONE
    cost(village, "two", ADA)
    assert only_contact(village).name == "Ada"


def test_a_contact_of_an_agents_making_keeps_its_name_and_learns_the_language(
    village: Village,
) -> None:
    village.add_contact(name="Mrs Lovelace", phone_number=PHONE)
    cost(village, "one", ADA)
    assert only_contact(village).name == "Mrs Lovelace"
    assert only_contact(village).additional_attributes["language_code"] == "en"


def test_trouble_with_freshness_delays_no_message_and_is_made_up_for(village: Village) -> None:
    cost(village, "one", ADA)
    renamed = Person("Ada Lovelace", PHONE, EMAIL)
    village.chatwoot.fault("status", status=500, method="PATCH", path="*/contacts/*", times=1)
    cost(village, "two", renamed)
    assert village.texts(1) == ["one", "two"]
    assert only_contact(village).name == "Ada"
    cost(village, "three", renamed)
    assert only_contact(village).name == "Ada Lovelace"


def test_a_merged_contact_is_found_by_its_address(village: Village) -> None:
    cost(village, "one", Person("Ada", PHONE))
    other = village.add_contact(name="Ada L.", email=EMAIL)
    store = village.chatwoot.store
    with store.changing():
        merge_contacts(store, store.contacts.get(other), _by_name(store, "Ada"))
    cost(village, "two", Person("Ada", PHONE, language="fr"))
    assert village.texts(1) == ["one", "two"]
    assert only_contact(village).id == other
    assert only_contact(village).additional_attributes["language_code"] == "fr"


def test_a_deleted_contact_is_made_again(village: Village) -> None:
    cost(village, "one", ADA)
    store = village.chatwoot.store
    with store.changing():
        delete_contact(store, only_contact(village))
    village.customer_writes("phones", "two", PHONE, person=ADA)
    village.house.drain_until(lambda: village.house.incoming() == ["two"])
    assert only_contact(village).name == "Ada"


def _by_name(store: Store, name: str) -> Any:
    return next(contact for contact in store.contacts if contact.name == name)


def test_a_new_person_with_an_identifier_costs_no_call_more(village: Village) -> None:
    known(village)
    assert cost(village, "one", NUMBERED) == 4
    assert [cost(village, text, NUMBERED) for text in ("two", "three")] == [1, 1]
    village.customer_writes("letters", "all", EMAIL, person=replace(ADA, identifier="telegram:1"))
    village.deliver()
    contacts = {contact.identifier for contact in village.contacts() if contact.identifier}
    assert contacts == {"telegram:4711", "telegram:1"}


def test_a_contact_that_an_agent_made_is_found_by_its_identifier(village: Village) -> None:
    made = village.add_contact(name="Mrs Lovelace", identifier="telegram:4711")
    cost(village, "one", NUMBERED)
    cost(village, "two", NUMBERED)
    assert village.texts(1) == ["one", "two"]
    assert only_contact(village).id == made
    assert only_contact(village).name == "Mrs Lovelace"


@pytest.mark.parametrize("edited", ["customer no. 7", None])
def test_an_identifier_that_an_agent_changed_stays(village: Village, edited: str | None) -> None:
    cost(village, "one", NUMBERED)
    village.edit_contact(only_contact(village).id, identifier=edited)
    cost(village, "two", replace(NUMBERED, language="fr"))
    assert only_contact(village).identifier == edited
    assert only_contact(village).additional_attributes["language_code"] == "fr"


def test_an_identifier_that_an_agent_gave_before_stays(village: Village) -> None:
    village.add_contact(phone_number=PHONE, identifier="customer no. 7")
    cost(village, "one", replace(NUMBERED, phone=PHONE, language="fr"))
    assert only_contact(village).identifier == "customer no. 7"
    assert only_contact(village).additional_attributes["language_code"] == "fr"


def test_a_contact_from_before_gets_its_identifier(village: Village) -> None:
    cost(village, "one", Person("Ada"))
    assert only_contact(village).identifier is None
    assert cost(village, "two", NUMBERED) == 3
    assert only_contact(village).identifier == "telegram:4711"
    assert cost(village, "three", NUMBERED) == 1


def test_an_identifier_that_another_contact_has_is_left_to_it(village: Village) -> None:
    cost(village, "one", Person("Ada"))
    other = village.add_contact(name="Somebody", identifier="telegram:4711")
    cost(village, "two", replace(NUMBERED, language="fr"))
    assert cost(village, "three", replace(NUMBERED, language="fr")) == 1
    identifiers = {contact.id: contact.identifier for contact in village.contacts()}
    assert identifiers == {other - 1: None, other: "telegram:4711"}
    assert village.contacts()[0].additional_attributes["language_code"] == "fr"


@pytest.mark.parametrize(
    "shared", [{"phone": PHONE}, {"email": EMAIL}, {"identifier": "telegram:4711"}]
)
def test_two_channels_at_once_make_one_contact(village: Village, shared: dict[str, str]) -> None:
    person = Person("Ada", **shared)
    village.chatwoot.fault("latency", method="POST", path="*/contacts", seconds=0.2, times=None)
    village.customer_writes("phones", "by phone", "ada-1", person=person)
    village.customer_writes("letters", "by letter", "ada-2", person=person, thread="t1")
    village.house.drain_until(lambda: len(village.house.incoming()) == 2)
    assert only_contact(village).name == "Ada"
    assert len(village.chatwoot.conversations()) == 2


def test_two_first_messages_at_once_make_one_conversation(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two lanes with one address: a thread of its own is a lane of its own."""
    makes: list[str] = []
    make = Chatwoot.create_contact

    def noted(self: Chatwoot, *place: Any, **more: Any) -> Any:
        makes.append(place[1])
        return make(self, *place, **more)

    monkeypatch.setattr(Chatwoot, "create_contact", noted)
    for text in ("one", "two", "three"):
        village.customer_writes("phones", text, PHONE, person=ADA)
        village.customer_writes("letters", f"letter {text}", EMAIL, person=ADA, thread=text)
    village.house.drain_until(lambda: len(village.house.incoming()) == 6)
    assert len(makes) == 1
    assert len(village.chatwoot.conversations()) == 4
