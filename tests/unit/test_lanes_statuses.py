"""What becomes of a reply: receipts, the status lane, and what Chatwoot is told."""

from __future__ import annotations

from itertools import permutations

import pytest
import redis

from gateway.lanes import Lanes, Ledger, Taken, keys
from gateway.model import Receipt, Status
from tests.unit.lanes_kit import (
    UNLIMITED,
    claim,
    claim_one,
    counted,
    lanes_over,
    ledger,
    reply,
    taken,
)

STATUS_LANE = keys.lane("status/shop/7")


def sent(store: redis.Redis, parts: int = 1) -> Lanes:
    """Reply r5 was sent; its parts are known as x1, x2 …"""
    lanes = lanes_over(store)
    lanes.append([reply(5)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    for number in range(1, parts + 1):
        lanes.record_part(lease, "r5", number, parts, [f"x{number}"])
    lanes.ack(lease, "r5", pace=UNLIMITED, after="stop")
    return lanes


def receive(lanes: Lanes, *words: str, part: int = 1) -> None:
    for word in words:
        Ledger(lanes.client).record_receipt(
            "shop", Receipt(Status(word), external_id=f"x{part}", reason=word)
        )


def status(store: redis.Redis) -> str | None:
    return ledger(store, "r5").get("status")


def tell(lanes: Lanes) -> Taken:
    """Tell Chatwoot the newest status of the only reply."""
    (lease,) = (lease for lease in claim(lanes) if lease.lane.direction == "status")
    item = taken(lanes, lease)
    lanes.ack(lease, item.id, pace=UNLIMITED, after="stop", told=item.subject.status or "")
    return item


def test_a_reply_that_was_sent_is_not_told_again(store: redis.Redis) -> None:
    """Chatwoot shows «sent» by itself."""
    lanes = sent(store)
    assert status(store) == "sent"
    assert claim(lanes) == []


def expected(words: tuple[str, ...]) -> str:
    """The rule in other words: the furthest counts; a failure only if nothing went further."""
    reached = [word for word in words if word in {"delivered", "read"}]
    if reached:
        return "read" if "read" in reached else "delivered"
    return "failed" if "failed" in words else "sent"


ORDERS = [
    order
    for n in (1, 2, 3, 4)
    for order in permutations(("sent", "delivered", "read", "failed"), n)
]


@pytest.mark.parametrize("words", ORDERS, ids="-".join)
def test_receipts_in_any_order(store: redis.Redis, words: tuple[str, ...]) -> None:
    lanes = sent(store)
    receive(lanes, *words)
    assert status(store) == expected(words)
    told = tell(lanes).subject.status if claim_is_due(store) else "sent"
    assert told == expected(words)
    assert claim(lanes) == []


def claim_is_due(store: redis.Redis) -> bool:
    return bool(store.exists(STATUS_LANE))


def test_a_reply_of_several_parts_is_what_all_its_parts_are(store: redis.Redis) -> None:
    lanes = sent(store, parts=3)
    receive(lanes, "read", part=1)
    receive(lanes, "delivered", part=3)
    assert status(store) == "sent"
    assert claim(lanes) == []
    receive(lanes, "delivered", part=2)
    assert status(store) == "delivered"
    receive(lanes, "read", part=2)
    receive(lanes, "read", part=3)
    assert status(store) == "read"


def test_one_failed_part_fails_the_reply_with_its_reason(store: redis.Redis) -> None:
    lanes = sent(store, parts=2)
    receive(lanes, "failed", part=2)
    receive(lanes, "delivered", part=1)
    assert tell(lanes).subject.status == "failed"
    assert ledger(store, "r5")["reason"] == "failed"


def test_an_older_word_of_a_part_never_replaces_a_newer_one(store: redis.Redis) -> None:
    lanes = sent(store, parts=2)
    receive(lanes, "read", "delivered", "failed", part=1)
    receive(lanes, "read", part=2)
    assert status(store) == "read"


def test_a_reply_that_was_delivered_does_not_fail_when_we_give_up_on_it(
    store: redis.Redis,
) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.record_part(lease, "r5", 1, 1, ["x1"])
    receive(lanes, "delivered")
    lanes.bury(lease, "r5", "three workers died", pace=UNLIMITED)
    assert tell(lanes).subject.status == "delivered"


def test_a_newer_word_waits_in_the_place_of_the_older(store: redis.Redis) -> None:
    lanes = sent(store)
    receive(lanes, "delivered")
    lanes.append([reply(8)])
    (lease,) = (lease for lease in claim(lanes) if lease.lane.direction == "out")
    taken(lanes, lease)
    lanes.bury(lease, "r8", "blocked", pace=UNLIMITED)
    receive(lanes, "read")
    assert store.zrange(STATUS_LANE, 0, -1) == ["s:r5", "s:r8"]


def test_many_receipts_make_one_item(store: redis.Redis) -> None:
    lanes = sent(store)
    receive(lanes, "failed", "delivered", "sent", "read", "delivered")
    assert store.zrange(STATUS_LANE, 0, -1) == ["s:r5"]
    assert tell(lanes).subject.status == "read"
    assert claim(lanes) == []
    assert counted(store, "receipts") == 5


def test_a_status_that_moves_on_while_it_is_told_is_told_again(store: redis.Redis) -> None:
    lanes = sent(store)
    receive(lanes, "delivered")
    lease = claim_one(lanes)
    taken(lanes, lease)
    receive(lanes, "read")
    again = lanes.ack(lease, "s:r5", pace=UNLIMITED, told="delivered")
    assert again is not None
    assert (again.id, again.subject.status, again.subject.shown) == (
        "s:r5",
        "read",
        "delivered",
    )
    assert (again.attempts, again.uncertain) == (1, False)
    assert lanes.ack(lease, "s:r5", pace=UNLIMITED, told="read") is None
    assert ledger(store, "r5")["shown"] == "read"


def test_what_chatwoot_shows_already_is_not_told(store: redis.Redis) -> None:
    lanes = sent(store)
    receive(lanes, "delivered")
    tell(lanes)
    receive(lanes, "delivered", "sent")
    assert claim(lanes) == []


def test_a_receipt_before_its_id_is_known_is_parked_and_picked_up(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    word = Receipt(Status.DELIVERED, external_id="x1")
    assert Ledger(lanes.client).record_receipt("shop", word) == "parked"
    assert 0 < int(store.ttl(keys.parked("shop", "x1"))) <= 86_400
    assert Ledger(lanes.client).record_receipt("another channel", word) == "parked"
    lanes.record_part(lease, "r5", 1, 1, ["x1"])
    assert not store.exists(keys.parked("shop", "x1"))
    assert store.exists(keys.parked("another channel", "x1"))
    assert status(store) == "delivered"
    lanes.ack(lease, "r5", pace=UNLIMITED)
    assert status(store) == "delivered"
    assert tell(lanes).subject.status == "delivered"


def test_a_receipt_may_name_our_own_part(store: redis.Redis) -> None:
    lanes = sent(store)
    assert Ledger(lanes.client).record_receipt("shop", Receipt(Status.READ, part="r5#1")) == "noted"
    assert status(store) == "read"


@pytest.mark.parametrize("part", ["r5", "r5#", "r5#x", "r6#1", "#1"])
def test_a_part_that_is_none_of_ours_is_not_noted(store: redis.Redis, part: str) -> None:
    lanes = sent(store)
    assert Ledger(lanes.client).record_receipt("shop", Receipt(Status.READ, part=part)) == "parked"
    assert (
        Ledger(lanes.client).record_receipt("another channel", Receipt(Status.READ, part="r5#1"))
        == "parked"
    )
    assert status(store) == "sent"


def test_a_receipt_that_overtakes_the_number_of_parts_waits_for_it(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    assert (
        Ledger(lanes.client).record_receipt("shop", Receipt(Status.DELIVERED, part="r5#1"))
        == "noted"
    )
    assert status(store) is None
    lanes.record_part(lease, "r5", 1, 2, ["x1"])
    assert status(store) == "sent"
    lanes.record_part(lease, "r5", 2, 2, ["x2"])
    lanes.ack(lease, "r5", pace=UNLIMITED)
    receive(lanes, "delivered", part=2)
    assert status(store) == "delivered"


def test_a_failure_that_overtakes_the_number_of_parts_keeps_its_reason(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    Ledger(lanes.client).record_receipt(
        "shop", Receipt(Status.FAILED, part="r5#1", reason="number not in service")
    )
    lanes.record_part(lease, "r5", 1, 1, ["x1"])
    lanes.ack(lease, "r5", pace=UNLIMITED)
    item = tell(lanes)
    assert item.subject.status == "failed"
    assert item.subject.reason == "number not in service"


def test_a_buried_reply_is_told_as_failed_with_its_reason(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.bury(lease, "r5", "blocked you", pace=UNLIMITED)
    item = tell(lanes)
    assert (item.subject.status, item.subject.reason) == ("failed", "blocked you")


def test_statuses_never_hold_up_replies(store: redis.Redis) -> None:
    lanes = sent(store)
    receive(lanes, "delivered")
    lanes.append([reply(6)])
    assert {str(lease.lane) for lease in claim(lanes)} == {"status/shop/7", "out/shop/7"}


def test_a_status_that_could_not_be_told_makes_way_for_the_next(store: redis.Redis) -> None:
    lanes = sent(store)
    receive(lanes, "delivered")
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.bury(lease, "s:r5", "conversation is gone", pace=UNLIMITED)
    assert store.xlen(keys.DEAD_LETTERS) == 1
    receive(lanes, "read")
    assert store.xlen(keys.DEAD_LETTERS) == 0
    assert tell(lanes).subject.status == "read"


def test_a_status_told_of_a_reply_that_was_forgotten_leaves_nothing_behind(
    store: redis.Redis,
) -> None:
    lanes = sent(store)
    receive(lanes, "delivered")
    store.delete(keys.message("r5"))
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.ack(lease, "s:r5", pace=UNLIMITED, told="delivered")
    assert not store.exists(keys.message("r5"))


def test_the_reply_behind_a_network_s_id_is_found(store: redis.Redis) -> None:
    lanes = sent(store, parts=2)
    assert Ledger(lanes.client).reply_of("shop", "x2") == "r5"
    assert Ledger(lanes.client).reply_of("shop", "x3") == ""
    assert Ledger(lanes.client).reply_of("another channel", "x2") == ""
