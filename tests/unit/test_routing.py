"""Finding or making the contact and the conversation for a customer's message."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.errors import Invalid
from gateway.chatwoot.values import Inbox
from gateway.errors import ServerTrouble, Uncertain
from gateway.model import Inbound, Person
from gateway.relay.context import context_in
from gateway.relay.to_chatwoot.contact_fields import name_of
from gateway.relay.to_chatwoot.place import ChatwootPlace
from tests.routing_kit import Steps, resolve
from tests.unit.chatwoot_script import (
    TOKEN,
    Script,
    contact,
    conversation,
    conversations,
    scripted,
)

INBOX = Inbox(7)
LOCKED = Inbox(7, lock_to_single_conversation=True)
NAMED = Person(name="Ada")
ADA = Person(name="Ada", phone="+15551230001", email="ada@x.io")
FIND, FILTER = "POST /contact_inboxes/filter", "POST /contacts/filter"
CONTACT, LIST, CREATE = "POST /contacts", "GET /conversations", "POST /conversations"
ATTACH = "POST /contacts/42/contact_inboxes"


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted() as told:
        yield told


@pytest.fixture
def chatwoot(script: Script) -> Iterator[Chatwoot]:
    client = Chatwoot(script.url, 1, SecretStr(TOKEN), deadline=5)
    yield client
    client.close()


def inbound(person: Person = NAMED, peer: str = "tg:1", **fields: Any) -> Inbound:
    return Inbound(id="m1", peer=peer, text="hello", person=person, **fields)


def created(**fields: Any) -> dict[str, Any]:
    return {"payload": {"contact": contact(**fields), "contact_inbox": {"source_id": "tg:1"}}}


def test_a_new_person_takes_three_calls_and_each_write_is_announced(
    script: Script, chatwoot: Chatwoot
) -> None:
    script.says(200, {"payload": []})
    script.says(200, created()).says(200, conversation(12))
    steps: list[tuple[str, int]] = []
    place = resolve(
        chatwoot,
        INBOX,
        inbound(ADA),
        steps=Steps(lambda step: steps.append((step, len(script.calls)))),
    )
    assert place == ChatwootPlace(42, 12)
    assert script.routes == [FILTER, CONTACT, CREATE]
    assert steps == [("contact", 1), ("conversation", 2)]
    made = script.calls[1].body
    assert made["name"] == "Ada"
    assert made["phone_number"] == "+15551230001"
    assert made["source_id"] == "tg:1"


def test_a_person_of_whom_nothing_is_known_takes_three(script: Script, chatwoot: Chatwoot) -> None:
    script.says(404, b"").says(200, created()).says(200, conversation(12))
    resolve(chatwoot, INBOX, inbound(Person(phone="72727", email="none")))
    assert script.routes == [FIND, CONTACT, CREATE]
    made = script.calls[1].body
    assert (made["phone_number"], made["email"], made["identifier"]) == (None, None, None)


def test_an_address_that_was_replaced_leads_to_the_contacts_own_conversations_only(
    script: Script, chatwoot: Chatwoot
) -> None:
    mine = conversation(8, meta={"sender": contact(42)})
    theirs = conversation(9, meta={"sender": contact(50)})
    script.says(200, contact(42)).says(200, conversations()).says(200, conversations(theirs, mine))
    place = resolve(chatwoot, INBOX, inbound(), former=["before tg:1"])
    assert place == ChatwootPlace(42, 8)
    assert [call.query.get("source_id") for call in script.calls[1:]] == ["tg:1", "before tg:1"]


def test_an_identifier_is_tried_rather_than_asked_for(script: Script, chatwoot: Chatwoot) -> None:
    script.says(404, b"").says(200, created()).says(200, conversation(12))
    resolve(chatwoot, INBOX, inbound(Person("Ada", identifier="telegram:1")))
    assert script.routes == [FIND, CONTACT, CREATE]
    assert script.calls[1].body["identifier"] == "telegram:1"


def test_who_has_the_identifier_is_trusted_most_then_who_has_the_email(
    script: Script, chatwoot: Chatwoot
) -> None:
    by_phone = contact(41, phone_number="+15551230001")
    by_identifier = contact(43, identifier="telegram:1")
    script.says(200, {"payload": [by_phone, contact(42, email="ada@x.io"), by_identifier]})
    script.says(200, {"source_id": "tg:1", "inbox": {"id": 7}})
    theirs = conversation(12, meta={"sender": contact(43)})
    script.says(200, conversations()).says(200, theirs)
    place = resolve(chatwoot, INBOX, inbound(replace(ADA, identifier="telegram:1")))
    assert place == ChatwootPlace(43, 12)


def test_an_identifier_that_nobody_seems_to_have_is_left_out(
    script: Script, chatwoot: Chatwoot
) -> None:
    refused = {"message": "Identifier has already been taken", "attributes": ["identifier"]}
    script.says(404, b"").says(422, refused)
    script.says(404, b"").says(200, {"payload": []})
    script.says(200, created()).says(200, conversations()).says(200, conversation(12))
    resolve(chatwoot, INBOX, inbound(Person("Ada", identifier="telegram:1")))
    assert script.calls[4].body["identifier"] is None


def test_a_known_person_goes_on_in_the_latest_conversation_not_resolved(
    script: Script, chatwoot: Chatwoot
) -> None:
    script.says(200, contact(sources=["tg:1"]))
    script.says(
        200,
        conversations(
            conversation(9, "pending"), conversation(12, "snoozed"), conversation(13, "resolved")
        ),
    )
    assert resolve(chatwoot, INBOX, inbound()) == ChatwootPlace(42, 12)
    assert script.routes == [FIND, LIST]


def test_after_a_resolved_conversation_a_new_one_begins(script: Script, chatwoot: Chatwoot) -> None:
    script.says(200, contact()).says(200, conversations(conversation(9, "resolved")))
    script.says(200, conversation(10))
    assert resolve(chatwoot, INBOX, inbound()) == ChatwootPlace(42, 10)
    assert script.calls[2].body["source_id"] == "tg:1"


def test_a_locked_inbox_goes_on_in_the_latest_whatever_its_status(
    script: Script, chatwoot: Chatwoot
) -> None:
    script.says(200, contact())
    script.says(200, conversations(conversation(9, "open"), conversation(11, "resolved")))
    assert resolve(chatwoot, LOCKED, inbound()) == ChatwootPlace(42, 11)


def test_the_search_goes_on_over_the_pages(script: Script, chatwoot: Chatwoot) -> None:
    script.says(200, contact())
    script.says(200, conversations(*[conversation(n, "resolved") for n in range(50, 25, -1)]))
    script.says(200, conversations(conversation(3, "open")))
    assert resolve(chatwoot, INBOX, inbound()) == ChatwootPlace(42, 3)
    assert [call.query["page"] for call in script.calls[1:]] == ["1", "2"]


def test_each_thread_has_its_own_conversation(script: Script, chatwoot: Chatwoot) -> None:
    mine = conversation(8, "resolved", additional_attributes={"thread": "<t1@x>"})
    other = conversation(9, additional_attributes={"thread": "<t2@x>"})
    script.says(200, contact()).says(200, conversations(other, mine))
    assert resolve(chatwoot, LOCKED, inbound(thread="<t1@x>")) == ChatwootPlace(42, 8)


def test_a_new_thread_notes_itself_and_its_subject(script: Script, chatwoot: Chatwoot) -> None:
    script.says(200, contact()).says(200, conversations(conversation(9))).says(
        200, conversation(10)
    )
    message = inbound(thread="<t3@x>", context={"subject": "Hi", "references": "<a>"})
    assert resolve(chatwoot, INBOX, message) == ChatwootPlace(42, 10)
    attributes = script.calls[2].body["additional_attributes"]
    assert context_in(attributes) == {"subject": "Hi", "references": "<a>"}
    del attributes["gateway_context"]
    assert attributes == {"thread": "<t3@x>", "mail_subject": "Hi"}


def test_a_thread_with_a_long_name_is_found_again(script: Script, chatwoot: Chatwoot) -> None:
    kept = conversation(8, additional_attributes={"thread": "t" * 1500})
    script.says(200, contact()).says(200, conversations(kept))
    assert resolve(chatwoot, INBOX, inbound(thread="t" * 1600)) == ChatwootPlace(42, 8)


def test_a_contact_with_the_same_address_is_given_the_source_id(
    script: Script, chatwoot: Chatwoot
) -> None:
    by_phone = contact(41, phone_number="+15551230001")
    script.says(200, {"payload": [by_phone, contact(42, email="Ada@x.io")]})
    script.says(200, {"source_id": "tg:1", "inbox": {"id": 7}})
    script.says(200, conversations()).says(200, conversation(12))
    steps: list[str] = []
    assert resolve(chatwoot, INBOX, inbound(ADA), steps=Steps(steps.append)) == ChatwootPlace(
        42, 12
    )
    assert script.routes == [FILTER, ATTACH, LIST, CREATE]
    assert steps == ["contact_inbox", "conversation"]


def test_who_is_found_by_phone_and_has_the_address_costs_no_other_look(
    script: Script, chatwoot: Chatwoot
) -> None:
    script.says(200, {"payload": [contact(42, phone_number=ADA.phone, sources=["tg:1"])]})
    script.says(200, conversations(conversation(12)))
    assert resolve(chatwoot, INBOX, inbound(ADA)) == ChatwootPlace(42, 12)
    assert script.routes == [FILTER, LIST]


def test_somebody_was_faster_with_the_source_id(script: Script, chatwoot: Chatwoot) -> None:
    script.says(200, {"payload": []}).says(500, {"status": 500})
    script.says(200, contact(sources=["tg:1"])).says(200, conversations(conversation(12)))
    assert resolve(chatwoot, INBOX, inbound(ADA)) == ChatwootPlace(42, 12)
    assert script.routes == [FILTER, CONTACT, FIND, LIST]


def test_somebody_was_faster_with_the_e_mail(script: Script, chatwoot: Chatwoot) -> None:
    script.says(200, {"payload": []})
    script.says(422, {"message": "vergeben", "attributes": ["email"]})
    script.says(404, b"").says(200, {"payload": [contact(42, email="ada@x.io")]})
    script.says(200, {"source_id": "tg:1"}).says(200, conversations()).says(200, conversation(12))
    assert resolve(chatwoot, INBOX, inbound(ADA)) == ChatwootPlace(42, 12)
    assert script.routes == [FILTER, CONTACT, FIND, FILTER, ATTACH, LIST, CREATE]


def test_somebody_was_faster_with_attaching(script: Script, chatwoot: Chatwoot) -> None:
    script.says(200, {"payload": [contact(42, email="ada@x.io")]}).says(500, {})
    script.says(200, contact(43)).says(200, conversations(conversation(12)))
    assert resolve(chatwoot, INBOX, inbound(ADA)) == ChatwootPlace(43, 12)


def test_an_address_that_chatwoot_dislikes_is_left_out(script: Script, chatwoot: Chatwoot) -> None:
    script.says(200, {"payload": []})
    script.says(422, {"message": "ungültig", "attributes": ["email"]})
    script.says(404, b"").says(200, {"payload": []})
    script.says(200, created()).says(200, conversations()).says(200, conversation(12))
    assert resolve(chatwoot, INBOX, inbound(ADA)) == ChatwootPlace(42, 12)
    again = script.calls[4].body
    assert (again["email"], again["phone_number"]) == (None, "+15551230001")


def test_a_refusal_of_something_else_is_told(script: Script, chatwoot: Chatwoot) -> None:
    script.says(200, {"payload": []})
    script.says(422, {"message": "zu lang", "attributes": ["name"]})
    script.says(404, b"").says(200, {"payload": []})
    with pytest.raises(Invalid, match="zu lang"):
        resolve(chatwoot, INBOX, inbound(ADA))


def test_a_true_500_is_trouble(script: Script, chatwoot: Chatwoot) -> None:
    script.says(404, b"").says(500, {"status": 500}).says(404, b"")
    with pytest.raises(ServerTrouble):
        resolve(chatwoot, INBOX, inbound(Person()))


def test_a_conversation_whose_answer_was_lost_is_found_by_asking_again(
    script: Script, chatwoot: Chatwoot
) -> None:
    script.says(200, contact()).says(200, conversations()).says(0)
    with pytest.raises(Uncertain):
        resolve(chatwoot, INBOX, inbound())
    script.says(200, contact()).says(200, conversations(conversation(12)))
    assert resolve(chatwoot, INBOX, inbound()) == ChatwootPlace(42, 12)
    assert script.routes.count(CREATE) == 1


def test_an_answer_to_a_conversation_that_an_agent_began_stays_in_it(
    script: Script, chatwoot: Chatwoot
) -> None:
    made_up = "0b6c3a51-9c5e-4f0e-8a43-5a2f3f1f7c11"
    script.says(200, contact(phone_number=ADA.phone, sources=[ADA.phone, made_up, "+15559999"]))
    script.says(200, conversations(conversation(9, "resolved")))
    script.says(200, conversations(conversation(12, "open")))
    assert resolve(chatwoot, INBOX, inbound(peer=ADA.phone)) == ChatwootPlace(42, 12)
    assert [call.query["source_id"] for call in script.calls[1:]] == [ADA.phone, made_up]


def test_made_up_addresses_do_not_count_where_the_peer_is_no_address_of_the_contact(
    script: Script, chatwoot: Chatwoot
) -> None:
    script.says(200, contact(sources=["tg:1", "0b6c3a51-9c5e-4f0e-8a43-5a2f3f1f7c11"]))
    script.says(200, conversations(conversation(9)))
    assert resolve(chatwoot, INBOX, inbound()) == ChatwootPlace(42, 9)


@pytest.mark.parametrize(
    ("person", "name"),
    [
        (Person(name=" Ada ", username="ada"), "Ada"),
        (Person(name="  ", username="ada", phone="+1555"), "ada"),
        (Person(phone="+1555", email="a@b.c"), "+1555"),
        (Person(email="a@b.c"), "a@b.c"),
        (Person(), "tg:1"),
        (Person(name="x" * 300), "x" * 255),
    ],
)
def test_a_contact_always_has_a_name(person: Person, name: str) -> None:
    assert name_of(inbound(person)) == name
