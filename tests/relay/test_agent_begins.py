"""Conversations that an agent begins: where the first word goes, and where the answer lands."""

from __future__ import annotations

from gateway.lanes import Backlog
from gateway.model import Person
from sandbox.chatwoot.contacts import merge_contacts
from tests.relay.two_channel_env import EMAIL, PHONE, TwoChannelEnv


def test_the_first_word_goes_to_the_contacts_phone_and_the_answer_comes_back(
    pair: TwoChannelEnv,
) -> None:
    ada = pair.add_contact(phone_number=PHONE)
    begun = pair.agent_begins("phones", ada, "hello?")
    pair.deliver()
    assert [part.peer for part in pair.sent("phones")] == [PHONE]
    pair.customer_writes("phones", "yes?", PHONE, person=Person("Ada", PHONE))
    pair.deliver()
    pair.agent_replies("phones", begun, "good")
    pair.deliver()
    assert pair.texts(begun) == ["hello?", "yes?", "good"]
    assert [part.peer for part in pair.sent("phones")] == [PHONE, PHONE]
    assert len(pair.chatwoot.conversations()) == 1
    assert len(pair.contacts()) == 1


def test_the_address_is_attached_before_it_is_used_and_only_once(
    pair: TwoChannelEnv,
) -> None:
    ada = pair.add_contact(phone_number=PHONE)
    begun = pair.agent_begins("phones", ada, "one")
    pair.deliver()
    assert PHONE in pair.source_ids(ada, "phones")
    before = pair.requests()
    pair.agent_replies("phones", begun, "two")
    pair.deliver()
    assert pair.requests() == before


def test_the_answer_finds_the_conversation_though_redis_was_lost(
    pair: TwoChannelEnv,
) -> None:
    ada = pair.add_contact(identifier="whoever", phone_number=PHONE)
    begun = pair.agent_begins("phones", ada, "hello?")
    pair.deliver()
    pair.forget_everything()
    pair.customer_writes("phones", "yes?", PHONE, person=Person("Ada"))
    pair.deliver()
    assert pair.texts(begun) == ["hello?", "yes?"]
    assert len(pair.contacts()) == 1


def test_a_thread_that_an_agent_began_is_kept_by_all_parts_and_the_answer(
    pair: TwoChannelEnv,
) -> None:
    ada = pair.add_contact(email=EMAIL)
    begun = pair.agent_begins("letters", ada, "first")
    pair.agent_replies("letters", begun, "second")
    pair.deliver()
    first, second = pair.sent("letters")
    assert first.peer == EMAIL
    assert len(first.thread) == 16
    assert first.thread == second.thread
    pair.customer_writes("letters", "answer", EMAIL, thread=first.thread)
    pair.deliver()
    pair.forget_everything()
    pair.customer_writes("letters", "more", EMAIL, thread=first.thread)
    pair.deliver()
    pair.agent_replies("letters", begun, "third")
    pair.deliver()
    assert pair.texts(begun) == ["first", "second", "answer", "more", "third"]
    assert pair.sent("letters")[-1].thread == first.thread
    pair.customer_writes("letters", "another matter", EMAIL, thread="0" * 16)
    pair.deliver()
    assert len(pair.chatwoot.conversations()) == 2


def test_without_an_address_the_reply_is_red_with_a_cure_that_works(
    pair: TwoChannelEnv,
) -> None:
    ada = pair.add_contact(email=EMAIL)
    begun = pair.agent_begins("phones", ada, "hello?")
    pair.deliver()
    [message] = pair.chatwoot.messages(begun)
    assert message["status"] == "failed"
    assert "no phone number: fill it in" in message["content_attributes"]["external_error"]
    pair.edit_contact(ada, phone_number=PHONE)
    [dead] = pair.env.dead.list()
    assert pair.env.dead.replay(dead.id)
    pair.env.drain()
    assert [part.peer for part in pair.sent("phones")] == [PHONE]
    assert pair.chatwoot.messages(begun)[0]["status"] == "sent"


def test_a_changed_phone_changes_where_the_next_reply_goes(pair: TwoChannelEnv) -> None:
    ada = pair.add_contact(phone_number=PHONE)
    begun = pair.agent_begins("phones", ada, "one")
    pair.deliver()
    pair.edit_contact(ada, phone_number="+15551230002")
    pair.agent_replies("phones", begun, "two")
    pair.deliver()
    assert [part.peer for part in pair.sent("phones")] == [PHONE, "+15551230002"]
    pair.customer_writes("phones", "it is me", "+15551230002")
    pair.deliver()
    assert pair.texts(begun) == ["one", "two", "it is me"]


def test_once_resolved_the_next_message_begins_a_conversation(
    pair: TwoChannelEnv,
) -> None:
    ada = pair.add_contact(phone_number=PHONE)
    begun = pair.agent_begins("phones", ada, "hello?")
    pair.deliver()
    pair.agent_resolves("phones", begun)
    pair.customer_writes("phones", "a new matter", PHONE)
    pair.deliver()
    assert pair.texts(begun)[0] == "hello?"
    assert "a new matter" not in pair.texts(begun)
    assert len(pair.chatwoot.conversations()) == 2


def test_trouble_of_chatwoot_leaves_the_networks_gate_open(pair: TwoChannelEnv) -> None:
    ada = pair.add_contact(phone_number=PHONE)
    pair.chatwoot.fault("drop", method="POST", path="*/contact_inboxes", times=6)
    pair.agent_begins("phones", ada, "hello?")
    for _ in range(5):
        pair.env.drain()
        pair.env.make_due()
    assert not [g for g in Backlog(pair.env.store).read().gates if g.state != "open"]
    pair.chatwoot.clear_faults()
    pair.env.drain_until(lambda: pair.sent("phones"))


def test_a_contact_that_was_merged_meanwhile_gets_the_address(
    pair: TwoChannelEnv,
) -> None:
    ada = pair.add_contact(phone_number=PHONE)
    other = pair.add_contact(name="Ada L.", email=EMAIL)
    pair.agent_begins("phones", ada, "hello?")
    store = pair.chatwoot.store
    with store.changing():
        merge_contacts(store, store.contacts.get(other), store.contacts.get(ada))
    pair.deliver()
    assert [part.peer for part in pair.sent("phones")] == [PHONE]
    assert PHONE in pair.source_ids(other, "phones")
