"""An agent presses Retry; Chatwoot marks a reply by itself: what the ledger makes of both."""

from __future__ import annotations

import pytest
import redis

from gateway.lanes import Entry, Lane, Lanes, Ledger, keys
from gateway.model import Receipt, Status
from tests.unit.lanes_kit import (
    UNLIMITED,
    claim,
    claim_one,
    counted,
    deletion,
    drained,
    lanes_over,
    lease_dies,
    ledger,
    reply,
    snapshot,
    taken,
)


def look(number: int) -> Entry:
    return Entry(
        f"l{number}", Lane("status", "shop", "7"), "chatwoot", "check_retry", f"new r{number}"
    )


def told(lanes: Lanes) -> str:
    """Chatwoot is told what became of a reply: «failed», and so on."""
    lease = claim_one(lanes)
    status = taken(lanes, lease).subject.status
    assert status is not None
    lanes.ack(lease, taken(lanes, lease).id, pace=UNLIMITED, told=status)
    return status


def sent(lanes: Lanes, *parts: str) -> None:
    """r5 is sent, in as many parts as are named."""
    lanes.append([reply(5)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    for number, external in enumerate(parts, start=1):
        lanes.record_part(lease, "r5", number, len(parts), [external])
    lanes.ack(lease, "r5", pace=UNLIMITED)


def failed_later(store: redis.Redis) -> Lanes:
    """The second of three parts failed by a receipt, and Chatwoot was told."""
    lanes = lanes_over(store)
    sent(lanes, "x1", "x2", "x3")
    Ledger(lanes.client).record_receipt("shop", Receipt(Status.DELIVERED, external_id="x1"))
    Ledger(lanes.client).record_receipt(
        "shop", Receipt(Status.FAILED, external_id="x2", reason="unreachable")
    )
    assert told(lanes) == "failed"
    return lanes


def buried(store: redis.Redis) -> Lanes:
    lanes = lanes_over(store)
    lanes.append([reply(5)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.bury(lease, "r5", "blocked", pace=UNLIMITED)
    return lanes


def test_what_failed_by_a_receipt_is_sent_again_and_nothing_else(store: redis.Redis) -> None:
    lanes = failed_later(store)
    assert Ledger(lanes.client).retry("r5", "new r5")
    again = taken(lanes, claim_one(lanes))
    assert (again.body, sorted(again.parts), again.replayed) == ("new r5", [1, 3], True)
    assert store.ttl(keys.message("r5")) == -1


def test_a_receipt_of_the_attempt_before_the_press_does_not_count(store: redis.Redis) -> None:
    lanes = failed_later(store)
    Ledger(lanes.client).retry("r5", "new r5")
    lease = claim_one(lanes)
    taken(lanes, lease)
    late = Receipt(Status.FAILED, external_id="x2", part="r5#2", reason="unreachable")
    assert Ledger(lanes.client).record_receipt("shop", late) == "noted"
    lanes.record_part(lease, "r5", 2, 3, ["x9"])
    Ledger(lanes.client).record_receipt("shop", late)
    lanes.ack(lease, "r5", pace=UNLIMITED)
    assert ledger(store, "r5")["status"] == "sent"
    Ledger(lanes.client).record_receipt("shop", Receipt(Status.DELIVERED, external_id="x9"))
    assert ledger(store, "r5")["receipt:2"] == "delivered"


def test_a_retry_needs_a_failure_that_chatwoot_was_told_of(store: redis.Redis) -> None:
    lanes = buried(store)
    assert not Ledger(lanes.client).retry("r5", "new r5")
    assert told(lanes) == "failed"
    Ledger(lanes.client).withdraw("r5", deletion(5))
    assert not Ledger(lanes.client).retry("r5", "new r5")
    assert not Ledger(lanes.client).retry("r6", "new r6")


def test_a_repeated_retry_and_a_second_one(store: redis.Redis) -> None:
    lanes = failed_later(store)
    assert Ledger(lanes.client).retry("r5", "new r5", nonce="n")
    before = snapshot(store)
    assert Ledger(lanes.client).retry("r5", "new r5", nonce="n")
    assert not Ledger(lanes.client).retry("r5", "new r5", nonce="another")
    assert snapshot(store) == before
    assert drained(lanes) == ["r5"]
    assert Ledger(lanes.client).retry("r5", "new r5", nonce="n")
    assert drained(lanes) == []


def test_a_retry_between_a_receipt_and_its_telling_waits_for_the_next_press(
    store: redis.Redis,
) -> None:
    lanes = failed_later(store)
    Ledger(lanes.client).record_receipt("shop", Receipt(Status.DELIVERED, external_id="x2"))
    Ledger(lanes.client).record_receipt("shop", Receipt(Status.DELIVERED, external_id="x3"))
    assert not Ledger(lanes.client).retry("r5", "new r5")
    assert drained(lanes) == ["s:r5"]


def test_a_failed_reply_is_looked_at_behind_what_is_still_to_be_told(store: redis.Redis) -> None:
    lanes = buried(store)
    assert Ledger(lanes.client).check_retry("r5", look(5))
    assert Ledger(lanes.client).check_retry("r5", look(5))
    assert drained(lanes) == ["s:r5", "l5"]


def test_one_never_seen_is_looked_at_unless_it_was_deleted(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    assert Ledger(lanes.client).check_retry("r5", look(5))
    Ledger(lanes.client).withdraw("r6", deletion(6))
    assert not Ledger(lanes.client).check_retry("r6", look(6))
    assert drained(lanes) == ["l5"]


@pytest.mark.parametrize("state", ["waiting", "sending", "sent", "delivered", "withdrawn"])
def test_one_that_did_not_fail_is_not_checked(store: redis.Redis, state: str) -> None:
    lanes = lanes_over(store)
    if state in {"waiting", "sending", "withdrawn"}:
        lanes.append([reply(5)])
    if state == "sending":
        taken(lanes, claim_one(lanes))
    if state == "withdrawn":
        Ledger(lanes.client).withdraw("r5", deletion(5))
    if state in {"sent", "delivered"}:
        sent(lanes, "x1")
    if state == "delivered":
        Ledger(lanes.client).record_receipt("shop", Receipt(Status.DELIVERED, external_id="x1"))
    assert not Ledger(lanes.client).check_retry("r5", look(5))
    assert not store.exists(keys.message("l5"))


def test_a_press_during_a_look_gets_a_look_of_its_own(store: redis.Redis) -> None:
    lanes = buried(store)
    assert told(lanes) == "failed"
    Ledger(lanes.client).check_retry("r5", look(5))
    lease = claim_one(lanes)
    assert taken(lanes, lease).id == "l5"
    for _ in range(2):
        assert Ledger(lanes.client).check_retry("r5", look(5))
    following = lanes.ack(lease, "l5", pace=UNLIMITED)
    assert following is not None
    assert (following.id, following.body) == ("l5:again", "new r5")
    assert lanes.ack(lease, following.id, pace=UNLIMITED) is None
    assert Ledger(lanes.client).check_retry("r5", look(5))
    assert drained(lanes) == ["l5"]


def test_a_repeated_suspicion(store: redis.Redis) -> None:
    lanes = buried(store)
    assert told(lanes) == "failed"
    assert Ledger(lanes.client).check_retry("r5", look(5), nonce="n")
    lease = claim_one(lanes)
    taken(lanes, lease)
    before = snapshot(store)
    assert Ledger(lanes.client).check_retry("r5", look(5), nonce="n")
    assert snapshot(store) == before
    assert lanes.ack(lease, "l5", pace=UNLIMITED) is None
    assert Ledger(lanes.client).check_retry("r5", look(5), nonce="n")
    assert drained(lanes) == []


def test_a_reply_that_chatwoot_marked_is_told_again(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    sent(lanes, "x1")
    assert claim(lanes) == []
    for _ in range(2):
        assert Ledger(lanes.client).record_marked_failed("r5") == "noted"
    assert told(lanes) == "sent"
    assert claim(lanes) == []
    assert counted(store, "status_sent") == 1


def test_one_marked_before_it_was_sent_is_told_once_it_is(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5)])
    assert Ledger(lanes.client).record_marked_failed("r5") == "noted"
    # While it waits it is set back too, in a lane of its own: before or after.
    assert drained(lanes)[-2:] == ["r5", "s:r5"]


def test_one_marked_by_chatwoot_and_given_up_gets_our_reason(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    Ledger(lanes.client).record_marked_failed("r5")
    lanes.bury(lease, "r5", "blocked", pace=UNLIMITED)
    assert told(lanes) == "failed"


def test_what_we_failed_ourselves_is_not_told_again(store: redis.Redis) -> None:
    lanes = buried(store)
    assert Ledger(lanes.client).record_marked_failed("r5") == "ours"
    assert told(lanes) == "failed"
    assert Ledger(lanes.client).record_marked_failed("r5") == "ours"
    assert Ledger(lanes.client).record_marked_failed("r6") == "unknown"
    assert claim(lanes) == []
    assert not store.exists(keys.message("r6"))


def test_a_mark_that_comes_while_a_status_is_told_is_told_over(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    sent(lanes, "x1")
    Ledger(lanes.client).record_receipt("shop", Receipt(Status.DELIVERED, external_id="x1"))
    lease = claim_one(lanes)
    assert taken(lanes, lease).subject.status == "delivered"
    Ledger(lanes.client).record_marked_failed("r5")
    following = lanes.ack(lease, "s:r5", pace=UNLIMITED, told="delivered", nonce="n")
    assert following is not None
    assert (following.id, following.subject.status) == ("s:r5", "delivered")
    assert lanes.ack(lease, "s:r5", pace=UNLIMITED, told="delivered") is None
    assert claim(lanes) == []


def test_a_look_whose_worker_dies_is_made_by_another(store: redis.Redis) -> None:
    lanes = buried(store)
    assert told(lanes) == "failed"
    Ledger(lanes.client).check_retry("r5", look(5))
    lease = claim_one(lanes)
    taken(lanes, lease)
    lease_dies(store, lease)
    assert drained(lanes) == ["l5"]
