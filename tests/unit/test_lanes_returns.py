"""After a web process has returned replies wait for a look, and not for ever."""

from __future__ import annotations

import pytest
import redis

from gateway.lanes import keys
from gateway.lanes.returns import LONGEST_HOLD, Missed, Returns
from tests.unit.lanes_kit import UNLIMITED, claim, claim_one, drained, lanes_over, letter, reply

SHOP = "channel/shop"
ALL = [Missed("shop", look=True, catch_up=True)]


@pytest.fixture
def returns(store: redis.Redis) -> Returns:
    return Returns(store)


def hold_ends(store: redis.Redis) -> None:
    """The longest time has passed."""
    assert 0 < store.pttl(keys.hold(SHOP)) <= LONGEST_HOLD * 1000
    store.delete(keys.hold(SHOP))


def test_replies_wait_until_the_look_is_done(store: redis.Redis, returns: Returns) -> None:
    lanes = lanes_over(store)
    returns.record("first", ALL)
    lanes.append([reply(2, destination=SHOP)])
    assert drained(lanes) == []
    assert not lanes.pending()
    lanes.append([reply(1, destination=SHOP)])  # the look finds it
    returns.end_look("shop", returns.wanted_look("shop"))
    assert lanes.pending()
    assert drained(lanes) == ["r1", "r2"]
    assert returns.wanted_look("shop") == ""


def test_nothing_else_waits(store: redis.Redis, returns: Returns) -> None:
    lanes = lanes_over(store)
    returns.record("first", ALL)
    other = reply(1, conversation="8", destination="channel/other")
    lanes.append([reply(2, destination=SHOP), other, letter(1)])
    assert sorted(drained(lanes)) == ["m1", "r1"]


def test_whoever_asks_for_work_is_told_when_the_wait_ends(
    store: redis.Redis, returns: Returns
) -> None:
    lanes = lanes_over(store)
    returns.record("first", ALL)
    lanes.append([reply(1, destination=SHOP)])
    answer = lanes.claim(9, seconds=60, most_each=9, at_work={}, token="t")
    assert answer.next_due is not None
    assert LONGEST_HOLD - 5 < answer.next_due <= LONGEST_HOLD


def test_a_lane_that_is_being_worked_on_is_given_back(store: redis.Redis, returns: Returns) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(1, destination=SHOP), reply(3, destination=SHOP)])
    lease = claim_one(lanes)
    message = lanes.take(lease, pace=UNLIMITED)
    assert message is not None
    returns.record("first", ALL)
    lanes.append([reply(2, destination=SHOP)])
    assert lanes.ack(lease, message.id, pace=UNLIMITED) is None
    assert claim(lanes) == []
    returns.end_look("shop", "first")
    assert drained(lanes) == ["r2", "r3"]


def test_without_a_look_they_go_in_the_end(store: redis.Redis, returns: Returns) -> None:
    lanes = lanes_over(store)
    returns.record("first", ALL)
    lanes.append([reply(1, destination=SHOP)])
    hold_ends(store)
    assert drained(lanes) == ["r1"]
    assert returns.wanted_look("shop") == "first"


def test_returns_one_after_the_other_do_not_hold_them_for_ever(
    store: redis.Redis, returns: Returns
) -> None:
    lanes = lanes_over(store)
    returns.record("first", ALL)
    lanes.append([reply(1, destination=SHOP)])
    store.pexpire(keys.hold(SHOP), 3000)
    returns.record("second", ALL)
    assert store.pttl(keys.hold(SHOP)) <= 3000
    hold_ends(store)
    returns.record("third", ALL)
    assert drained(lanes) == ["r1"]


def test_a_look_that_began_before_the_return_is_not_enough(
    store: redis.Redis, returns: Returns
) -> None:
    lanes = lanes_over(store)
    returns.record("first", ALL)
    began = returns.wanted_look("shop")
    returns.record("second", ALL)
    lanes.append([reply(1, destination=SHOP)])
    returns.end_look("shop", began)
    assert drained(lanes) == []
    returns.end_look("shop", "second")
    assert drained(lanes) == ["r1"]


def test_after_a_look_the_next_return_holds_them_again(
    store: redis.Redis, returns: Returns
) -> None:
    lanes = lanes_over(store)
    returns.record("first", ALL)
    returns.end_look("shop", "first")
    returns.record("second", ALL)
    lanes.append([reply(1, destination=SHOP)])
    assert drained(lanes) == []


def test_a_channel_that_misses_nothing_is_left_alone(store: redis.Redis, returns: Returns) -> None:
    """Its replies come by the event stream, and its network cannot be asked."""
    returns.record("first", [Missed("shop", look=False, catch_up=False)])
    assert returns.wanted_look("shop") == returns.wanted_catch_up("shop") == ""
    assert not store.exists(keys.hold(SHOP))


def test_the_network_is_asked_once_for_each_return(returns: Returns) -> None:
    returns.record("first", ALL)
    returns.record("second", ALL)
    returns.end_catch_up("shop", "first")
    assert returns.wanted_catch_up("shop") == "second"
    returns.end_catch_up("shop", "second")
    assert returns.wanted_catch_up("shop") == ""


def test_nothing_of_it_stays(store: redis.Redis, returns: Returns) -> None:
    returns.record("first", ALL)
    made = [keys.hold(SHOP), keys.look_wanted("shop"), keys.catch_up_wanted("shop")]
    assert sorted(set(store.scan_iter("*")) - {keys.CLOCK}) == sorted(made)
    assert all(store.pttl(key) > 0 for key in made)
