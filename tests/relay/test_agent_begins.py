"""Conversations that an agent begins: where the first word goes, and where the answer lands."""

from __future__ import annotations

from gateway.model import Person
from sandbox.chatwoot.contacts import merge_contacts
from tests.relay.village import EMAIL, PHONE, Village, village

__all__ = ["village"]


def test_the_first_word_goes_to_the_contacts_phone_and_the_answer_comes_back(
    village: Village,
) -> None:
    ada = village.add_contact(phone_number=PHONE)
    begun = village.agent_begins("phones", ada, "hello?")
    village.deliver()
    assert [part.peer for part in village.sent("phones")] == [PHONE]
    village.customer_writes("phones", "yes?", PHONE, person=Person("Ada", PHONE))
    village.deliver()
    village.agent_replies("phones", begun, "good")
    village.deliver()
    assert village.texts(begun) == ["hello?", "yes?", "good"]
    assert [part.peer for part in village.sent("phones")] == [PHONE, PHONE]
    assert len(village.chatwoot.conversations()) == 1
    assert len(village.contacts()) == 1


def test_the_address_is_attached_before_it_is_used_and_only_once(village: Village) -> None:
    ada = village.add_contact(phone_number=PHONE)
    begun = village.agent_begins("phones", ada, "one")
    village.deliver()
    assert PHONE in village.source_ids(ada, "phones")
    before = village.requests()
    village.agent_replies("phones", begun, "two")
    village.deliver()
    assert village.requests() == before


def test_the_answer_finds_the_conversation_though_redis_was_lost(village: Village) -> None:
    ada = village.add_contact(identifier="whoever", phone_number=PHONE)
    begun = village.agent_begins("phones", ada, "hello?")
    village.deliver()
    village.forget_everything()
    village.customer_writes("phones", "yes?", PHONE, person=Person("Ada"))
    village.deliver()
    assert village.texts(begun) == ["hello?", "yes?"]
    assert len(village.contacts()) == 1


def test_a_thread_that_an_agent_began_is_kept_by_all_parts_and_the_answer(
    village: Village,
) -> None:
    ada = village.add_contact(email=EMAIL)
    begun = village.agent_begins("letters", ada, "first")
    village.agent_replies("letters", begun, "second")
    village.deliver()
    first, second = village.sent("letters")
    assert first.peer == EMAIL
    assert len(first.thread) == 16
    assert first.thread == second.thread
    village.customer_writes("letters", "answer", EMAIL, thread=first.thread)
    village.deliver()
    village.forget_everything()
    village.customer_writes("letters", "more", EMAIL, thread=first.thread)
    village.deliver()
    village.agent_replies("letters", begun, "third")
    village.deliver()
    assert village.texts(begun) == ["first", "second", "answer", "more", "third"]
    assert village.sent("letters")[-1].thread == first.thread
    village.customer_writes("letters", "another matter", EMAIL, thread="0" * 16)
    village.deliver()
    assert len(village.chatwoot.conversations()) == 2


def test_without_an_address_the_reply_is_red_with_a_cure_that_works(village: Village) -> None:
    ada = village.add_contact(email=EMAIL)
    begun = village.agent_begins("phones", ada, "hello?")
    village.deliver()
    [message] = village.chatwoot.messages(begun)
    assert message["status"] == "failed"
    assert "no phone number: fill it in" in message["content_attributes"]["external_error"]
    village.edit_contact(ada, phone_number=PHONE)
    [dead] = village.house.dead.list()
    assert village.house.dead.replay(dead.id)
    village.house.drain()
    assert [part.peer for part in village.sent("phones")] == [PHONE]
    assert village.chatwoot.messages(begun)[0]["status"] == "sent"


def test_a_changed_phone_changes_where_the_next_reply_goes(village: Village) -> None:
    ada = village.add_contact(phone_number=PHONE)
    begun = village.agent_begins("phones", ada, "one")
    village.deliver()
    village.edit_contact(ada, phone_number="+15551230002")
    village.agent_replies("phones", begun, "two")
    village.deliver()
    assert [part.peer for part in village.sent("phones")] == [PHONE, "+15551230002"]
    village.customer_writes("phones", "it is me", "+15551230002")
    village.deliver()
    assert village.texts(begun) == ["one", "two", "it is me"]


def test_once_resolved_the_next_message_begins_a_conversation(village: Village) -> None:
    ada = village.add_contact(phone_number=PHONE)
    begun = village.agent_begins("phones", ada, "hello?")
    village.deliver()
    village.agent_resolves("phones", begun)
    village.customer_writes("phones", "a new matter", PHONE)
    village.deliver()
    assert village.texts(begun)[0] == "hello?"
    assert "a new matter" not in village.texts(begun)
    assert len(village.chatwoot.conversations()) == 2


def test_trouble_of_chatwoot_leaves_the_networks_gate_open(village: Village) -> None:
    ada = village.add_contact(phone_number=PHONE)
    village.chatwoot.fault("drop", method="POST", path="*/contact_inboxes", times=6)
    village.agent_begins("phones", ada, "hello?")
    for _ in range(5):
        village.house.drain()
        village.house.make_due()
    assert not [g for g in village.house.lanes.backlog().gates if g.state != "open"]
    village.chatwoot.clear_faults()
    village.house.drain_until(lambda: village.sent("phones"))


def test_a_contact_that_was_merged_meanwhile_gets_the_address(village: Village) -> None:
    ada = village.add_contact(phone_number=PHONE)
    other = village.add_contact(name="Ada L.", email=EMAIL)
    village.agent_begins("phones", ada, "hello?")
    store = village.chatwoot.store
    with store.changing():
        merge_contacts(store, store.contacts.get(other), store.contacts.get(ada))
    village.deliver()
    assert [part.peer for part in village.sent("phones")] == [PHONE]
    assert PHONE in village.source_ids(other, "phones")
