"""What is remembered of lanes and replies: written and read in one place."""

from __future__ import annotations

from dataclasses import fields

from gateway.lanes.route import Route, Survey, merged
from gateway.lanes.subject import Subject
from gateway.model import Status

FULL = Route(
    conversation=7,
    newest=41,
    newer=8,
    looked=8,
    blocked=0,
    brake="gw:brake:shop:ann",
    person="0123abcd",
    name="Ada «Countess» Lovelace",
    identifier="telegram:1",
    subject="Parcel",
    avatar=1700000000,
    choices=("Yes", "Nö"),
    survey=Survey(56, 7, "+15551230001", open=False, rating=4, rated_at=1700000000.5),
    peer="+15551230001",
    changed_peer="",
    thread="t",
    context={"subject": "Hi", "references": "<a>"},
)


def test_what_is_written_is_read_again() -> None:
    assert all(getattr(FULL, field.name) is not None for field in fields(Route))
    assert Route.read(FULL.write()) == FULL


def test_what_is_not_said_is_not_written_and_read_as_nothing() -> None:
    assert Route().write() == {}
    assert Route.read({}) == Route()


def test_what_says_that_there_is_nothing_is_written() -> None:
    nothing = Route(choices=(), context={}, thread="", blocked=0)
    assert nothing.write() == {"choices": "[]", "context": "{}", "thread": "", "blocked": "0"}
    assert Route.read(nothing.write()) == nothing


def test_fields_that_only_scripts_use_are_passed_over() -> None:
    assert Route.read({"last": "160", "conversation": "7"}) == Route(conversation=7)


def test_changes_are_merged_lane_by_lane() -> None:
    first = {"a": Route(conversation=1, newest=2), "b": Route(thread="t")}
    second = {"a": Route(newest=3), "c": Route(peer="p")}
    assert merged(first, second) == {
        "a": Route(conversation=1, newest=3),
        "b": Route(thread="t"),
        "c": Route(peer="p"),
    }


def test_a_reply_that_the_ledger_does_not_have_is_not_known() -> None:
    assert Subject.read({}, {}) == Subject()
    assert Subject.read({"status": "failed", "v": "1"}, {}).status is Status.FAILED
