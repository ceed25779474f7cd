"""docs/STORED_DATA.md has every key and every field that a run writes, and no other.

Redis itself tells of each command, those in scripts as well: so what is there only for a moment is
seen too.
"""

from __future__ import annotations

import re
import shlex
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest
import redis

from gateway.chatwoot.values import Contact
from gateway.clock.channel_poller import ChannelPoller
from gateway.config import Channel
from gateway.intake.contact_changes import ContactChanges
from gateway.intake.indicators import IndicatorQueue
from gateway.intake.known_contacts import KnownContacts
from gateway.lanes import (
    Backlog,
    Brake,
    CursorMove,
    DeadLetters,
    Entry,
    KeyValues,
    Lane,
    Ledger,
    Locks,
    Note,
    Pace,
    Routes,
    Trouble,
    keys,
)
from gateway.lanes.address_changes import AddressChange, AddressChanges
from gateway.lanes.failed_calls import NotedCall, note_call
from gateway.lanes.returns import Missed, Returns
from gateway.lanes.route import Route, Survey
from gateway.lanes.scripts import Scripts
from gateway.lanes.set_aside import SetAside
from gateway.lanes.watermark import Watermark, set_watermark
from gateway.model import Inbound, Place, Rate, Receipt, Status, Unread
from gateway.observability.channel_states import ChannelNotes
from gateway.observability.event_streams import StreamNotes
from gateway.observability.heartbeat import Heartbeat, Liveness
from gateway.web.chatwoot_signature import SignedWebhooks
from tests.relay.env import Env
from tests.relay.test_avatars import JPEG, Faces
from tests.unit.documents import read, rows, section
from tests.unit.lanes_kit import (
    claim,
    claim_one,
    deletion,
    drained,
    lanes_over,
    lease_dies,
    letter,
    reply,
    taken,
)
from tests.unit.web_kit import make_app, post

DOCUMENT: Final = read("docs/STORED_DATA.md")
TYPES: Final = {
    "HSET": "hash",
    "HSETNX": "hash",
    "HINCRBY": "hash",
    "HINCRBYFLOAT": "hash",
    "SET": "string",
    "INCR": "string",
    "INCRBY": "string",
    "ZADD": "zset",
    "RPUSH": "list",
    "SADD": "set",
    "XADD": "stream",
}
TROUBLES: Final[tuple[Trouble, ...]] = ("refused", "throttled", "down", "credentials")
ROUTE: Final = Route(
    conversation=7,
    newest=41,
    newer=8,
    looked=8,
    blocked=0,
    brake=keys.brake("shop:ann"),
    person="fingerprint",
    name="Ann",
    identifier="ann",
    subject="Parcel",
    avatar=1,
    choices=("yes", "no"),
    survey=Survey(9, 7, "ann"),
    peer="ann",
    changed_peer="ann",
    thread="t",
    context={"c": "1"},
)


@dataclass
class Written:
    """What was written: keys with their types, and the fields of the hashes."""

    types: dict[str, str] = field(default_factory=dict)
    fields: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def take(self, command: str, key: str, rest: list[str]) -> None:
        if command not in TYPES or not key.startswith(keys.PREFIX):
            return
        assert self.types.setdefault(key, TYPES[command]) == TYPES[command], key
        if command == "HSET":
            self.fields[key] |= set(rest[::2])
        elif TYPES[command] == "hash":
            self.fields[key].add(rest[0])
        elif command == "XADD":
            self.fields[key] |= set(rest[1::2])

    def fields_of(self, prefix: str) -> set[str]:
        return {
            name for key, names in self.fields.items() if key.startswith(prefix) for name in names
        }


@contextmanager
def watched(store: redis.Redis, url: str) -> Iterator[Written]:
    """All that is written meanwhile, by whatever connection or script."""
    written, client = Written(), redis.Redis.from_url(url, socket_timeout=10)
    connection: Any = client.connection_pool.get_connection()
    connection.send_command("MONITOR")
    assert connection.read_response() == b"OK"
    yield written
    store.echo("that was all")
    while "that was all" not in (line := connection.read_response().decode("utf-8", "replace")):
        name, *arguments = shlex.split(line.partition("] ")[2])
        written.take(name.upper(), "".join(arguments[:1]), arguments[1:])
    connection.disconnect()
    client.close()


def pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"[A-Z]+", ".+", name.strip("`")))


KEYS: Final = {pattern(row[0]): row[1] for row in rows(section(DOCUMENT, "Keys"))}


def documented(heading: str, of: str = "") -> set[str]:
    table = rows(section(DOCUMENT, heading))
    return {row[-3].strip("`") for row in table if not of or row[0] == of}


def row_of(key: str) -> re.Pattern[str]:
    """The row of a key: of several that fit, the one that says most."""
    fitting = [each for each in KEYS if each.fullmatch(key)]
    assert fitting, f"no row for {key}"
    return max(fitting, key=lambda each: len(each.pattern))


def fail(store: redis.Redis) -> None:
    """Attempts that end badly, a gate that closes and is probed, a worker that dies."""
    lanes = lanes_over(store)
    lanes.append([reply(1)])
    lease = claim_one(lanes)
    for trouble in TROUBLES:
        taken(lanes, lease)
        lanes.defer(lease, "r1", 0, error="no", certainty="uncertain", trouble=trouble)
        store.hset(keys.gate("shop"), mapping={"until": 0, "paused": 0})
        lease = claim_one(lanes)
    taken(lanes, lease)
    lease_dies(store, lease)
    store.hset(keys.gate("shop"), "until", 0)
    assert taken(lanes, claim_one(lanes)).crashes == 1


def wait_for_a_slot(store: redis.Redis) -> None:
    lanes, pace = lanes_over(store), Pace(Rate(1, seconds=100), Rate(1, seconds=100))
    lanes.append([reply(1), reply(2)])
    lease = claim_one(lanes)
    taken(lanes, lease, pace=pace)
    assert lanes.ack(lease, "r1", pace=pace) is None


def deliver_and_hear(store: redis.Redis) -> None:
    """A part is delivered and fails later; Retry; Chatwoot marks the reply by itself meanwhile."""
    lanes, ledger = lanes_over(store), Ledger(store)
    lanes.append([reply(1)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    lanes.announce(lease, "r1", "part:1")
    lanes.record_part(lease, "r1", 1, 1, ["x1"])
    lanes.ack(lease, "r1", pace=Pace(), after="stop")
    ledger.record_receipt("shop", Receipt(Status.FAILED, external_id="x1", reason="no such number"))
    ledger.record_receipt("shop", Receipt(Status.READ, external_id="unknown"))
    telling = claim_one(lanes)
    status = taken(lanes, telling)
    lanes.ack(telling, status.id, pace=Pace(), told="failed", after="stop")
    look = Entry("l1", Lane("status", "shop", "7"), "chatwoot", "check_retry", "body")
    assert ledger.check_retry("r1", look)
    assert ledger.retry("r1", "anew")


def mark_while_a_status_is_told(store: redis.Redis) -> None:
    lanes, ledger = lanes_over(store), Ledger(store)
    lanes.append([reply(1)])
    assert drained(lanes) == ["r1"]
    ledger.record_receipt("shop", Receipt(Status.READ, part="r1#1"))
    lanes.append([reply(2)])
    lease = next(each for each in claim(lanes) if each.lane.direction == "out")
    taken(lanes, lease)
    lanes.record_part(lease, "r2", 1, 1, ["x2"])
    ledger.record_receipt("shop", Receipt(Status.READ, external_id="x2"))
    taken(lanes, claim_one(lanes))
    assert ledger.record_marked_failed("r2") == "noted"


def give_up(store: redis.Redis) -> None:
    lanes, dead = lanes_over(store), DeadLetters(store)
    lanes.append([letter(1)])
    for finish in (dead.replay, dead.drop):
        lease = claim_one(lanes)
        taken(lanes, lease)
        lanes.bury(lease, "m1", "no", pace=Pace())
        assert finish("m1")


def withdraw(store: redis.Redis) -> None:
    lanes, ledger = lanes_over(store), Ledger(store)
    lanes.append([reply(1)])
    lease = claim_one(lanes)
    taken(lanes, lease)
    assert ledger.withdraw("r1", deletion(1)) == "delete"
    assert ledger.withdraw("r2", deletion(2)) == "tombstone"


def explain_a_delay(store: redis.Redis) -> None:
    lanes, backlog = lanes_over(store), Backlog(store)
    lanes.append([reply(1)])
    store.hincrby(keys.message("r1"), "ready", -60_000)
    [delayed] = backlog.delayed("shop", seconds=1)
    note = Note("n1", Lane("status", "shop", "7"), "chatwoot", "it waits")
    assert backlog.tell_of_delay(delayed, note, note) == "told"


def fail_over(store: redis.Redis) -> None:
    lanes, run = lanes_over(store), Scripts(store)
    lanes.append([letter(1)])
    run("server_changed", "primary", "")
    store.sadd(keys.DESTINATIONS, "shop")
    store.hset(keys.gate("shop"), mapping={"state": "closed", "until": 0})
    assert run("server_changed", "replica", "") == "lost"
    assert taken(lanes, claim_one(lanes)).after_failover


def meet_trouble(store: redis.Redis) -> None:
    """A destination that fails, and one that finds a lane too fast."""
    lanes = lanes_over(store)
    lanes.append([letter(1), reply(1)])
    for lease in claim(lanes):
        trouble: Trouble = "failing" if lease.lane.direction == "in" else "throttled_lane"
        lanes.defer(lease, taken(lanes, lease).id, 9, error="no", trouble=trouble)


def step_back(store: redis.Redis) -> None:
    """The clock of Redis's host goes back by an hour."""
    store.hset(keys.CLOCK, "seen", (store.time()[0] + 3600) * 1000)
    lanes_over(store).append([letter(1)])


def remember(store: redis.Redis) -> None:
    """What is known of a lane once a message is delivered, and a customer who writes too much."""
    lanes = lanes_over(store)
    lanes.append([replace(letter(1), brake=Brake("shop:ann", 0, 60.0))])
    lease = claim_one(lanes)
    taken(lanes, lease)
    assert None not in [getattr(ROUTE, each.name) for each in fields(Route)]
    lanes.ack(lease, "m1", pace=Pace(), routes={lease.lane: ROUTE})
    assert Routes(store).record_conversation_started(lease.lane, 9)


def poll(store: redis.Redis) -> None:
    locks = Locks(store)
    for key in (
        keys.lock_poller("shop"),
        keys.lock_catch_up("shop"),
        keys.lock_reconciler("shop"),
        keys.lock_housekeeping("people"),
        keys.lock_event_stream("main"),
        keys.LOCK_RINGER,
    ):
        assert locks.lock(key, "me", seconds=9)
    lanes_over(store).append([letter(1)], move=CursorMove("shop", "me", "uid 9"))
    kept = SetAside(store)
    assert kept.begin("shop", "uid 8") == 1
    assert kept.keep("shop", "main", Unread("uid 8", "?"), "it cannot be read")


def keep_notes(store: redis.Redis) -> None:
    """What is kept beside the lanes."""
    Heartbeat(store, "clock").beat()
    Liveness(Locks(store), 60.0).show()
    StreamNotes(store, "main").connected()
    ChannelNotes(store, "shop").polled()
    indicators = IndicatorQueue(store)
    assert indicators.push_typing("shop", 7, Place("ann"))
    indicators.push_press("shop", Inbound("1", "ann", "yes", press="p"))
    values = KeyValues(store)
    set_watermark(values, "shop", Watermark(1, 0.0, 0.0))
    Returns(store).record("return", [Missed("shop", look=True, catch_up=True)])
    note_call(values, "shop", NotedCall(1, "404 Not Found", written_at=0.0))
    AddressChanges(values).record("shop", "old", AddressChange(7, "new"))


def call_web(store: redis.Redis, redis_url: str) -> None:
    """A webhook that the adapter cannot read, one that Chatwoot has signed, a look at readiness."""
    client = make_app(store, redis_url).test_client()
    assert post(client, {"kind": "break"}).status_code == 500
    assert client.get("/readyz").status_code == 200
    channel = SimpleNamespace(name="shop", config=SimpleNamespace(signing_secret="secret"))
    headers = {"x-chatwoot-delivery": "d1", "x-chatwoot-signature": "s1"}
    SignedWebhooks(store).remember(cast(Channel, channel), headers)


def show_a_customer(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    """A customer writes for the first time, and has a picture; the rest of what is kept of them."""
    monkeypatch.setattr(env.network, "__class__", Faces)
    network = cast(Faces, env.network)
    network.pictures, network.asked, network.trouble = {"p1": JPEG}, [], []
    env.customer_writes("hello")
    env.drain_until(lambda: env.store.exists(keys.avatar("cards", "p1")))
    ChannelPoller(env.channel, env.network, env.store, env.intake, threading.Event()).catch_up()
    changes = ContactChanges(
        env.settings,
        env.deliveries.adapters,
        Routes(env.store),
        AddressChanges(KeyValues(env.store)),
    )
    KnownContacts(env.channel.account, KeyValues(env.store), changes).update(Contact(1))


SCENES: Final[tuple[Callable[[redis.Redis], None], ...]] = (
    fail,
    wait_for_a_slot,
    deliver_and_hear,
    mark_while_a_status_is_told,
    give_up,
    withdraw,
    explain_a_delay,
    fail_over,
    meet_trouble,
    step_back,
    remember,
    poll,
    keep_notes,
)


@pytest.fixture
def written(
    env: Env, store: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Written:
    with watched(store, redis_url) as found:
        show_a_customer(env, monkeypatch)
        for scene in SCENES:
            store.flushall()
            scene(store)
        call_web(store, redis_url)
    return found


def test_the_tables_have_all_that_is_written_and_nothing_else(written: Written) -> None:
    found = {row_of(key): kind for key, kind in written.types.items()}
    assert [each.pattern for each in KEYS if each not in found] == []
    assert found == KEYS
    numbered = {re.sub(r":\d+$", ":NUMBER", name) for name in written.fields_of("gw:msg:")}
    assert numbered == documented("A message")
    assert written.fields_of("gw:route:") == documented("A route")
    assert written.fields_of(keys.CLOCK) == documented("A gate, a pace, a brake", "clock")
    for kind in ("gate", "pace", "brake"):
        assert written.fields_of(f"gw:{kind}:") == documented("A gate, a pace, a brake", kind)
    assert written.fields_of(keys.DEAD_LETTERS) == documented("A dead letter")


def test_the_dictionary_in_the_code_has_the_same_names() -> None:
    made = {
        make(*("x" * make.__code__.co_argcount))
        for name, make in vars(keys).items()
        if callable(make) and name.islower() and not name.endswith("_field")
    }
    constants = {value for name, value in vars(keys).items() if name.isupper()}
    families = {key for key in made | constants if str(key).startswith(keys.PREFIX)}
    assert {row_of(key) for key in families - {keys.PREFIX}} == set(KEYS)
    for holder, heading, of in (
        (keys.MessageField, "A message", ""),
        (keys.GateField, "A gate, a pace, a brake", "gate"),
        (keys.PaceField, "A gate, a pace, a brake", "pace"),
        (keys.BrakeField, "A gate, a pace, a brake", "brake"),
        (keys.ClockField, "A gate, a pace, a brake", "clock"),
        (keys.DeadLetterField, "A dead letter", ""),
    ):
        named = {value for name, value in vars(holder).items() if name.isupper()}
        numbered = {keys.part_field("NUMBER"), keys.receipt_field("NUMBER")}
        assert named == documented(heading, of) - numbered
    routes = {each.name for each in fields(Route)} | {keys.LAST_ORDER_FIELD}
    assert routes == documented("A route")
