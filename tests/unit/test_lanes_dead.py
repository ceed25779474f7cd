"""Messages that were given up on: kept, shown, replayed, dropped; and the notes they leave."""

from __future__ import annotations

import redis

from gateway.lanes import DeadLetters, Lane, Lanes, Ledger, Note, keys
from gateway.model import Receipt, Status
from tests.unit.lanes_kit import (
    UNLIMITED,
    claim,
    claim_one,
    counted,
    drained,
    lanes_over,
    ledger,
    letter,
    reply,
    server_time,
    taken,
)

NOTE = Note("n1", Lane("status", "shop", "7"), "chatwoot", "a message could not be shown")


def buried(store: redis.Redis, *more: int) -> Lanes:
    lanes = lanes_over(store)
    lanes.append(letter(n) for n in (1, *more))
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.defer(lease, "m1", 0, error="422, too long")
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.bury(lease, "m1", "Chatwoot refuses it", pace=UNLIMITED, after="stop")
    return lanes


def test_a_buried_message_makes_way_and_is_kept(store: redis.Redis) -> None:
    lanes = buried(store, 2)
    assert drained(lanes) == ["m2"]
    (listed,) = DeadLetters(store).list()
    assert (listed.id, listed.reason, listed.channel, listed.kind) == (
        "m1",
        "Chatwoot refuses it",
        "shop",
        "in",
    )
    assert abs(listed.at - server_time(store)) < 5
    shown = DeadLetters(store).show("m1")
    assert shown is not None
    assert (shown.body, shown.attempts, shown.first_error) == ("body of m1", 2, "422, too long")
    assert counted(store, "buried_in") == 1
    assert lanes.append([letter(1)]).outcomes == ("duplicate",)


def test_the_newest_dead_letters_come_first(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append(letter(n) for n in (1, 2, 3))
    lease = claim_one(lanes)
    taken(lanes, lease)
    for number in (1, 2, 3):
        lanes.bury(lease, f"m{number}", "no", pace=UNLIMITED)
    letters = DeadLetters(store)
    assert [dead.id for dead in letters.list()] == ["m3", "m2", "m1"]
    assert [dead.id for dead in letters.list(limit=2)] == ["m3", "m2"]


def test_a_replayed_letter_goes_behind_what_waits_as_if_it_were_new(store: redis.Redis) -> None:
    lanes = buried(store, 2)
    assert DeadLetters(store).replay("m1")
    lease = claim_one(lanes)
    assert taken(lanes, lease).id == "m2"
    again = lanes.ack(lease, "m2", pace=UNLIMITED)
    assert again is not None
    assert (again.id, again.attempts, again.crashes, again.refusals) == ("m1", 1, 0, 0)
    assert again.replayed
    assert again.body == "body of m1"
    assert list(DeadLetters(store).list()) == []


def test_a_replay_makes_an_idle_lane_due(store: redis.Redis) -> None:
    lanes = buried(store)
    assert claim(lanes) == []
    assert DeadLetters(store).replay("m1")
    assert lanes.pending()
    assert drained(lanes) == ["m1"]


def test_a_replayed_reply_keeps_its_place_its_parts_and_is_told_as_sent(
    store: redis.Redis,
) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.record_part(lease, "r5", 1, 2, ["x1"])
    lanes.bury(lease, "r5", "blocked", pace=UNLIMITED)
    told = claim_one(lanes)
    taken(lanes, told)
    lanes.ack(told, "s:r5", pace=UNLIMITED, told="failed")
    lanes.append([reply(8)])
    assert DeadLetters(store).replay("r5")
    lease = claim_one(lanes)
    again = taken(lanes, lease)
    assert (again.id, again.parts) == ("r5", {1: ("x1",)})
    lanes.record_part(lease, "r5", 2, 2, ["x2"])
    lanes.ack(lease, "r5", pace=UNLIMITED, after="stop")
    assert ledger(store, "r5")["status"] == "sent"
    assert sorted(drained(lanes)) == ["r8", "s:r5"]
    assert counted(store, "replayed") == 1


def test_a_dropped_letter_is_forgotten_but_its_id_stays_known(store: redis.Redis) -> None:
    lanes = buried(store)
    letters = DeadLetters(store)
    assert letters.drop("m1")
    assert list(letters.list()) == []
    assert letters.show("m1") is None
    assert not letters.replay("m1")
    assert "body" not in ledger(store, "m1")
    assert lanes.append([letter(1)]).outcomes == ("duplicate",)
    assert int(store.ttl(keys.message("m1"))) > 0


def test_what_is_no_dead_letter_is_neither_shown_replayed_nor_dropped(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1)])
    letters = DeadLetters(store)
    for name in ("m1", "m2"):
        assert letters.show(name) is None
        assert not letters.replay(name)
        assert not letters.drop(name)
    assert drained(lanes) == ["m1"]


def test_a_note_is_left_once_for_the_agents(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter(1), letter(2)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    for number in (1, 2):
        lanes.bury(lease, f"m{number}", "no", pace=UNLIMITED, note=NOTE)
    note = claim_one(lanes)
    message = taken(lanes, note)
    assert (message.id, message.kind, message.body) == ("n1", "note", NOTE.body)
    assert lanes.ack(note, "n1", pace=UNLIMITED) is None
    lanes.append([letter(3)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.bury(lease, "m3", "no", pace=UNLIMITED, note=NOTE)
    assert claim(lanes) == []


def test_a_note_goes_behind_the_statuses_that_wait(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([reply(5), reply(8)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.record_part(lease, "r5", 1, 1, ["x5"])
    Ledger(lanes.client).record_receipt("shop", Receipt(Status.DELIVERED, external_id="x5"))
    lanes.ack(lease, "r5", pace=UNLIMITED)
    lanes.bury(lease, "r8", "blocked", pace=UNLIMITED, note=NOTE)
    assert drained(lanes) == ["s:r5", "s:r8", "n1"]
