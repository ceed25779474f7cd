"""`erase`: nothing of the person is left in Redis or on its disk, everything of others is."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from pathlib import Path

import pytest
import redis

from gateway.chatwoot.events import Reply
from gateway.cli import main
from gateway.erasure.erase import REASON, Erased, Erasure, find
from gateway.erasure.person import Name, names_of
from gateway.lanes import (
    Brake,
    DeadLetters,
    Entry,
    KeyValues,
    Lane,
    Lanes,
    Lease,
    bodies,
    ids,
    keys,
)
from gateway.lanes.address_changes import AddressChange, AddressChanges
from gateway.lanes.ledger import LEDGER_SECONDS
from gateway.lanes.route import Route
from gateway.lanes.scripts import Scripts
from gateway.model import Addressee, Inbound, Person
from gateway.storage.rewriting import rewrite
from tests.unit.lanes_kit import (
    UNLIMITED,
    claim,
    claim_one,
    counted,
    drained,
    lanes_over,
    lease_dies,
    ledger,
    snapshot,
    taken,
)

MARK = "zyxxy"
"""In everything that is told of the person, and in nothing else."""
PEOPLE = {"ann": (7, f"+49{MARK}"), "bob": (8, "+4920")}


def peer(name: str) -> str:
    return f"whatsapp:{PEOPLE[name][1]}"


def letter(name: str, number: int, *, brake: bool = False) -> Entry:
    mark = MARK if name == "ann" else name
    person = Person(
        name=mark, phone=PEOPLE[name][1], email=f"{mark}@x.org", identifier=f"wa:{mark}"
    )
    return Entry(
        ids.inbound_id("shop", f"{name[0]}{number}"),
        ids.inbound_lane("shop", peer(name)),
        "chatwoot/main",
        "in",
        bodies.write(Inbound(str(number), peer(name), f"text of {mark}", person)),
        brake=Brake(ids.brake("shop", peer(name)), 0, 600.0) if brake else None,
    )


def reply(name: str, number: int, *, to: Addressee | None = None) -> Entry:
    conversation = PEOPLE[name][0]
    body = Reply(number, conversation, peer(name), f"dear {MARK if name == 'ann' else name}", to=to)
    return Entry(
        ids.reply_id("shop", number),
        ids.reply_lane("shop", conversation),
        "channel/shop",
        "out",
        bodies.write(body),
        order=number * ids.OPERATIONS,
        status_destination="chatwoot/main",
    )


def names(typed: str = f"+49{MARK}") -> frozenset[Name]:
    return names_of(typed, ("shop", "mail"))


def erase(store: redis.Redis, typed: str = f"+49{MARK}", *, patience: float = 0.0) -> Erased:
    return Erasure(store, patience).erase(find(store, names(typed)))


def learned(name: str) -> Route:
    return Route(conversation=PEOPLE[name][0], name=MARK if name == "ann" else name)


def live_through_all(store: redis.Redis, name: str) -> None:
    """A customer's message and a reply in every state that there is, and all that is remembered."""
    lanes, first = lanes_over(store), 100 * PEOPLE[name][0]
    mark = MARK if name == "ann" else name
    lanes.append([letter(name, 1), letter(name, 2)])
    lease = claim_one(lanes)
    message = taken(lanes, lease)
    lanes.ack(lease, message.id, pace=UNLIMITED, routes={lease.lane: learned(name)})
    lanes.bury(
        lease, ids.inbound_id("shop", f"{name[0]}2"), f"no {mark}", pace=UNLIMITED, after="stop"
    )
    lanes.append([letter(name, 3, brake=True)])
    store.zadd(keys.due("chatwoot/main"), {str(lease.lane): 9e15})
    lanes.append([reply(name, first + 1), reply(name, first + 2), reply(name, first + 3)])
    lease = claim_one(lanes)
    message = taken(lanes, lease)
    lanes.record_part(lease, message.id, 1, 1, [f"wamid.{mark}"])
    context = {lease.lane: Route(context={"subject": mark}, peer=peer(name))}
    lanes.ack(lease, message.id, pace=UNLIMITED, routes=context)
    lanes.bury(lease, ids.reply_id("shop", first + 2), f"no {mark}", pace=UNLIMITED, after="stop")
    store.zadd(keys.due("channel/shop"), {str(lease.lane): 9e15})
    values = KeyValues(store)
    contact = json.dumps([PEOPLE[name][1], "", ""])
    values.set(keys.contact("main", PEOPLE[name][0]), contact, seconds=LEDGER_SECONDS)
    values.set(keys.avatar("shop", peer(name)), "{}", seconds=LEDGER_SECONDS)
    AddressChanges(values).record("shop", peer(name), AddressChange(1, f"whatsapp:+1{mark}"))
    while leases := claim(lanes):  # what agents were told of them
        for lease in leases:
            while message_or_none := lanes.take(lease, pace=UNLIMITED):
                lanes.ack(lease, message_or_none.id, pace=UNLIMITED, told="failed", after="stop")
                break


@pytest.fixture
def lived(store: redis.Redis) -> redis.Redis:
    live_through_all(store, "ann")
    live_through_all(store, "bob")
    return store


def of(store: redis.Redis, mark: str) -> dict[str, object]:
    return {key: held for key, held in snapshot(store).items() if mark in f"{key} {held}"}


def test_nothing_of_the_person_is_left_and_all_of_others(lived: redis.Redis) -> None:
    assert len(of(lived, MARK)) > 10, "else this test sees nothing"
    others = {key: held for key, held in of(lived, "bob").items() if "dead_letters" not in key}
    assert erase(lived).busy == ()
    assert {key: found for key, found in of(lived, MARK).items() if "due" not in key} == {}
    assert of(lived, MARK) == {}
    assert {key: found for key, found in of(lived, "bob").items() if key in others} == others
    assert [each.id for each in DeadLetters(lived).list()] == ["o:shop:802", "i:shop:b2"]
    assert counted(lived, "erased_in") == 3
    assert counted(lived, "erased_out") == 3


@pytest.mark.parametrize(
    "typed", [f"+49{MARK}", f"+49 {MARK}", peer("ann"), f"{MARK.upper()}@x.org", f"wa:{MARK}"]
)
def test_any_name_of_the_person_will_do(lived: redis.Redis, typed: str) -> None:
    erase(lived, typed)
    assert of(lived, MARK) == {}


def test_an_address_that_is_too_long_for_a_lane_s_name_is_found(store: redis.Redis) -> None:
    lanes, long = lanes_over(store), "a" * 300 + "/b@x.org"
    lane = ids.inbound_lane("mail", long, "t" * 300)
    assert len(str(lane)) < 200
    body = bodies.write(Inbound("1", long, "hello", thread="t" * 300))
    brake = Brake(ids.brake("mail", long), 0, 600.0)
    lanes.append([Entry("m1", lane, "chatwoot/main", "in", body, brake=brake)])
    lease = claim_one(lanes)
    message = taken(lanes, lease)
    assert find(store, names(long)).messages == ("m1",)
    lanes.ack(lease, message.id, pace=UNLIMITED, routes={lane: learned("bob")})
    erase(store, long)
    left = [key for key in snapshot(store) if ids.short_name(long) in key]
    assert left == [], "neither the lane's route nor the customer's brake"


def test_a_stranger_has_nothing(lived: redis.Redis) -> None:
    before = snapshot(lived)
    assert erase(lived, "+491") == Erased(0, 0, 0, ())
    assert snapshot(lived) == before


def test_an_address_counts_on_the_channels_that_are_meant(lived: redis.Redis) -> None:
    identifier = names_of("whatsapp:4711", ("mail",))
    lanes_over(lived).append(
        [Entry("x", Lane("in", "shop", "4711"), "chatwoot/main", "in", '{"peer":"4711"}')]
    )
    assert find(lived, names_of("4711", ("shop",))).messages == ("x",)
    assert find(lived, names_of("4711", ("mail",))).messages == ()
    assert find(lived, identifier).messages == ()


def test_what_was_erased_leaves_the_disk(lived: redis.Redis) -> None:
    folder = Path(str(lived.config_get("dir")["dir"]))
    lived.config_set("rdbcompression", "no")  # or a search of the file sees little
    assert MARK.encode() in on_disk(folder)
    erase(lived)
    rewrite(lived, patience=30)
    ends = time.monotonic() + 10
    while MARK.encode() in on_disk(folder) and time.monotonic() < ends:
        time.sleep(0.05)  # the server deletes the files that it needs no more in a thread
    left = on_disk(folder)
    assert MARK.encode() not in left, left[max(0, left.index(MARK.encode()) - 100) :][:200]
    assert b"text of bob" in on_disk(folder)


def on_disk(folder: Path) -> bytes:
    found = b""
    for path in folder.rglob("*.*"):
        try:
            found += path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:
            continue
    return found


def sending(store: redis.Redis) -> tuple[Lanes, Lease, str]:
    """Ann's message is being delivered, and another one waits behind it."""
    lanes = lanes_over(store)
    lanes.append([letter("ann", 1), letter("ann", 2), letter("bob", 1)])
    lease = next(each for each in claim(lanes) if MARK in str(each.lane))
    return lanes, lease, taken(lanes, lease).id


def test_what_is_being_delivered_is_waited_for(store: redis.Redis) -> None:
    lanes, lease, message = sending(store)
    busy = erase(store)
    assert busy.busy == (message, str(lease.lane))
    assert ledger(store, ids.inbound_id("shop", "a2"))["state"] == "dropped"
    assert lanes.ack(lease, message, pace=UNLIMITED, routes={lease.lane: learned("ann")}) is None
    assert erase(store).busy == ()
    assert of(store, MARK) == {}


def test_a_lane_that_a_worker_has_is_remembered_until_it_comes_back(store: redis.Redis) -> None:
    lanes = lanes_over(store)
    lanes.append([letter("ann", 1)])
    lease = claim_one(lanes)
    message = taken(lanes, lease)
    lanes.ack(lease, message.id, pace=UNLIMITED, routes={lease.lane: learned("ann")}, after="stop")
    lanes.append([letter("ann", 2)])
    lease = claim_one(lanes)
    assert erase(store).busy == (ids.inbound_id("shop", "a2"), str(lease.lane))


def test_what_a_dead_worker_had_is_erased(store: redis.Redis) -> None:
    lanes, lease, _ = sending(store)
    lease_dies(store, lease)
    assert erase(store).busy == ()
    assert of(store, MARK) == {}
    bobs = next(iter(store.scan_iter(keys.lease("*"))))
    store.delete(bobs)
    store.zadd(keys.due("chatwoot/main"), {str(ids.inbound_lane("shop", peer("bob"))): 0})
    assert drained(lanes) == ["i:shop:b1"]


def test_a_reply_that_had_not_left_is_told_to_agents_and_does_not_come_again(
    store: redis.Redis,
) -> None:
    lanes = lanes_over(store)
    lanes.append([reply("ann", 701), reply("bob", 801)])
    erase(store)
    assert lanes.append([reply("ann", 701)]).outcomes == ("duplicate",)
    telling = [taken(lanes, lease) for lease in claim(lanes)]
    assert {each.id for each in telling} == {"s:o:shop:701", "o:shop:801"}
    (told,) = (each for each in telling if each.id == "s:o:shop:701")
    assert (told.subject.status, told.subject.reason) == ("failed", REASON)


def test_a_customers_message_is_not_taken_for_a_new_one(lived: redis.Redis) -> None:
    erase(lived)
    lanes = lanes_over(lived)
    again = [letter("ann", number) for number in (1, 2, 3)]
    assert set(lanes.append(again).outcomes) == {"duplicate"}
    assert all(0 < int(str(lived.ttl(keys.message(each.id)))) <= 7 * 86400 for each in again)


def test_the_last_dead_letter_leaves_no_bytes(store: redis.Redis) -> None:
    """A stream keeps what was deleted beside what was not."""
    store.xadd(keys.DEAD_LETTERS, {"id": "kept"}, id="5-1")
    deleted = store.xadd(keys.DEAD_LETTERS, {"id": MARK})
    store.xdel(keys.DEAD_LETTERS, deleted)
    assert Scripts(store)("rewrite_dead_letters") == 1
    assert store.xrange(keys.DEAD_LETTERS) == [("5-1", {"id": "kept"})]


CONFIG = """\
[gateway]
public_url = "https://gw.example.org"
secret = "0123456789abcdef"
[chatwoot.main]
url = "https://chat.example.org"
account = 1
token = "chatwoot-token"
[channels.shop]
adapter = "telegram"
inbox = 7
token = "1:abcdefghijklmnop"
"""


@pytest.fixture
def at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
    (tmp_path / "channels.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)
    monkeypatch.setenv("REDIS_URL", redis_url)
    # A command ends with its process, and so does what it set up for its log.
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    monkeypatch.setattr(root, "level", root.level)
    for holder, name in (
        (sys, "excepthook"),
        (sys, "unraisablehook"),
        (threading, "excepthook"),
    ):
        monkeypatch.setattr(holder, name, getattr(holder, name))


@pytest.mark.usefixtures("at_hand")
def test_a_dry_run_shows_and_changes_nothing(
    lived: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(lived)
    assert main(["erase", "--dry-run", peer("ann")]) == 0
    assert snapshot(lived) == before
    said = capsys.readouterr()
    assert "Found: 6 messages" in said.out
    assert f"whatsapp:+49{MARK} on shop" in said.out
    assert "event=erased" not in said.err


@pytest.mark.usefixtures("at_hand")
def test_the_command_says_what_it_did_and_logs_it_without_the_name(
    lived: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["erase", peer("ann")]) == 0
    said = capsys.readouterr()
    assert of(lived, MARK) == {}
    assert "Erased: 6 messages" in said.out
    assert "delete the contact there" in said.out
    assert "BGREWRITEAOF" in said.out
    assert "event=erased" in said.err
    assert MARK not in said.err


@pytest.mark.usefixtures("at_hand")
def test_what_is_done_to_dead_letters_is_logged(
    lived: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dead", "replay", "i:shop:b2"]) == 0
    assert main(["dead", "drop", "i:shop:a2", "nobody"]) == 1
    said = capsys.readouterr().err
    assert "event=dead_replayed by=" in said
    assert "event=dead_dropped by=" in said
    assert "message=i:shop:a2" in said
    assert "message=nobody" not in said


@pytest.mark.usefixtures("at_hand")
@pytest.mark.parametrize("typed", [["erase", " "], ["erase", "--channel", "none", "ann"]])
def test_whom_nobody_can_mean(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(typed) == 1
    assert "gateway: " in capsys.readouterr().err
