"""What is left in Redis: a full one empties, and nothing that is finished stays for ever."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from importlib.resources import files
from typing import cast

import pytest
import redis

from gateway.lanes import (
    Backlog,
    Brake,
    DeadLetters,
    Entry,
    KeyValues,
    Lane,
    Lanes,
    Ledger,
    Locks,
    Note,
    Pace,
    Routes,
    bodies,
    ids,
    keys,
)
from gateway.lanes.address_changes import AddressChange, AddressChanges
from gateway.lanes.route import Route
from gateway.model import LONGEST_NAME, Inbound, Rate, Receipt, Status
from tests.unit.lanes_kit import (
    PASSING,
    UNLIMITED,
    claim,
    claim_one,
    deletion,
    drained,
    lanes_over,
    letter,
    reply,
    server_time,
    taken,
)

NOTE = Note("n1", Lane("status", "shop", "7"), "chatwoot", "note")
LANES = files("gateway.lanes")
SCRIPTS = sorted(file.name for file in LANES.iterdir() if file.name.endswith(".lua"))


@pytest.fixture
def full(store: redis.Redis) -> Iterator[Lanes]:
    """Messages wait, and then Redis is full."""
    lanes = lanes_over(store)
    lanes.append(letter(n) for n in range(5))
    lanes.append([reply(5)])
    store.config_set("maxmemory", "1")
    yield lanes
    store.config_set("maxmemory", "0")


def test_a_full_redis_takes_nothing_more(full: Lanes, store: redis.Redis) -> None:
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        full.append([letter(9)])
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        Ledger(full.client).withdraw("r5", deletion(5))
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        Ledger(full.client).record_receipt("shop", Receipt(Status.SENT, external_id="x"))
    assert not store.exists(keys.message("m9"))


def test_a_full_redis_empties(full: Lanes) -> None:
    leases = {lease.lane.direction: lease for lease in claim(full)}
    out, inward = leases["out"], leases["in"]
    taken(full, out)
    full.announce(out, "r5", "there")
    full.record_part(out, "r5", 1, 1, ["x1"])
    full.ack(out, "r5", pace=UNLIMITED)
    taken(full, inward)
    full.ack(inward, "m0", pace=UNLIMITED)
    full.bury(inward, "m1", "no", pace=UNLIMITED, note=NOTE)
    full.renew([inward], seconds=60)
    full.defer(inward, "m2", 0, error="busy")
    for lease in claim(full):
        full.release(lease)
    assert DeadLetters(full.client).drop("m1")
    assert sorted(drained(full)) == ["m2", "m3", "m4", "n1"]
    assert Backlog(full.client).read().oldest == {}


def test_in_a_full_redis_it_is_known_where_a_reply_goes(store: redis.Redis) -> None:
    moves = AddressChanges(KeyValues(store))
    moves.record("shop", "old", AddressChange(7, "new"))
    store.expire(keys.address_change("shop", "old"), 60)
    store.config_set("maxmemory", "1")
    try:
        assert moves.find("shop", "old") == AddressChange(7, "new")
        assert moves.find("shop", "never moved") is None
    finally:
        store.config_set("maxmemory", "0")
    assert int(store.ttl(keys.address_change("shop", "old"))) > 60  # a reply needed it


def test_nothing_that_is_finished_stays_for_ever(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(9, conversation="8")])
    assert drained(lanes) == ["r9"]
    lanes.append([letter(1), letter(2), reply(5), reply(6), reply(8)])
    Ledger(lanes.client).withdraw("r6", deletion(6))
    Ledger(lanes.client).withdraw("r7", deletion(7))
    Locks(lanes.client).lock(keys.lock_poller("mail"), "me", seconds=9)
    pace = Pace(lane=Rate(1000, burst=99))
    out, inward = sorted(claim(lanes), key=lambda lease: lease.lane.direction, reverse=True)
    taken(lanes, out, pace=pace)
    lanes.record_part(out, "r5", 1, 1, ["x5"])
    Ledger(lanes.client).record_receipt("shop", Receipt(Status.READ, external_id="x5"))
    Ledger(lanes.client).record_receipt("shop", Receipt(Status.READ, external_id="never known"))
    routes = {Lane("out", "shop", "7"): Route(thread="t"), inward.lane: Route(conversation=7)}
    lanes.ack(out, "r5", pace=pace, routes=routes, after="stop")
    Ledger(lanes.client).withdraw("r5", deletion(5))
    taken(lanes, inward)
    lanes.bury(inward, "m1", "no", pace=UNLIMITED, note=NOTE)
    lanes.ack(inward, "m2", pace=UNLIMITED, after="stop")
    DeadLetters(store).drop("m1")
    assert sorted(drained(lanes)) == ["d5", "n1", "r8", "s:r5"]
    names = cast(list[str], store.keys(keys.PREFIX + "*"))
    for_ever = {name for name in names if int(store.ttl(name)) < 0}
    gates = {keys.gate("shop"), keys.gate("chatwoot")}
    assert for_ever <= PASSING | gates | {keys.DEAD_LETTERS}
    assert store.xlen(keys.DEAD_LETTERS) == 0


def test_what_is_remembered_of_lanes_comes_with_their_messages(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1), letter(2)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    routes = {lease.lane: Route(conversation=7), Lane("out", "shop", "7"): Route(context={})}
    following = lanes.ack(lease, "m1", pace=UNLIMITED, routes=routes)
    assert following is not None
    assert following.route == Route(conversation=7)
    assert not Routes(lanes.client).forget_conversation(lease.lane, "8")
    assert Routes(lanes.client).forget_conversation(lease.lane, "7")
    assert not Routes(lanes.client).forget_conversation(lease.lane, "7")
    lanes.append([reply(5)])
    (out,) = claim(lanes)
    assert taken(lanes, out).route == Route(context={})


def bytes_at_work(store: redis.Redis, peer: str) -> int:
    """What a customer's message takes that is being delivered."""
    lanes, name = lanes_over(store), f"m{len(peer)}"
    lane = ids.inbound_lane("shop", peer, peer)
    body = bodies.write(Inbound(name, peer, "hello", thread=peer))
    before = all_bytes(store)
    lanes.append([Entry(name, lane, "chatwoot", "in", body, brake=Brake("shop:ann", 9, 60.0))])
    taken(lanes, claim_one(lanes))
    return all_bytes(store) - before


def all_bytes(store: redis.Redis) -> int:
    names = cast(list[str], store.keys(keys.PREFIX + "*"))
    return sum(cast(int, store.memory_usage(name, samples=0)) for name in names)


def test_a_long_address_and_a_long_thread_are_stored_once(store: redis.Redis) -> None:
    lanes_over(store).append([letter(9)])  # what is there once and for all
    drained(lanes_over(store))
    usual, most = bytes_at_work(store, "ann"), bytes_at_work(store, "a" * LONGEST_NAME)
    assert most - usual < 1.5 * (LONGEST_NAME + LONGEST_NAME)


def test_only_the_server_s_clock_counts(
    store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_time = server_time(store)
    for name in ("time", "time_ns"):
        monkeypatch.setattr(time, name, lambda: 5)
    lanes = lanes_over(store)
    lanes.append([letter(1)])
    lease = claim_one(lanes)
    assert taken(lanes, lease).age < 5
    lanes.defer(lease, "m1", 100)
    score = store.zscore(keys.due("chatwoot"), str(lease.lane))
    assert isinstance(score, float)
    assert 99 < score / 1000 - true_time < 110


def test_a_newer_conversation_takes_the_place_of_the_remembered_one(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lane = letter(1).lane
    assert not Routes(lanes.client).record_conversation_started(lane, 9)  # nobody writes there
    lanes.append([letter(1), letter(2)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    following = lanes.ack(lease, "m1", pace=UNLIMITED, routes={lane: Route(conversation=7)})
    assert following is not None
    assert [
        Routes(lanes.client).record_conversation_started(lane, number) for number in (6, 7, 8, 8)
    ] == [
        False,
        False,
        True,
        False,
    ]
    # What is on its way to the older one does not bring it back; what has looked since does.
    lanes.append([letter(3), letter(4)])
    following = lanes.ack(lease, "m2", pace=UNLIMITED, routes={lane: Route(conversation=7)})
    assert following is not None
    assert following.route == Route(newer=8)
    memo = Route(conversation=7, looked=8)
    following = lanes.ack(lease, "m3", pace=UNLIMITED, routes={lane: memo})
    assert following is not None
    assert following.route.conversation == 7
    assert store.ttl(keys.route(lane)) > 0


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_says_what_it_takes(name: str) -> None:
    own = LANES.joinpath(name).read_text("utf-8")
    head, _, code = own.partition("\n\n")
    said: set[int] = set()
    for first, last in re.findall(r"ARGV\[(\d+)(?:\.\.(\d+))?\]", head):
        said |= set(range(int(first), int(last or first) + 1))
    used = {int(number) for number in re.findall(r"ARGV\[(\d+)\]", code)}
    assert used <= said
    assert "KEYS" not in code, "it has all of its keys from prelude/keys.lua"
    assert "-- Returns" in head
