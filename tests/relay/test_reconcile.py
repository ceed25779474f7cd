"""Replies whose webhook was lost are found, sent in order, and once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import pytest
import redis

from gateway.model import Status
from gateway.reconcile import Reconciler, Rounds
from tests.relay.house import House


@pytest.fixture
def reconciler(house: House) -> Reconciler:
    way = house.deliveries.chatwoots["main"]
    return Reconciler(house.channel, way, house.lanes, house.intake)


@pytest.fixture(autouse=True)
def somebody_wrote(house: House) -> None:
    house.customer_writes("hello")
    house.drain()


def wait_for(come_about: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not come_about():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def texts(house: House) -> list[str]:
    return [part.text for part in house.network.sent]


def test_what_was_written_while_the_gateway_was_away_is_sent_once_and_in_order(
    house: House, reconciler: Reconciler
) -> None:
    reconciler.look()
    house.chatwoot.agent_reply(1, "one")
    house.chatwoot.agent_reply(1, "between us", private=True)
    house.chatwoot.agent_reply(1, "two")
    assert reconciler.look() == 2
    assert reconciler.look() == 0
    house.drain()
    assert texts(house) == ["one", "two"]


def test_a_clock_that_stops_lets_the_next_one_look_at_once(
    house: House, store: redis.Redis
) -> None:
    rounds, stop = Rounds(house.settings, house.lanes, house.intake), threading.Event()
    thread = threading.Thread(target=rounds.run, args=(stop,))
    thread.start()
    key = f"gw:reconciler:{house.channel.name}"
    wait_for(lambda: bool(store.exists(key)))
    rounds.let_go()
    assert not store.exists(key)
    stop.set()
    thread.join()


def test_what_came_by_webhook_is_not_sent_again(house: House, reconciler: Reconciler) -> None:
    reconciler.look()
    house.agent_replies("one")
    house.drain()
    assert reconciler.look() == 0
    house.drain()
    assert texts(house) == ["one"]


def test_what_was_written_before_the_gateway_came_is_left_alone(
    house: House, reconciler: Reconciler
) -> None:
    house.chatwoot.agent_reply(1, "long ago")
    assert reconciler.look() == 0
    assert reconciler.look() == 0
    house.drain()
    assert texts(house) == []


def test_a_lost_mark_becomes_now(house: House, reconciler: Reconciler) -> None:
    reconciler.look()
    house.chatwoot.agent_reply(1, "one")
    house.store.delete("gw:reconciled:cards")
    assert reconciler.look() == 0
    house.drain()
    assert texts(house) == []


def test_a_reply_missed_for_too_long_is_failed_not_sent(
    house: House, reconciler: Reconciler
) -> None:
    reconciler.look()
    number = house.chatwoot.agent_reply(1, "stale")
    house.chatwoot.store.messages.get(number).created_at -= 2 * 3600
    mark = house.store.get("gw:reconciled:cards")
    house.store.set("gw:reconciled:cards", _earlier(str(mark), 3 * 3600))
    assert reconciler.look() == 1
    house.drain()
    assert texts(house) == []
    assert house.shown(number)["status"] == "failed"


def test_quiet_conversations_cost_one_call(
    house: House, reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconciler.look()
    now = house.chatwoot.store.now
    monkeypatch.setattr(house.chatwoot.store, "now", lambda: now() + 3600)
    before = house.chatwoot.requests.total()
    reconciler.look()
    assert house.chatwoot.requests.total() == before + 1


def _earlier(mark: str, seconds: float) -> str:
    known = json.loads(mark)
    return json.dumps({**known, "since": known["since"] - seconds})


def test_a_recovered_reply_is_no_longer_red(house: House, reconciler: Reconciler) -> None:
    reconciler.look()
    number = house.chatwoot.agent_reply(1, "one")
    # The webhook found nobody: Chatwoot has marked the message.
    house.deliveries.chatwoots["main"].update_status(1, number, Status.FAILED, "no answer")
    assert reconciler.look() == 1
    house.drain()
    assert texts(house) == ["one"]
    assert house.shown(number)["status"] == "sent"
