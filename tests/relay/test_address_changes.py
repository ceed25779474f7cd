"""A phone or e-mail that an agent changes on a contact changes where replies go."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from gateway.adapter import Verdict
from gateway.chatwoot.client import Chatwoot
from gateway.intake.intake import Intake
from gateway.lanes import Routes, ids, keys
from gateway.lanes.address_changes import AddressChanges
from gateway.model import Person
from gateway.runtime import Runtime
from gateway.setup.contact_webhook import ContactWebhook
from gateway.web import create_app
from sandbox.chatwoot.contacts import merge_contacts
from sandbox.web import WebServer
from tests.relay.two_channel_env import EMAIL, PHONE, TwoChannelEnv

NEW, THIRD = "+15551230002", "+15551230003"
NEW_EMAIL = "ada@new.example"


@pytest.fixture
def ada(pair: TwoChannelEnv) -> int:
    """A customer who has written from her phone, and is contact 1 in conversation 1."""
    pair.customer_writes("phones", "hello", PHONE, person=Person("Ada", PHONE))
    pair.deliver()
    [contact] = pair.contacts()
    return int(contact.id)


def replied(pair: TwoChannelEnv, text: str, conversation: int = 1) -> str:
    """Where an agent's reply goes."""
    pair.agent_replies("phones", conversation, text)
    pair.deliver()
    part = pair.sent("phones")[-1]
    assert part.text == text
    return part.peer


def writes(pair: TwoChannelEnv, text: str, peer: str) -> None:
    pair.customer_writes("phones", text, peer, person=Person("Ada", peer))
    pair.deliver()


def test_replies_go_to_the_new_phone_and_answers_come_into_the_conversation(
    pair: TwoChannelEnv, ada: int
) -> None:
    assert replied(pair, "before") == PHONE
    assert pair.contact_changes(ada, phone_number=NEW) == "noted:address_changed"
    assert replied(pair, "after") == NEW
    writes(pair, "answer", NEW)
    assert pair.texts(1) == ["hello", "before", "after", "answer"]
    assert len(pair.contacts()) == 1
    assert pair.source_ids(ada, "phones") == {PHONE, NEW}


def test_only_the_first_reply_costs_a_call_more(pair: TwoChannelEnv, ada: int) -> None:
    pair.contact_changes(ada, phone_number=NEW)
    replied(pair, "one")
    before = pair.requests()
    assert [replied(pair, text) for text in ("two", "three")] == [NEW, NEW]
    assert pair.requests() == before


def test_nobody_is_asked_while_the_contact_has_the_address(
    pair: TwoChannelEnv, ada: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AddressChanges, "find", None)
    assert replied(pair, "hello") == PHONE


def test_who_writes_from_the_new_phone_first_is_in_the_old_conversation(
    pair: TwoChannelEnv, ada: int
) -> None:
    pair.contact_changes(ada, phone_number=NEW)
    writes(pair, "my new number", NEW)
    assert pair.texts(1) == ["hello", "my new number"]
    assert replied(pair, "noted") == NEW
    writes(pair, "from the old one", PHONE)
    assert pair.texts(1)[-1] == "from the old one"


def test_changed_back_all_is_as_before(pair: TwoChannelEnv, ada: int) -> None:
    pair.contact_changes(ada, phone_number=NEW)
    assert replied(pair, "one") == NEW
    pair.contact_changes(ada, phone_number=PHONE)
    assert replied(pair, "two") == PHONE
    signs_go_to = Routes(pair.env.store).get(ids.reply_lane("phones", 1)).changed_peer
    assert signs_go_to == PHONE
    writes(pair, "thanks", PHONE)
    assert pair.texts(1)[-1] == "thanks"
    writes(pair, "who is that?", NEW)
    assert "who is that?" not in pair.texts(1), "whoever has that number is not asked any more"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_changed_twice_the_last_one_counts_in_whatever_order_it_is_told(
    pair: TwoChannelEnv, ada: int, order: tuple[int, int]
) -> None:
    bodies = [
        pair.noted(partial(pair.edit_contact, ada, phone_number=phone))[-1]
        for phone in (NEW, THIRD)
    ]
    for number in order:
        pair.tell_of_contact(bodies[number])
    assert replied(pair, "hello") == THIRD
    writes(pair, "yes?", THIRD)
    assert pair.texts(1)[-1] == "yes?"


def test_taken_away_and_filled_in_later(pair: TwoChannelEnv, ada: int) -> None:
    pair.contact_changes(ada, phone_number=None)
    assert replied(pair, "one") == PHONE
    pair.contact_changes(ada, phone_number=NEW)
    assert replied(pair, "two") == NEW


def test_a_reply_that_failed_goes_to_the_phone_that_was_filled_in_since(
    pair: TwoChannelEnv, ada: int
) -> None:
    pair.contact_changes(ada, phone_number=NEW)
    pair.contact_changes(ada, phone_number=THIRD)
    message = pair.agent_replies("phones", 1, "again")
    pair.contact_changes(ada, phone_number=NEW)
    pair.env.store.hset(keys.message(f"o:phones:{message}"), "replayed", "1")
    pair.deliver()
    assert [part.peer for part in pair.sent("phones")] == [NEW]


def test_a_phone_that_was_never_the_customers_address_moves_nothing(
    pair: TwoChannelEnv, ada: int
) -> None:
    pair.contact_changes(ada, phone_number=THIRD)
    writes(pair, "from my office", "+15559990000")
    other = pair.chatwoot.conversations()[0]["id"]
    pair.contact_changes(ada, phone_number=NEW)
    assert replied(pair, "hello", other) == "+15559990000"


def test_another_contact_with_the_same_address_here_is_left_alone(
    pair: TwoChannelEnv,
) -> None:
    pair.customer_writes("phones", "hello", PHONE, person=Person("Bob"))
    pair.deliver()
    [bob] = pair.contacts()
    pair.edit_contact(bob.id, phone_number=THIRD)
    ada = pair.add_contact(phone_number=PHONE)
    pair.contact_changes(ada, phone_number=NEW)
    assert replied(pair, "hello, Bob") == PHONE


def test_whoever_gets_the_old_number_does_not_get_the_replies(
    pair: TwoChannelEnv, ada: int
) -> None:
    pair.contact_changes(ada, phone_number=NEW)
    bob = 0

    def made() -> None:
        nonlocal bob
        bob = pair.add_contact(name="Bob", phone_number=PHONE)

    [body] = pair.noted(made)
    assert pair.tell_of_contact(body) == "ignored:contact_created"
    assert replied(pair, "to Ada") == NEW
    begun = pair.agent_begins("phones", bob, "to Bob")
    pair.deliver()
    assert pair.sent("phones")[-1].peer == PHONE
    writes(pair, "I am Bob", PHONE)
    assert pair.texts(begun) == ["to Bob", "I am Bob"]


def test_a_merged_contact_is_reached_at_its_new_phone(pair: TwoChannelEnv, ada: int) -> None:
    pair.contact_changes(ada, phone_number=NEW)
    other = pair.add_contact(name="Ada L.", email=EMAIL)
    store = pair.chatwoot.store
    with store.changing():
        merge_contacts(store, store.contacts.get(other), store.contacts.get(ada))
    assert replied(pair, "hello") == NEW


def test_a_thread_goes_on_under_the_new_address(pair: TwoChannelEnv) -> None:
    person = Person("Ada", email=EMAIL)
    for thread, text in (("t1", "hello"), ("t2", "else")):
        pair.customer_writes("letters", text, EMAIL, person=person, thread=thread)
        pair.deliver()
    [ada] = pair.contacts()
    pair.contact_changes(ada.id, email=NEW_EMAIL)
    first, second = (
        next(c["id"] for c in pair.chatwoot.conversations() if text in pair.texts(c["id"]))
        for text in ("hello", "else")
    )
    pair.agent_replies("letters", first, "reply")
    pair.deliver()
    part = pair.sent("letters")[-1]
    assert (part.peer, part.thread) == (NEW_EMAIL, "t1")
    moved = Person("Ada", email=NEW_EMAIL)
    for thread, text in (("t1", "answer"), ("t2", "before a reply")):
        pair.customer_writes("letters", text, NEW_EMAIL, person=moved, thread=thread)
        pair.deliver()
    assert pair.texts(first) == ["hello", "reply", "answer"]
    assert pair.texts(second) == ["else", "before a reply"]
    pair.customer_writes("letters", "new", NEW_EMAIL, person=moved, thread="t3")
    pair.deliver()
    assert len(pair.chatwoot.conversations()) == 3


def test_once_resolved_the_next_message_from_the_new_phone_begins_a_conversation(
    pair: TwoChannelEnv, ada: int
) -> None:
    pair.contact_changes(ada, phone_number=NEW)
    replied(pair, "one")
    pair.agent_resolves("phones", 1)
    writes(pair, "a new matter", NEW)
    assert "a new matter" not in pair.texts(1)
    assert len(pair.chatwoot.conversations()) == 2


def test_after_redis_was_lost_replies_go_to_the_old_address(pair: TwoChannelEnv, ada: int) -> None:
    pair.contact_changes(ada, phone_number=NEW)
    assert replied(pair, "one") == NEW
    pair.forget_everything()
    assert replied(pair, "two") == PHONE
    writes(pair, "yes?", NEW)
    assert len(pair.contacts()) == 1, "but who writes from the new one is still known"


def test_what_is_remembered_ends_with_the_ledger(pair: TwoChannelEnv, ada: int) -> None:
    store = pair.env.store
    pair.contact_changes(ada, phone_number=NEW)
    for name in (keys.address_change("phones", PHONE), keys.former_address("phones", NEW)):
        assert 80 * 86400 < int(str(store.ttl(name))) <= 90 * 86400
    store.expire(keys.address_change("phones", PHONE), 1000)
    replied(pair, "still needed")
    assert int(str(store.ttl(keys.address_change("phones", PHONE)))) > 80 * 86400


def test_chatwoot_tells_of_it_over_http_among_all_else_that_it_tells(
    pair: TwoChannelEnv,
) -> None:
    """With the webhooks that setup makes: of the inbox, and of the account for contacts."""
    env, store = pair.env, pair.chatwoot.store
    app = create_app(env.settings, store=env.store, intake=env.intake, runtime=Runtime())
    server = WebServer(app)
    server.start()
    settings = replace(
        env.settings,
        gateway=env.settings.gateway.model_copy(update={"public_url": server.url}),
    )
    account = settings.accounts["main"]
    chatwoot = Chatwoot(account.url, account.account, account.token)
    try:
        [made] = ContactWebhook(settings, account, chatwoot).set_up()
        assert made.verdict is Verdict.CHANGED
        with store.changing():
            inbox = store.inboxes.get(pair.channel("phones").config.inbox)
            inbox.webhook_url = settings.chatwoot_url(pair.channel("phones"))
        writes(pair, "hello", PHONE)
        [contact] = pair.contacts()
        pair.edit_contact(contact.id, phone_number=NEW, name="Ada L.")
        assert pair.chatwoot.wait_for_webhooks()
        pair.chatwoot.agent_reply(1, "after")
        assert pair.chatwoot.wait_for_webhooks()
        pair.deliver()
    finally:
        server.stop()
        chatwoot.close()
    assert [(part.peer, part.text) for part in pair.sent("phones")] == [(NEW, "after")]


def test_what_each_message_changes_on_its_contact_is_cheap_to_ignore(
    pair: TwoChannelEnv, ada: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = pair.noted(lambda: writes(pair, "one more", PHONE))
    [body] = [body for body in bodies if body["event"] == "contact_updated"]
    monkeypatch.setattr(Intake, "_append", None)
    assert pair.tell_of_contact(body) == "ignored:contact_updated"
    assert pair.contact_changes(ada, name="Ada L.") == "ignored:contact_updated"
    assert pair.contact_changes(ada, email=EMAIL) == "ignored:ContactChanged"
    assert not list(pair.env.store.scan_iter(keys.address_change("*", "*")))
