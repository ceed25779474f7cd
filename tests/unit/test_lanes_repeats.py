"""Every script answers the same when it is repeated, and does nothing twice.

redis-py repeats a command whose answer was lost; each test does the same, and most let an older
message slip in between, which is then the lane's head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis

from gateway.lanes import (
    DeadLetters,
    Lane,
    Lanes,
    Lease,
    LeaseVoid,
    Ledger,
    Locks,
    Note,
    Pace,
    Taken,
    keys,
)
from gateway.model import Rate, Receipt, Status
from gateway.storage.connections import connect
from tests.unit.lanes_kit import (
    LEASE,
    UNLIMITED,
    claim,
    claim_one,
    counted,
    deletion,
    drained,
    lanes_over,
    ledger,
    letter,
    reply,
    snapshot,
    taken,
)

Step = Callable[[Lanes, Lease], Any]
NOTE = Note("n1", Lane("status", "shop", "7"), "chatwoot", "was not delivered")
SLOW = Pace(destination=Rate(1, seconds=1000))


def timeless(answer: Any) -> Any:
    return replace(answer, age=0, since_announced=0) if isinstance(answer, Taken) else answer


def started(store: redis.Redis, *numbers: int) -> tuple[Lanes, Lease]:
    """Replies wait in one lane, which is claimed, and its head taken."""
    lanes = lanes_over(store)
    lanes.append(reply(n) for n in numbers)
    lease = claim_one(lanes)
    taken(lanes, lease)
    return lanes, lease


STEPS: dict[str, Step] = {
    "mark": lambda lanes, lease: lanes.announce(lease, "r5", "there", nonce="n"),
    "mark, paced": lambda lanes, lease: lanes.announce(
        lease, "r5", "there", pace=Pace(lane=Rate(1, seconds=1000)), nonce="n"
    ),
    "progress": lambda lanes, lease: lanes.record_part(lease, "r5", 1, 2, ["x1"]),
    "ack": lambda lanes, lease: lanes.ack(lease, "r5", pace=UNLIMITED, nonce="n"),
    "ack, slow": lambda lanes, lease: lanes.ack(lease, "r5", pace=SLOW, nonce="n"),
    "ack and stop": lambda lanes, lease: lanes.ack(
        lease, "r5", pace=UNLIMITED, after="stop", nonce="n"
    ),
    "defer": lambda lanes, lease: lanes.defer(
        lease, "r5", 9, error="busy", certainty="uncertain", trouble="down", nonce="n"
    ),
    "defer, refused": lambda lanes, lease: lanes.defer(
        lease, "r5", 9, trouble="refused", nonce="n"
    ),
    "bury": lambda lanes, lease: lanes.bury(
        lease, "r5", "blocked", pace=UNLIMITED, note=NOTE, nonce="n"
    ),
    "bury and stop": lambda lanes, lease: lanes.bury(
        lease, "r5", "blocked", pace=UNLIMITED, after="stop", note=NOTE, nonce="n"
    ),
    "release": lambda lanes, lease: lanes.release(lease, "r5", seconds=3),
    "renew": lambda lanes, lease: lanes.renew([lease], seconds=LEASE),
    "withdraw": lambda lanes, lease: Ledger(lanes.client).withdraw("r5", deletion(5), nonce="n"),
    "withdraw, waiting": lambda lanes, lease: Ledger(lanes.client).withdraw(
        "r8", deletion(8), nonce="n"
    ),
    "withdraw, unknown": lambda lanes, lease: Ledger(lanes.client).withdraw(
        "r6", deletion(6), nonce="n"
    ),
    "receipt, parked": lambda lanes, lease: Ledger(lanes.client).record_receipt(
        "shop", Receipt(Status.DELIVERED, external_id="x9")
    ),
    "lock": lambda lanes, lease: Locks(lanes.client).lock(
        keys.lock_poller("mail"), "me", seconds=9
    ),
    "append": lambda lanes, lease: lanes.append([reply(9), reply(5), reply(9)], nonce="n"),
}
KEEPS_TIME = {"renew"}


@pytest.mark.parametrize("name", STEPS)
def test_a_repeated_step_changes_nothing_and_answers_the_same(
    store: redis.Redis, name: str
) -> None:
    lanes, lease = started(store, 5, 8)
    first = STEPS[name](lanes, lease)
    after_first = snapshot(store)
    assert timeless(STEPS[name](lanes, lease)) == timeless(first)
    after_second = snapshot(store)
    for state in (after_first, after_second) if name in KEEPS_TIME else ():
        state.pop(keys.due("shop"))
    assert after_second == after_first


@pytest.mark.parametrize("name", [name for name in STEPS if name != "append"])
def test_an_older_message_between_a_step_and_its_repetition_stays_untouched(
    store: redis.Redis, name: str
) -> None:
    lanes, lease = started(store, 5, 8)
    first = STEPS[name](lanes, lease)
    lanes.append([reply(3)])
    before = snapshot(store)
    assert timeless(STEPS[name](lanes, lease)) == timeless(first)
    after = snapshot(store)
    for state in (before, after) if name in KEEPS_TIME else ():
        state.pop(keys.due("shop"))
    assert after == before
    assert ledger(store, "r3")["state"] == "waiting"
    assert "attempts" not in ledger(store, "r3")


def test_a_repeated_take_hands_out_the_same_message(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5)])
    lease = claim_one(lanes)
    first = taken(lanes, lease, nonce="n")
    lanes.append([reply(3)])  # the head now
    before = snapshot(store)
    assert timeless(taken(lanes, lease, nonce="n")) == timeless(first)
    assert snapshot(store) == before
    assert first.attempts == 1


def test_a_repeated_take_of_a_lane_that_must_wait(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5, conversation="1"), reply(6, conversation="2")])
    first, second = claim(lanes)
    taken(lanes, first, pace=SLOW)
    assert lanes.take(second, pace=SLOW, nonce="n") is None
    before = snapshot(store)
    assert lanes.take(second, pace=SLOW, nonce="n") is None
    assert snapshot(store) == before


def test_a_repeated_mark_that_must_wait(store: redis.Redis) -> None:
    lanes, lease = started(store, 5)
    lanes.announce(lease, "r5", "there", pace=SLOW)
    assert lanes.announce(lease, "r5", "there", pace=SLOW, nonce="n") == "wait"
    before = snapshot(store)
    assert lanes.announce(lease, "r5", "there", pace=SLOW, nonce="n") == "wait"
    assert snapshot(store) == before
    assert ledger(store, "r5")["attempts"] == "0"


def test_a_repeated_claim_gets_the_same_lanes(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1, peer="ann"), letter(2, peer="bob"), letter(3, peer="cid")])
    first = claim(lanes, most=2, token="t")
    before = snapshot(store)
    assert claim(lanes, most=2, token="t") == first
    assert snapshot(store) == before
    assert len(first) == 2


def test_a_repeated_append_is_new_even_if_the_message_is_gone_already(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    assert lanes.append([letter(1)], nonce="n").outcomes == ("new",)
    assert drained(lanes) == ["m1"]
    before = snapshot(store)
    assert lanes.append([letter(1)], nonce="n").outcomes == ("new",)
    assert lanes.append([letter(1)], nonce="another").outcomes == ("duplicate",)
    assert snapshot(store) == before


def test_a_repeated_ack_does_not_acknowledge_the_status_that_moved_on(store: redis.Redis) -> None:
    """The status comes back under the same id, behind another: it has not been told yet."""
    lanes, lease = started(store, 5, 8)
    for number in (5, 8):
        lanes.record_part(lease, f"r{number}", 1, 1, [f"x{number}"])
        lanes.ack(lease, f"r{number}", pace=UNLIMITED)
        Ledger(lanes.client).record_receipt(
            "shop", Receipt(Status.DELIVERED, external_id=f"x{number}")
        )
    status = claim_one(lanes)
    assert taken(lanes, status).id == "s:r5"
    Ledger(lanes.client).record_receipt("shop", Receipt(Status.READ, external_id="x5"))
    for _ in range(2):
        following = lanes.ack(status, "s:r5", pace=UNLIMITED, told="delivered", nonce="n")
        assert following is not None
        assert following.id == "s:r8"
    assert store.zrange(keys.lane("status/shop/7"), 0, -1) == ["s:r8", "s:r5"]


@pytest.mark.parametrize("step", ["replay", "drop"])
def test_a_repeated_replay_or_drop(store: redis.Redis, step: str) -> None:
    lanes, lease = started(store, 5)
    lanes.bury(lease, "r5", "blocked", pace=UNLIMITED)
    act = getattr(DeadLetters(store), step)
    assert act("r5", nonce="n")
    before = snapshot(store)
    assert act("r5", nonce="n")
    assert not act("r5", nonce="another")
    assert snapshot(store) == before


@pytest.mark.parametrize("receipt", list(Status))
def test_a_repeated_receipt(store: redis.Redis, receipt: Status) -> None:
    lanes, lease = started(store, 5)
    lanes.record_part(lease, "r5", 1, 1, ["x5"])
    word = Receipt(receipt, external_id="x5", reason="why")
    assert Ledger(lanes.client).record_receipt("shop", word) == "noted"
    before = snapshot(store)
    assert Ledger(lanes.client).record_receipt("shop", word) == "noted"
    assert snapshot(store) == before


def test_a_real_client_that_loses_the_answer_of_every_script_delivers_each_once(
    redis_url: str, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect(redis_url, connections=1, retries=1)
    lanes = lanes_over(client)
    lanes.append(reply(n) for n in (2, 1, 3))
    assert drained(lanes) == ["r1", "r2", "r3"]  # the scripts are known to the server now
    monkeypatch.setattr(redis.Connection, "read_response", _losing(redis.Connection.read_response))
    monkeypatch.setattr(
        redis.UnixDomainSocketConnection,
        "read_response",
        _losing(redis.UnixDomainSocketConnection.read_response),
    )
    lanes.append(reply(n) for n in (12, 11, 13))
    assert drained(lanes) == ["r11", "r12", "r13"]
    client.close()
    monkeypatch.undo()
    assert counted(store, "delivered_out") == 6
    assert counted(store, "accepted_out") == 6
    assert counted(store, "uncertain") == 0


def _losing(read: Callable[..., Any]) -> Callable[..., Any]:
    """Every second answer gets lost after the command had its effect."""
    turn = iter(range(1_000_000))

    def lossy(self: Any, *args: Any, **options: Any) -> Any:
        answer = read(self, *args, **options)
        if isinstance(answer, list | int) and next(turn) % 2 == 0:
            raise redis.ConnectionError("the answer was lost")
        return answer

    return lossy


def test_void_is_no_answer_that_is_kept(store: redis.Redis) -> None:
    lanes, lease = started(store, 5)
    with pytest.raises(LeaseVoid):
        lanes.take(replace(lease, token="another"), pace=UNLIMITED)
    assert ledger(store, "r5")["attempts"] == "1"
