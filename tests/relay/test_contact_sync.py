"""A phone or e-mail that an agent changes on a contact changes where replies go."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from gateway.adapter import Verdict
from gateway.chatwoot.admin import Administration
from gateway.intake.intake import Intake
from gateway.lanes import ids
from gateway.lanes.address_changes import Moves
from gateway.model import Person
from gateway.runtime import Runtime
from gateway.setup.contact_webhook import ContactWebhook
from gateway.web import create_app
from sandbox.chatwoot.contacts import merge_contacts
from sandbox.web import WebServer
from tests.relay.village import EMAIL, PHONE, Village, village

__all__ = ["village"]

NEW, THIRD = "+15551230002", "+15551230003"
NEW_EMAIL = "ada@new.example"


@pytest.fixture
def ada(village: Village) -> int:
    """A customer who has written from her phone, and is contact 1 in conversation 1."""
    village.customer_writes("phones", "hello", PHONE, person=Person("Ada", PHONE))
    village.deliver()
    [contact] = village.contacts()
    return int(contact.id)


def replied(village: Village, text: str, conversation: int = 1) -> str:
    """Where an agent's reply goes."""
    village.agent_replies("phones", conversation, text)
    village.deliver()
    part = village.sent("phones")[-1]
    assert part.text == text
    return part.peer


def writes(village: Village, text: str, peer: str) -> None:
    village.customer_writes("phones", text, peer, person=Person("Ada", peer))
    village.deliver()


def test_replies_go_to_the_new_phone_and_answers_come_into_the_conversation(
    village: Village, ada: int
) -> None:
    assert replied(village, "before") == PHONE
    assert village.contact_changes(ada, phone_number=NEW) == "noted:moved"
    assert replied(village, "after") == NEW
    writes(village, "answer", NEW)
    assert village.texts(1) == ["hello", "before", "after", "answer"]
    assert len(village.contacts()) == 1
    assert village.source_ids(ada, "phones") == {PHONE, NEW}


def test_only_the_first_reply_costs_a_call_more(village: Village, ada: int) -> None:
    village.contact_changes(ada, phone_number=NEW)
    replied(village, "one")
    before = village.requests()
    assert [replied(village, text) for text in ("two", "three")] == [NEW, NEW]
    assert village.requests() == before


def test_nobody_is_asked_while_the_contact_has_the_address(
    village: Village, ada: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Moves, "of", None)
    assert replied(village, "hello") == PHONE


def test_who_writes_from_the_new_phone_first_is_in_the_old_conversation(
    village: Village, ada: int
) -> None:
    village.contact_changes(ada, phone_number=NEW)
    writes(village, "my new number", NEW)
    assert village.texts(1) == ["hello", "my new number"]
    assert replied(village, "noted") == NEW
    writes(village, "from the old one", PHONE)
    assert village.texts(1)[-1] == "from the old one"


def test_changed_back_all_is_as_before(village: Village, ada: int) -> None:
    village.contact_changes(ada, phone_number=NEW)
    assert replied(village, "one") == NEW
    village.contact_changes(ada, phone_number=PHONE)
    assert replied(village, "two") == PHONE
    signs_go_to = village.house.lanes.recall(ids.reply_lane("phones", 1), "moved")
    assert signs_go_to == PHONE
    writes(village, "thanks", PHONE)
    assert village.texts(1)[-1] == "thanks"
    writes(village, "who is that?", NEW)
    assert "who is that?" not in village.texts(1), "whoever has that number is not asked any more"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_changed_twice_the_last_one_counts_in_whatever_order_it_is_told(
    village: Village, ada: int, order: tuple[int, int]
) -> None:
    bodies = [
        village.noted(partial(village.edit_contact, ada, phone_number=phone))[-1]
        for phone in (NEW, THIRD)
    ]
    for number in order:
        village.tell_of_contact(bodies[number])
    assert replied(village, "hello") == THIRD
    writes(village, "yes?", THIRD)
    assert village.texts(1)[-1] == "yes?"


def test_taken_away_and_filled_in_later(village: Village, ada: int) -> None:
    village.contact_changes(ada, phone_number=None)
    assert replied(village, "one") == PHONE
    village.contact_changes(ada, phone_number=NEW)
    assert replied(village, "two") == NEW


def test_a_reply_that_failed_goes_to_the_phone_that_was_filled_in_since(
    village: Village, ada: int
) -> None:
    village.contact_changes(ada, phone_number=NEW)
    village.contact_changes(ada, phone_number=THIRD)
    message = village.agent_replies("phones", 1, "again")
    village.contact_changes(ada, phone_number=NEW)
    village.house.store.hset(f"gw:msg:o:phones:{message}", "replayed", "1")
    village.deliver()
    assert [part.peer for part in village.sent("phones")] == [NEW]


def test_a_phone_that_was_never_the_customers_address_moves_nothing(
    village: Village, ada: int
) -> None:
    village.contact_changes(ada, phone_number=THIRD)
    writes(village, "from my office", "+15559990000")
    other = village.chatwoot.conversations()[0]["id"]
    village.contact_changes(ada, phone_number=NEW)
    assert replied(village, "hello", other) == "+15559990000"


def test_another_contact_with_the_same_address_here_is_left_alone(village: Village) -> None:
    village.customer_writes("phones", "hello", PHONE, person=Person("Bob"))
    village.deliver()
    [bob] = village.contacts()
    village.edit_contact(bob.id, phone_number=THIRD)
    ada = village.add_contact(phone_number=PHONE)
    village.contact_changes(ada, phone_number=NEW)
    assert replied(village, "hello, Bob") == PHONE


def test_whoever_gets_the_old_number_does_not_get_the_replies(village: Village, ada: int) -> None:
    village.contact_changes(ada, phone_number=NEW)
    bob = 0

    def made() -> None:
        nonlocal bob
        bob = village.add_contact(name="Bob", phone_number=PHONE)

    [body] = village.noted(made)
    assert village.tell_of_contact(body) == "ignored:contact_created"
    assert replied(village, "to Ada") == NEW
    begun = village.agent_begins("phones", bob, "to Bob")
    village.deliver()
    assert village.sent("phones")[-1].peer == PHONE
    writes(village, "I am Bob", PHONE)
    assert village.texts(begun) == ["to Bob", "I am Bob"]


def test_a_merged_contact_is_reached_at_its_new_phone(village: Village, ada: int) -> None:
    village.contact_changes(ada, phone_number=NEW)
    other = village.add_contact(name="Ada L.", email=EMAIL)
    store = village.chatwoot.store
    with store.changing():
        merge_contacts(store, store.contacts.get(other), store.contacts.get(ada))
    assert replied(village, "hello") == NEW


def test_a_thread_goes_on_under_the_new_address(village: Village) -> None:
    person = Person("Ada", email=EMAIL)
    for thread, text in (("t1", "hello"), ("t2", "else")):
        village.customer_writes("letters", text, EMAIL, person=person, thread=thread)
        village.deliver()
    [ada] = village.contacts()
    village.contact_changes(ada.id, email=NEW_EMAIL)
    first, second = (
        next(c["id"] for c in village.chatwoot.conversations() if text in village.texts(c["id"]))
        for text in ("hello", "else")
    )
    village.agent_replies("letters", first, "reply")
    village.deliver()
    part = village.sent("letters")[-1]
    assert (part.peer, part.thread) == (NEW_EMAIL, "t1")
    moved = Person("Ada", email=NEW_EMAIL)
    for thread, text in (("t1", "answer"), ("t2", "before a reply")):
        village.customer_writes("letters", text, NEW_EMAIL, person=moved, thread=thread)
        village.deliver()
    assert village.texts(first) == ["hello", "reply", "answer"]
    assert village.texts(second) == ["else", "before a reply"]
    village.customer_writes("letters", "new", NEW_EMAIL, person=moved, thread="t3")
    village.deliver()
    assert len(village.chatwoot.conversations()) == 3


def test_once_resolved_the_next_message_from_the_new_phone_begins_a_conversation(
    village: Village, ada: int
) -> None:
    village.contact_changes(ada, phone_number=NEW)
    replied(village, "one")
    village.agent_resolves("phones", 1)
    writes(village, "a new matter", NEW)
    assert "a new matter" not in village.texts(1)
    assert len(village.chatwoot.conversations()) == 2


def test_after_redis_was_lost_replies_go_to_the_old_address(village: Village, ada: int) -> None:
    village.contact_changes(ada, phone_number=NEW)
    assert replied(village, "one") == NEW
    village.forget_everything()
    assert replied(village, "two") == PHONE
    writes(village, "yes?", NEW)
    assert len(village.contacts()) == 1, "but who writes from the new one is still known"


def test_what_is_remembered_ends_with_the_ledger(village: Village, ada: int) -> None:
    store = village.house.store
    village.contact_changes(ada, phone_number=NEW)
    for name in (f"gw:moved:phones:{PHONE}", f"gw:former:phones:{NEW}"):
        assert 80 * 86400 < int(str(store.ttl(name))) <= 90 * 86400
    store.expire(f"gw:moved:phones:{PHONE}", 1000)
    replied(village, "still needed")
    assert int(str(store.ttl(f"gw:moved:phones:{PHONE}"))) > 80 * 86400


def test_chatwoot_tells_of_it_over_http_among_all_else_that_it_tells(village: Village) -> None:
    """With the webhooks that setup makes: of the inbox, and of the account for contacts."""
    house, store = village.house, village.chatwoot.store
    app = create_app(house.settings, store=house.store, intake=house.intake, runtime=Runtime())
    server = WebServer(app)
    server.start()
    settings = replace(
        house.settings,
        gateway=house.settings.gateway.model_copy(update={"public_url": server.url}),
    )
    account = settings.accounts["main"]
    administration = Administration(account.url, account.account, account.token)
    try:
        [made] = ContactWebhook(settings, account, administration).make()
        assert made.verdict is Verdict.CHANGED
        with store.changing():
            inbox = store.inboxes.get(village.channel("phones").config.inbox)
            inbox.webhook_url = settings.chatwoot_url(village.channel("phones"))
        writes(village, "hello", PHONE)
        [contact] = village.contacts()
        village.edit_contact(contact.id, phone_number=NEW, name="Ada L.")
        assert village.chatwoot.wait_for_webhooks()
        village.chatwoot.agent_reply(1, "after")
        assert village.chatwoot.wait_for_webhooks()
        village.deliver()
    finally:
        server.stop()
        administration.close()
    assert [(part.peer, part.text) for part in village.sent("phones")] == [(NEW, "after")]


def test_what_each_message_changes_on_its_contact_is_cheap_to_ignore(
    village: Village, ada: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = village.noted(lambda: writes(village, "one more", PHONE))
    [body] = [body for body in bodies if body["event"] == "contact_updated"]
    monkeypatch.setattr(Intake, "_append", None)
    assert village.tell_of_contact(body) == "ignored:contact_updated"
    assert village.contact_changes(ada, name="Ada L.") == "ignored:contact_updated"
    assert village.contact_changes(ada, email=EMAIL) == "ignored:ContactChanged"
    assert not list(village.house.store.scan_iter("gw:moved:*"))
