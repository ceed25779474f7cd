"""Contacts stay fresh and few: what agents wrote stays, what was merged or deleted heals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.chatwoot.client import Chatwoot
from gateway.lanes import ids, keys
from gateway.model import Person
from sandbox.chatwoot.contacts import delete_contact, merge_contacts
from sandbox.chatwoot.store import Store
from tests.relay.two_channel_env import EMAIL, PHONE, TwoChannelEnv

ADA = Person(name="Ada", phone=PHONE, email=EMAIL, username="ada", language="en")
NUMBERED = Person(name="Ada", identifier="telegram:4711")


def only_contact(pair: TwoChannelEnv) -> Any:
    [contact] = pair.contacts()
    return contact


def cost(pair: TwoChannelEnv, text: str, person: Person) -> int:
    """Requests that a message takes once the inbox itself is known."""
    before = pair.requests()
    pair.customer_writes("phones", text, PHONE, person=person)
    pair.deliver()
    return pair.requests() - before


def known(pair: TwoChannelEnv) -> None:
    """The gateway has asked for the inbox, which it does once in five minutes."""
    pair.customer_writes("phones", "somebody else", "other")
    pair.deliver()


def test_a_new_person_of_whom_all_is_told_costs_four_calls_and_then_one(
    pair: TwoChannelEnv,
) -> None:
    known(pair)
    assert cost(pair, "one", ADA) == 4
    assert [cost(pair, text, ADA) for text in ("two", "three")] == [1, 1]


def test_a_changed_name_language_and_username_are_written_once(
    pair: TwoChannelEnv,
) -> None:
    cost(pair, "one", ADA)
    married = Person("Ada Lovelace", PHONE, EMAIL, "lovelace", "fr")
    assert cost(pair, "two", married) == 3
    contact = only_contact(pair)
    assert contact.name == "Ada Lovelace"
    assert contact.additional_attributes["username"] == "lovelace"
    assert contact.additional_attributes["language_code"] == "fr"
    assert cost(pair, "three", married) == 1


def test_the_contacts_panel_shows_all_that_the_network_tells(pair: TwoChannelEnv) -> None:
    told = replace(
        ADA,
        city="Turin",
        country="Italy",
        country_code="IT",
        company="Analytical Engines",
        description="Counts",
        profiles={"github": "ada"},
    )
    cost(pair, "one", told)
    shown = only_contact(pair).additional_attributes
    assert (shown["city"], shown["country"], shown["country_code"]) == ("Turin", "Italy", "IT")
    assert (shown["company_name"], shown["description"]) == ("Analytical Engines", "Counts")
    assert shown["social_profiles"] == {"github": "ada"}
    assert cost(pair, "two", told) == 1


def test_profiles_that_an_agent_filled_in_stay_beside_what_the_network_tells(
    pair: TwoChannelEnv,
) -> None:
    cost(pair, "one", ADA)
    only_contact(pair).additional_attributes["social_profiles"] = {"linkedin": "ada-l"}
    told = replace(ADA, profiles={"github": "ada"})
    cost(pair, "two", told)
    shown = only_contact(pair).additional_attributes["social_profiles"]
    assert shown == {"linkedin": "ada-l", "github": "ada"}


def test_what_chatwoot_shows_already_is_not_written_again(pair: TwoChannelEnv) -> None:
    told = replace(ADA, city="Turin", profiles={"github": "ada"})
    cost(pair, "one", told)
    pair.env.store.delete(keys.route(ids.inbound_lane("phones", PHONE)))
    before = pair.chatwoot.requests.copy()
    cost(pair, "two", told)
    made = pair.chatwoot.requests - before
    assert not [route for method, route in made if method in {"PUT", "PATCH"}]


def test_a_name_that_an_agent_chose_stays_but_the_rest_is_fresh(
    pair: TwoChannelEnv,
) -> None:
    cost(pair, "one", ADA)
    pair.edit_contact(only_contact(pair).id, name="Countess")
    for number, name in enumerate(("Ada L.", "Ada Lovelace")):
        cost(pair, f"more {number}", Person(name, PHONE, EMAIL, f"ada{number}"))
    assert only_contact(pair).name == "Countess"
    assert only_contact(pair).additional_attributes["username"] == "ada1"


def test_a_message_that_tells_nothing_of_the_person_changes_nothing(
    pair: TwoChannelEnv,
) -> None:
    cost(pair, "one", ADA)
    assert cost(pair, "two", Person()) == 1
    assert cost(pair, "three", Person(phone=PHONE)) == 2
    assert only_contact(pair).name == "Ada"
    cost(pair, "four", Person("Ada Lovelace", PHONE))
    assert only_contact(pair).name == "Ada Lovelace"


def test_a_name_replaces_a_number_that_stood_for_it(pair: TwoChannelEnv) -> None:
    cost(pair, "one", Person(phone=PHONE))
    assert only_contact(pair).name == PHONE
    cost(pair, "two", ADA)
    assert only_contact(pair).name == "Ada"


def test_a_contact_of_an_agents_making_keeps_its_name_and_learns_the_language(
    pair: TwoChannelEnv,
) -> None:
    pair.add_contact(name="Mrs Lovelace", phone_number=PHONE)
    cost(pair, "one", ADA)
    assert only_contact(pair).name == "Mrs Lovelace"
    assert only_contact(pair).additional_attributes["language_code"] == "en"


def test_trouble_with_freshness_delays_no_message_and_is_made_up_for(
    pair: TwoChannelEnv,
) -> None:
    cost(pair, "one", ADA)
    renamed = Person("Ada Lovelace", PHONE, EMAIL)
    pair.chatwoot.fault("status", status=500, method="PATCH", path="*/contacts/*", times=1)
    cost(pair, "two", renamed)
    assert pair.texts(1) == ["one", "two"]
    assert only_contact(pair).name == "Ada"
    cost(pair, "three", renamed)
    assert only_contact(pair).name == "Ada Lovelace"


def test_a_merged_contact_is_found_by_its_address(pair: TwoChannelEnv) -> None:
    cost(pair, "one", Person("Ada", PHONE))
    other = pair.add_contact(name="Ada L.", email=EMAIL)
    store = pair.chatwoot.store
    with store.changing():
        merge_contacts(store, store.contacts.get(other), _by_name(store, "Ada"))
    cost(pair, "two", Person("Ada", PHONE, language="fr"))
    assert pair.texts(1) == ["one", "two"]
    assert only_contact(pair).id == other
    assert only_contact(pair).additional_attributes["language_code"] == "fr"


def test_a_deleted_contact_is_made_again(pair: TwoChannelEnv) -> None:
    cost(pair, "one", ADA)
    store = pair.chatwoot.store
    with store.changing():
        delete_contact(store, only_contact(pair))
    pair.customer_writes("phones", "two", PHONE, person=ADA)
    pair.env.drain_until(lambda: pair.env.incoming() == ["two"])
    assert only_contact(pair).name == "Ada"


def _by_name(store: Store, name: str) -> Any:
    return next(contact for contact in store.contacts if contact.name == name)


def test_a_new_person_with_an_identifier_costs_no_call_more(pair: TwoChannelEnv) -> None:
    known(pair)
    assert cost(pair, "one", NUMBERED) == 4
    assert [cost(pair, text, NUMBERED) for text in ("two", "three")] == [1, 1]
    pair.customer_writes("letters", "all", EMAIL, person=replace(ADA, identifier="telegram:1"))
    pair.deliver()
    contacts = {contact.identifier for contact in pair.contacts() if contact.identifier}
    assert contacts == {"telegram:4711", "telegram:1"}


def test_a_contact_that_an_agent_made_is_found_by_its_identifier(
    pair: TwoChannelEnv,
) -> None:
    made = pair.add_contact(name="Mrs Lovelace", identifier="telegram:4711")
    cost(pair, "one", NUMBERED)
    cost(pair, "two", NUMBERED)
    assert pair.texts(1) == ["one", "two"]
    assert only_contact(pair).id == made
    assert only_contact(pair).name == "Mrs Lovelace"


@pytest.mark.parametrize("edited", ["customer no. 7", None])
def test_an_identifier_that_an_agent_changed_stays(pair: TwoChannelEnv, edited: str | None) -> None:
    cost(pair, "one", NUMBERED)
    pair.edit_contact(only_contact(pair).id, identifier=edited)
    cost(pair, "two", replace(NUMBERED, language="fr"))
    assert only_contact(pair).identifier == edited
    assert only_contact(pair).additional_attributes["language_code"] == "fr"


def test_an_identifier_that_an_agent_gave_before_stays(pair: TwoChannelEnv) -> None:
    pair.add_contact(phone_number=PHONE, identifier="customer no. 7")
    cost(pair, "one", replace(NUMBERED, phone=PHONE, language="fr"))
    assert only_contact(pair).identifier == "customer no. 7"
    assert only_contact(pair).additional_attributes["language_code"] == "fr"


def test_a_contact_from_before_gets_its_identifier(pair: TwoChannelEnv) -> None:
    cost(pair, "one", Person("Ada"))
    assert only_contact(pair).identifier is None
    assert cost(pair, "two", NUMBERED) == 3
    assert only_contact(pair).identifier == "telegram:4711"
    assert cost(pair, "three", NUMBERED) == 1


def test_an_identifier_that_another_contact_has_is_left_to_it(
    pair: TwoChannelEnv,
) -> None:
    cost(pair, "one", Person("Ada"))
    other = pair.add_contact(name="Somebody", identifier="telegram:4711")
    cost(pair, "two", replace(NUMBERED, language="fr"))
    assert cost(pair, "three", replace(NUMBERED, language="fr")) == 1
    identifiers = {contact.id: contact.identifier for contact in pair.contacts()}
    assert identifiers == {other - 1: None, other: "telegram:4711"}
    assert pair.contacts()[0].additional_attributes["language_code"] == "fr"


@pytest.mark.parametrize(
    "shared", [{"phone": PHONE}, {"email": EMAIL}, {"identifier": "telegram:4711"}]
)
def test_two_channels_at_once_make_one_contact(pair: TwoChannelEnv, shared: dict[str, Any]) -> None:
    person = Person("Ada", **shared)
    pair.chatwoot.fault("latency", method="POST", path="*/contacts", seconds=0.2, times=None)
    pair.customer_writes("phones", "by phone", "ada-1", person=person)
    pair.customer_writes("letters", "by letter", "ada-2", person=person, thread="t1")
    pair.env.drain_until(lambda: len(pair.env.incoming()) == 2)
    assert only_contact(pair).name == "Ada"
    assert len(pair.chatwoot.conversations()) == 2


def test_two_first_messages_at_once_make_one_conversation(
    pair: TwoChannelEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two lanes with one address: a thread of its own is a lane of its own."""
    makes: list[str] = []
    make = Chatwoot.create_contact

    def noted(self: Chatwoot, *place: Any, **more: Any) -> Any:
        makes.append(place[1])
        return make(self, *place, **more)

    monkeypatch.setattr(Chatwoot, "create_contact", noted)
    for text in ("one", "two", "three"):
        pair.customer_writes("phones", text, PHONE, person=ADA)
        pair.customer_writes("letters", f"letter {text}", EMAIL, person=ADA, thread=text)
    pair.env.drain_until(lambda: len(pair.env.incoming()) == 6)
    assert len(makes) == 1
    assert len(pair.chatwoot.conversations()) == 4
