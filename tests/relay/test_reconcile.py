"""Replies whose webhook was lost are found, sent in order, and once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.chatwoot import api
from gateway.chatwoot.client import CONVERSATIONS_PER_PAGE, Chatwoot
from gateway.chatwoot.values import Conversation, Message
from gateway.clock.reconcile import (
    AT_ONCE,
    BROKEN,
    LAG,
    LEASE,
    PAUSE,
    Reconciler,
    Reconciliation,
)
from gateway.errors import ServerTrouble, Unreachable
from gateway.lanes import KeyValues, Ledger, keys
from gateway.lanes.scripts import Scripts
from gateway.lanes.watermark import watermark_of
from gateway.model import Status
from sandbox.chatwoot.contacts import attach, create_contact
from sandbox.chatwoot.conversations import open_conversation
from sandbox.chatwoot.messages import Draft, create_message
from tests.relay.env import Env


@pytest.fixture
def reconciler(env: Env) -> Reconciler:
    way = env.deliveries.chatwoots["main"]
    return Reconciler(env.channel, way, Ledger(env.store), KeyValues(env.store), env.intake)


@pytest.fixture(autouse=True)
def somebody_wrote(env: Env) -> None:
    env.customer_writes("hello")
    env.drain()


def wait_for(come_about: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not come_about():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def texts(env: Env) -> list[str]:
    return [part.text for part in env.network.sent]


def test_the_answer_is_in_the_conversation_that_an_agent_began_unheard(
    env: Env, reconciler: Reconciler
) -> None:
    """Neither that it began was told, nor what was said in it."""
    reconciler.look()
    [known] = env.chatwoot.conversations()
    contact, inbox = known["meta"]["sender"]["id"], env.channel.config.inbox
    begun = env.chatwoot.agent_start_conversation(contact, inbox, "Your parcel is here")
    assert reconciler.look() == 1
    env.drain()
    assert "Your parcel is here" in texts(env)
    env.customer_writes("I will fetch it")
    env.drain()
    said = [message["content"] for message in env.chatwoot.messages(begun)]
    assert said == ["Your parcel is here", "I will fetch it"]


def test_what_was_written_while_the_gateway_was_away_is_sent_once_and_in_order(
    env: Env, reconciler: Reconciler
) -> None:
    reconciler.look()
    env.chatwoot.agent_reply(1, "one")
    env.chatwoot.agent_reply(1, "between us", private=True)
    env.chatwoot.agent_reply(1, "two")
    assert reconciler.look() == 2
    assert reconciler.look() == 0
    env.drain()
    assert texts(env) == ["one", "two"]


def test_what_no_agent_wrote_is_known_for_automatic_when_it_is_found(
    env: Env, reconciler: Reconciler
) -> None:
    reconciler.look()
    by_chatwoot = env.chatwoot.automatic_reply(1, "We are closed")
    by_an_agent = env.chatwoot.agent_reply(1, "I am here")
    assert reconciler.look() == 2
    bodies = [
        json.loads(str(env.store.hget(keys.message(f"o:cards:{number}"), "body")))
        for number in (by_chatwoot, by_an_agent)
    ]
    assert [body["automatic"] for body in bodies] == [True, False]


def test_what_came_by_webhook_is_not_sent_again(env: Env, reconciler: Reconciler) -> None:
    reconciler.look()
    env.agent_replies("one")
    env.drain()
    assert reconciler.look() == 0
    env.drain()
    assert texts(env) == ["one"]


def test_what_was_written_before_the_gateway_came_is_left_alone(
    env: Env, reconciler: Reconciler
) -> None:
    env.chatwoot.agent_reply(1, "long ago")
    assert reconciler.look() == 0
    assert reconciler.look() == 0
    env.drain()
    assert texts(env) == []


def test_a_lost_mark_becomes_now(env: Env, reconciler: Reconciler) -> None:
    reconciler.look()
    env.chatwoot.agent_reply(1, "one")
    env.store.delete(keys.watermark("cards"))
    assert reconciler.look() == 0
    env.drain()
    assert texts(env) == []


def test_a_reply_missed_for_too_long_is_failed_not_sent(env: Env, reconciler: Reconciler) -> None:
    reconciler.look()
    number = env.chatwoot.agent_reply(1, "stale")
    env.chatwoot.store.messages.get(number).created_at -= 2 * 3600
    mark = env.store.get(keys.watermark("cards"))
    env.store.set(keys.watermark("cards"), _earlier(str(mark), 3 * 3600))
    assert reconciler.look() == 1
    env.drain()
    assert texts(env) == []
    assert env.shown(number)["status"] == "failed"


PHONE = "+15551230001"

Travel = Callable[[float], None]


@pytest.fixture
def hours_pass(env: Env, monkeypatch: pytest.MonkeyPatch) -> Travel:
    """Let what is in Chatwoot become older, and what the gateway remembers of its looks too."""

    def pass_by(seconds: float) -> None:
        store = env.chatwoot.store
        with store.changing():
            for conversation in store.conversations:
                conversation.updated_at -= seconds
                conversation.last_activity_at -= seconds
            for message in store.messages:
                message.created_at -= seconds
        if mark := env.store.get(keys.watermark("cards")):
            known = json.loads(str(mark))
            known = {
                **known,
                "since": known["since"] - seconds,
                "looked": known["looked"] - seconds,
            }
            env.store.set(keys.watermark("cards"), json.dumps(known))

    return pass_by


def talks(env: Env, number: int) -> list[int]:
    """So many more conversations, each with a word of the customer's."""
    store, made = env.chatwoot.store, []
    with store.changing():
        inbox = store.inboxes.get(env.channel.config.inbox)
        for n in range(number):
            place = attach(store, create_contact(store, 1, {"name": f"Q{n}"}), inbox, f"q{n}")
            row = open_conversation(store, place, {})
            create_message(store, row, Draft("hello", "incoming", source_id=f"gw:cards:q{n}"), None)
            made.append(row.display_id)
    return made


@pytest.mark.parametrize("away", [60.0, 5 * 3600.0])
def test_five_hundred_quiet_conversations_cost_one_call(
    env: Env, reconciler: Reconciler, hours_pass: Travel, away: float
) -> None:
    busy = talks(env, 500)[:3]
    reconciler.look()
    hours_pass(24 * 3600.0)
    _looked(env, away)
    before = env.chatwoot.requests.total()
    assert reconciler.look() == 0
    assert env.chatwoot.requests.total() == before + 1
    for conversation in busy:
        env.chatwoot.agent_reply(conversation, "hi")
    before = env.chatwoot.requests.total()
    assert reconciler.look() == 3
    assert env.chatwoot.requests.total() == before + 1 + 3


def test_after_hours_however_many_conversations_are_asked_for_page_by_page_and_slowly(
    env: Env,
    reconciler: Reconciler,
    hours_pass: Travel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = talks(env, AT_ONCE + 10)
    reconciler.look()
    hours_pass(LAG + 10)
    reconciler.look()
    hours_pass(2 * 3600.0)
    for conversation in many:
        env.chatwoot.agent_reply(conversation, f"to {conversation}")
    before, pauses = env.chatwoot.requests.total(), list[float]()
    with monkeypatch.context() as without:
        # All in one answer; only what has changed meanwhile may be asked for so.
        without.setattr(Chatwoot, "recently_updated", lambda _, inbox, seconds: ())
        recovered = replace(reconciler, pause=pauses.append).look()
    assert recovered == len(many)
    assert env.chatwoot.requests.total() == before + 3 + len(many)
    assert pauses == [PAUSE] * 10
    assert reconciler.look() == 0
    env.drain()
    assert sorted(texts(env)) == sorted(f"to {conversation}" for conversation in many)


def test_a_conversation_that_goes_on_while_the_pages_are_read_is_not_passed_over(
    env: Env, reconciler: Reconciler, hours_pass: Travel, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = talks(env, 2 * CONVERSATIONS_PER_PAGE)
    reconciler.look()
    hours_pass(2 * 3600.0)
    for conversation in many:
        env.chatwoot.agent_reply(conversation, f"to {conversation}")
    hours_pass(LAG + 10)  # longer ago than the mark lags
    asked, listed = list[object](), Chatwoot._conversations

    def with_a_word_in_between(self: Chatwoot, query: Any) -> tuple[Conversation, ...]:
        found = listed(self, query)
        asked.append(query.get("page"))
        if query.get("page") == 1:  # the last one of all is now the first
            env.chatwoot.agent_reply(many[0], "and more")
        return found

    monkeypatch.setattr(Chatwoot, "_conversations", with_a_word_in_between)
    reconciler.look()
    hours_pass(LAG + 10)
    _looked(env, 60.0)
    reconciler.look()
    assert asked[:2] == [1, 2]
    env.drain()
    assert sorted(texts(env)) == sorted([*(f"to {each}" for each in many), "and more"])


def test_more_replies_than_one_page_holds_are_sent_in_order(
    env: Env, reconciler: Reconciler
) -> None:
    reconciler.look()
    for number in range(130):
        env.chatwoot.agent_reply(1, f"reply {number}")
    assert reconciler.look() == 130
    env.drain_until(lambda: env.count("delivered_out") == 130)
    assert texts(env) == [f"reply {number}" for number in range(130)]


def test_a_conversation_that_cannot_be_shown_keeps_no_others_from_being_looked_at(
    env: Env, reconciler: Reconciler
) -> None:
    others = talks(env, 2)
    reconciler.look()
    for number in (1, *others):
        env.chatwoot.agent_reply(number, f"to {number}")
    env.chatwoot.fault(
        "status", method="GET", path=f"*/{others[0]}/messages", status=500, times=None
    )
    for _ in range(2):
        with pytest.raises(ServerTrouble):
            reconciler.look()
    env.drain()
    assert sorted(texts(env)) == ["to 1", f"to {others[1]}"]
    env.chatwoot.clear_faults()
    assert reconciler.look() == 1


def test_a_chatwoot_that_shows_no_conversation_is_left_alone_soon(
    env: Env, reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = talks(env, BROKEN + 5)
    reconciler.look()
    for number in others:
        env.chatwoot.agent_reply(number, f"to {number}")
    asked: list[int] = []

    def broken(self: Chatwoot, conversation: int) -> tuple[Message, ...]:
        asked.append(conversation)
        raise ServerTrouble("500")

    with monkeypatch.context() as ill:
        ill.setattr(Chatwoot, "latest_messages", broken)
        with pytest.raises(ServerTrouble):
            reconciler.look()
    assert len(asked) == BROKEN + 1
    assert reconciler.look() == len(others)


def test_a_look_that_breaks_off_keeps_what_it_found_and_the_next_finds_the_rest(
    env: Env, reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = talks(env, 1)[0]
    reconciler.look()
    env.chatwoot.agent_reply(1, "one")
    env.chatwoot.agent_reply(other, "two")
    env.chatwoot.fault("drop", method="GET", path=f"*/{other}/messages")
    with pytest.raises(Unreachable):
        reconciler.look()
    found = env.count("accepted_out")
    assert found + reconciler.look() == 2
    env.drain()
    assert sorted(texts(env)) == ["one", "two"]


def test_a_look_that_broke_off_goes_on_where_it_was(
    env: Env, reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Chatwoot that answers two calls in three would never show twenty conversations in a row."""
    others = talks(env, 3)
    reconciler.look()
    for number in others:
        env.chatwoot.agent_reply(number, f"to {number}")
    asked: list[int] = []
    shown = Chatwoot.latest_messages

    def noted(self: Chatwoot, conversation: int) -> tuple[Message, ...]:
        asked.append(conversation)
        if len(asked) == len(others):
            raise Unreachable("closed the connection")
        return shown(self, conversation)

    monkeypatch.setattr(Chatwoot, "latest_messages", noted)
    with pytest.raises(Unreachable):
        reconciler.look()
    read, asked[:] = asked[:-1], [0, 0, 0, 0]
    env.chatwoot.agent_reply(read[0], "it goes on meanwhile")
    reconciler.look()
    assert read[0] in asked
    assert read[1] not in asked
    env.drain()
    assert len(texts(env)) == len(others) + 1


def test_a_conversation_deleted_between_two_calls_stops_nothing(
    env: Env, reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconciler.look()
    env.chatwoot.agent_reply(1, "one")
    listed = Chatwoot.recently_updated

    def with_a_ghost(self: Chatwoot, inbox: int, seconds: int) -> tuple[Conversation, ...]:
        found = listed(self, inbox, seconds)
        return (replace(found[0], id=99), *found)

    monkeypatch.setattr(Chatwoot, "recently_updated", with_a_ghost)
    assert reconciler.look() == 1


def test_what_was_deleted_is_not_sent(env: Env, reconciler: Reconciler) -> None:
    reconciler.look()
    env.chatwoot.agent_delete(env.chatwoot.agent_reply(1, "oops"))
    assert reconciler.look() == 0
    env.drain()
    assert texts(env) == []


def test_a_conversation_that_an_agent_began_meanwhile_is_found(
    env: Env, reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconciler.look()
    monkeypatch.setattr(env.network, "address", lambda to: to.phone)
    with env.chatwoot.store.changing():
        ada = create_contact(env.chatwoot.store, 1, {"name": "Ada", "phone_number": "+15551230001"})
    env.chatwoot.agent_start_conversation(ada.id, env.channel.config.inbox, "hello?")
    assert reconciler.look() == 1
    env.drain()
    assert [(part.peer, part.text) for part in env.network.sent] == [(PHONE, "hello?")]


def test_the_high_water_mark_lags_five_minutes_and_then_follows_any_message(
    env: Env, reconciler: Reconciler, hours_pass: Travel
) -> None:
    reconciler.look()
    env.chatwoot.agent_reply(1, "one")
    env.customer_writes("two")
    env.drain()
    reconciler.look()
    assert _mark(env) == 1
    hours_pass(LAG + 10)
    _looked(env, 60.0)
    reconciler.look()
    assert _mark(env) == env.chatwoot.messages(1)[-1]["id"]


def test_what_was_committed_out_of_order_is_not_left_behind(
    env: Env, reconciler: Reconciler
) -> None:
    reconciler.look()
    hidden = env.chatwoot.agent_reply(1, "slow to commit")
    row = env.chatwoot.store.messages.rows.pop(hidden)
    env.chatwoot.store.index()
    env.chatwoot.agent_reply(1, "faster")
    assert reconciler.look() == 1
    env.chatwoot.store.messages.rows[hidden] = row
    env.chatwoot.store.index()
    assert reconciler.look() == 1


def test_of_two_clocks_one_looks_and_the_other_goes_on_when_it_stops(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()
    one, two = (Reconciliation(env.settings, env.store, env.intake, stop) for _ in range(2))

    def once(timeout: float | None = None) -> bool:
        stop.set()
        return True

    monkeypatch.setattr(stop, "wait", once)
    one.run()
    before = env.chatwoot.requests.total()
    stop.clear()
    two.run()
    assert env.chatwoot.requests.total() == before
    assert 0 < env.store.pttl(keys.lock_reconciler("cards")) <= LEASE * 1000
    one.release_leases()
    stop.clear()
    two.run()
    assert env.chatwoot.requests.total() > before


def _mark(env: Env) -> int:
    mark = watermark_of(KeyValues(env.store), "cards")
    assert mark is not None
    return mark.message


def _looked(env: Env, ago: float) -> None:
    """The last look was so long ago."""
    known = json.loads(str(env.store.get(keys.watermark("cards"))))
    env.store.set(keys.watermark("cards"), json.dumps({**known, "looked": time.time() - ago}))


def _earlier(mark: str, seconds: float) -> str:
    known = json.loads(mark)
    return json.dumps({**known, "since": known["since"] - seconds})


def test_a_recovered_reply_is_no_longer_red(env: Env, reconciler: Reconciler) -> None:
    reconciler.look()
    number = env.chatwoot.agent_reply(1, "one")
    # The webhook found nobody: Chatwoot has marked the message.
    env.deliveries.chatwoots["main"].update_status(1, number, Status.FAILED, "no answer")
    assert reconciler.look() == 1
    env.drain()
    assert texts(env) == ["one"]
    assert env.shown(number)["status"] == "sent"


def test_a_bug_in_a_look_does_not_end_the_looks(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, looked = threading.Event(), Reconciler.look
    reconciliation = Reconciliation(env.settings, env.store, env.intake, stop)
    faults, seen = [KeyError("a bug")], list[int]()

    def faulty(self: Reconciler) -> int:
        if faults:
            raise faults.pop()
        stop.set()
        seen.append(looked(self))
        return 0

    monkeypatch.setattr(Reconciler, "look", faulty)
    monkeypatch.setattr(stop, "wait", lambda _: stop.is_set())
    reconciliation.run()
    assert seen == [0]


def test_what_a_fail_over_forgot_is_in_doubt_though_chatwoot_shows_it_as_failed(
    env: Env, reconciler: Reconciler
) -> None:
    reconciler.look()
    number = env.chatwoot.agent_reply(1, "one")
    env.shown(number)["status"] = "failed"
    assert reconciler.look() == 1
    env.store.delete(keys.message(f"o:cards:{number}"), keys.lane("out/cards/1"))
    run_script = Scripts(env.store)
    run_script("server_changed", "primary", "", 0)
    run_script("server_changed", "replica", "", 0)
    assert reconciler.look() == 1
    assert env.store.hget(keys.message(f"o:cards:{number}"), "uncertain") == "failover"


@pytest.mark.parametrize("wrong", [3600.0, -3600.0])
def test_a_clock_that_is_wrong_by_an_hour_loses_nothing_and_fails_nothing_as_too_old(
    env: Env, reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch, wrong: float
) -> None:
    right = time.time
    monkeypatch.setattr(api, "time", SimpleNamespace(time=lambda: right() + wrong))
    env.store.delete(keys.watermark("cards"))
    way = Chatwoot(env.chatwoot.url, 1, env.settings.accounts["main"].token)
    wrong_clock = replace(reconciler, chatwoot=way)
    assert wrong_clock.look() == 0
    env.chatwoot.agent_reply(1, "one")
    assert wrong_clock.look() == 1
    env.drain()
    assert texts(env) == ["one"]
    assert abs(way.now() - right()) < 3
