"""The end of a run of `make faults`: from what Chatwoot and the notes hold to the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from faults.books import Books
from faults.notes import Message, Notes
from faults.reckoning import Reckoning, reckon
from faults.traffic import named
from gateway.lanes import keys
from sandbox.chatwoot import ChatwootStandIn
from sandbox.chatwoot.contacts import attach, create_contact
from sandbox.chatwoot.conversations import open_conversation
from sandbox.chatwoot.messages import Draft, create_message, delete_message
from sandbox.chatwoot.records import ContactInbox, Conversation

IN, OUT = "in:plain:ann", "out:plain:ann"
"""Streams."""
SETTLE = 0.25


class Scene:
    """One customer. Messages are fed and arrive as a test says; a second lies between any two."""

    def __init__(self, folder: Path, chatwoot: ChatwootStandIn, store: redis.Redis) -> None:
        self.notes = Notes(folder / "notes")
        self._chatwoot = chatwoot
        self._store = store
        self.resolved: Counter[str] = Counter()
        self._place = self._customer()
        self.conversation = self.open_conversation()

    def feed(self, stream: str, count: int) -> None:
        for number in range(1, count + 1):
            self.notes.note_fed(Message(stream, number), number)
            self.notes.note_told(Message(stream, number), number + 0.1)

    def post(self, *numbers: int) -> list[int]:
        """The gateway posts a customer's messages; returns their ids."""
        with self._chatwoot.store.changing():
            drafts = [Draft(named(Message(IN, n)), message_type="incoming") for n in numbers]
            rows = [
                create_message(self._chatwoot.store, self.conversation, draft, None)
                for draft in drafts
            ]
            return [row.id for row in rows]

    def remove(self, message: int) -> None:
        with self._chatwoot.store.changing():
            delete_message(self._chatwoot.store, self._chatwoot.store.messages.get(message))

    def send(self, *numbers: int) -> None:
        """The gateway sends replies to the customer."""
        for number in numbers:
            self.notes.note_arrived(Message(OUT, number), f"o:plain:{number}#1")

    def uncertain_of(self, number: int) -> None:
        self._store.hset(keys.message(f"o:plain:{number}"), "was_uncertain", 1)

    def stored(self, number: int, age: float) -> None:
        """As the ledger says of a reply that was so old (seconds) when it was stored."""
        ready = 1_000_000 + round(SETTLE * 1000)
        appended = 1_000_000 - round(age * 1000)
        name = keys.message(f"o:plain:{number}")
        self._store.hset(name, mapping={"appended": appended, "ready": ready})

    def open_conversation(self) -> Conversation:
        with self._chatwoot.store.changing():
            return open_conversation(self._chatwoot.store, self._place, {})

    def reckoning(self, *failed_over: float) -> Reckoning:
        books = Books(self._store)
        return reckon(
            self.notes,
            self._chatwoot,
            books,
            settle=SETTLE,
            resolved=self.resolved,
            failed_over=failed_over,
        )

    def _customer(self) -> ContactInbox:
        inbox = self._chatwoot.add_inbox("Plain", None)
        store = self._chatwoot.store
        with store.changing():
            contact = create_contact(store, 1, {"name": "ann"})
            return attach(store, contact, store.inboxes.get(inbox), "ann")


@pytest.fixture
def scene(tmp_path: Path, store: redis.Redis) -> Iterator[Scene]:
    with ChatwootStandIn() as chatwoot:
        yield Scene(tmp_path, chatwoot, store)


def test_what_arrived_once_and_in_order_is_fine(scene: Scene) -> None:
    scene.feed(IN, 3)
    scene.feed(OUT, 2)
    scene.post(1, 2, 3)
    scene.send(1, 2)
    assert scene.reckoning().kept


def test_a_customer_s_message_that_chatwoot_does_not_hold_is_lost(scene: Scene) -> None:
    scene.feed(IN, 3)
    scene.post(1, 3)
    found = scene.reckoning()
    assert (found.lost, found.kept) == (1, False)


def test_one_that_the_gateway_never_answered_for_is_not(scene: Scene) -> None:
    scene.notes.note_fed(Message(IN, 1), 1.0)
    assert scene.reckoning().kept


def test_a_reply_is_owed_even_if_its_webhook_was_never_answered(scene: Scene) -> None:
    scene.notes.note_fed(Message(OUT, 1), 1.0)
    found = scene.reckoning()
    assert (found.lost, found.kept) == (1, False)


def test_nothing_excuses_a_double_in_chatwoot(scene: Scene) -> None:
    scene.feed(IN, 2)
    scene.post(1, 1, 2)
    scene.uncertain_of(1)
    found = scene.reckoning()
    assert (found.doubled_in_chatwoot, found.kept) == (1, False)


@pytest.mark.parametrize(("told_late", "kept"), [(5, True), (6, False)])
def test_five_replies_in_a_hundred_may_come_behind_younger_ones(
    scene: Scene, told_late: int, kept: bool
) -> None:
    scene.feed(OUT, 100 - told_late)
    older = range(101 - told_late, 101)
    for number in older:  # as their webhooks were refused
        scene.notes.note_fed(Message(OUT, number), number)
    younger = 101
    scene.notes.note_fed(Message(OUT, younger), younger)
    scene.send(*range(1, 101 - told_late), younger, *older)
    found = scene.reckoning()
    assert (found.late_replies, found.kept) == (told_late, kept)


def test_customers_messages_may_come_as_late_as_their_network_likes(scene: Scene) -> None:
    scene.notes.note_fed(Message(IN, 2), 1.0)
    scene.notes.note_fed(Message(IN, 1), 9.0)
    scene.post(2, 1)
    found = scene.reckoning()
    assert (found.late, found.late_replies, found.kept) == (1, 0, True)


def test_a_double_that_the_gateway_has_removed_is_none(scene: Scene) -> None:
    scene.feed(IN, 1)
    _, second = scene.post(1, 1)
    scene.remove(second)
    assert scene.reckoning().kept


def test_nor_a_message_whose_both_copies_were_removed(scene: Scene) -> None:
    scene.feed(IN, 1)
    for message in scene.post(1, 1):
        scene.remove(message)
    assert scene.reckoning().lost == 1


def test_a_customer_s_second_conversation_is_a_double_too(scene: Scene) -> None:
    scene.feed(IN, 1)
    scene.post(1)
    scene.open_conversation()
    found = scene.reckoning()
    assert (found.doubled_in_chatwoot, found.kept) == (1, False)


def test_unless_the_first_was_closed(scene: Scene) -> None:
    scene.feed(IN, 1)
    scene.post(1)
    scene.open_conversation()
    scene.resolved["ann"] += 1
    assert scene.reckoning().kept


def test_a_double_on_the_channel_needs_an_uncertain_attempt(scene: Scene) -> None:
    scene.feed(OUT, 2)
    scene.send(1, 2, 2)
    found = scene.reckoning()
    assert (found.doubled_on_channel, found.kept) == (1, False)
    scene.uncertain_of(1)
    assert not scene.reckoning().kept
    scene.uncertain_of(2)
    found = scene.reckoning()
    assert (found.doubled_on_channel, found.kept) == (1, True)


def test_order_is_judged_both_ways(scene: Scene) -> None:
    scene.feed(IN, 2)
    scene.feed(OUT, 2)
    scene.post(2, 1)
    scene.send(2, 1)
    found = scene.reckoning()
    assert (found.reordered, found.kept) == (2, False)


@pytest.mark.parametrize(("killed", "lost"), [(2.9, 0), (3.3, 1), (1.0, 1)])
def test_what_a_fail_over_may_lose_was_answered_immediately_before_it(
    scene: Scene, killed: float, lost: int
) -> None:
    scene.feed(IN, 2)
    scene.post(1)
    found = scene.reckoning(killed)
    assert (found.lost, found.not_replicated) == (lost, 1 - lost)
    [words] = found.words
    assert words.startswith("lost: " if lost else "not replicated: ")


@pytest.mark.parametrize(
    ("killed", "age", "reordered"),
    [
        (1.9, 4.2, 0),
        (1.9, 0.0, 1),  # it came by its webhook: the fail-over has not lost it
        (3.3, 4.2, 1),  # the replica knew it
    ],
)
def test_a_reply_that_a_fail_over_lost_and_a_look_found_again_is_not_reordered(
    scene: Scene, killed: float, age: float, reordered: int
) -> None:
    scene.feed(OUT, 3)
    for number in (1, 3):
        scene.stored(number, 0.0)
    scene.stored(2, age)
    scene.send(1, 3, 2)
    found = scene.reckoning(killed)
    assert (found.reordered, found.not_replicated) == (reordered, 1 - reordered)
    assert found.kept == (reordered == 0)
    assert found.words[0].startswith("reordered: " if reordered else "not replicated: ")
