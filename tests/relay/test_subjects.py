"""Agents read what a mail is about, once, and again where it changes."""

from __future__ import annotations

import pytest

from gateway.lanes import keys
from gateway.lanes.route import Route
from gateway.model import Inbound
from gateway.relay.to_chatwoot.subjects import with_subject
from tests.relay.env import Env

KNOWN = Route(conversation=1, subject="Order 4711")


def shown(subject: str, text: str = "Where is it?", route: Route = KNOWN) -> str:
    return with_subject(route, Inbound("m1", "p1", text, subject=subject), text)


def test_the_first_message_of_a_thread_has_its_subject_above(env: Env) -> None:
    for subject, text in (("Order 4711", "one"), ("Re: Order 4711", "two"), ("Invoice", "three")):
        env.customer_writes(text, thread="t1", subject=subject)
        env.drain()
    assert env.incoming() == ["Subject: Order 4711\n\none", "two", "Subject: Invoice\n\nthree"]


def test_each_thread_has_its_own(env: Env) -> None:
    for thread in ("t1", "t2"):
        env.customer_writes(f"in {thread}", thread=thread, subject="Order 4711")
        env.drain()
    assert env.incoming() == [f"Subject: Order 4711\n\nin {thread}" for thread in ("t1", "t2")]


def test_a_message_without_one_changes_nothing(env: Env) -> None:
    for subject, text in (("Order 4711", "one"), ("", "two"), ("order  4711", "three")):
        env.customer_writes(text, thread="t1", subject=subject)
        env.drain()
    assert env.incoming() == ["Subject: Order 4711\n\none", "two", "three"]


def test_a_conversation_that_is_found_anew_says_it_again(env: Env) -> None:
    env.customer_writes("one", thread="t1", subject="Order 4711")
    env.drain()
    env.store.hdel(keys.route("in/cards/p1/t1"), "conversation")
    env.customer_writes("two", thread="t1", subject="Order 4711")
    env.drain()
    assert env.incoming() == [f"Subject: Order 4711\n\n{text}" for text in ("one", "two")]


def test_an_attempt_that_is_repeated_says_it_once(env: Env) -> None:
    env.chatwoot.fault("lose", method="POST", path="*/messages")
    env.customer_writes("one", thread="t1", subject="Order 4711")
    env.drain_until(lambda: env.count("delivered_in") == 1)
    assert env.incoming() == ["Subject: Order 4711\n\none"]


@pytest.mark.parametrize(
    "subject",
    [
        "Re: Order 4711",
        "AW: RE: order 4711",
        "Fwd: Order 4711",
        "RE[2]: Order 4711",
        "回复：Order 4711",
    ],
)
def test_an_answer_or_a_forwarded_mail_is_about_the_same(subject: str) -> None:
    assert shown(subject) == "Where is it?"


@pytest.mark.parametrize("subject", ["Order 4712", "Order", "Reorder 4711", "Re: Invoice"])
def test_another_subject_is_told(subject: str) -> None:
    assert shown(subject) == f"Subject: {subject}\n\nWhere is it?"


@pytest.mark.parametrize(
    "text",
    [
        "Order 4711",
        "\n order 4711\nhas not come",
        "Subject: Order 4711\nhello",
        "Order 4711, please?",
    ],
)
def test_a_text_that_begins_with_its_subject_says_it_once(text: str) -> None:
    assert shown("Re: Order 4711", text, Route()) == text


def test_a_text_that_begins_with_a_longer_word_does_not_say_it() -> None:
    assert shown("Hi", "Higher prices?", Route()) == "Subject: Hi\n\nHigher prices?"


def test_a_mail_of_nothing_but_files_is_its_subject() -> None:
    assert shown("Invoice", "") == "Subject: Invoice"
