"""Bugs, dead workers and newer releases: nothing sticks, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from gateway.chatwoot.client import Chatwoot
from gateway.errors import Permanent, Retry
from gateway.intake.doorbell import queue_key
from gateway.lanes import Entry, Kind, Lane, Pace
from gateway.lanes.values import Direction
from gateway.model import Inbound, Part, Sent
from gateway.relay.retry_policy import BREAKDOWNS, DEATHS
from gateway.relay.to_chatwoot.exactly_once import Once
from tests.relay.house import House


def test_a_bug_in_an_adapter_is_retried_and_blocks_only_its_lane(house: House) -> None:
    for peer in ("a", "b"):
        house.customer_writes("hello", peer=peer, number=peer)
    house.drain()
    house.network.errors = [RuntimeError("a bug")]
    house.agent_replies("one", conversation=1)
    house.drain()
    house.agent_replies("two", conversation=2)
    house.drain()
    assert [part.text for part in house.network.sent] == ["two"]
    house.drain_until(lambda: house.count("delivered_out") == 2)
    assert sorted(part.text for part in house.network.sent) == ["one", "two"]


def test_a_bug_behind_the_sending_does_not_send_for_ever(house: House) -> None:
    house.customer_writes("hello")
    house.drain()
    house.network.after = [KeyError("id") for _ in range(20)]
    number = house.agent_replies("hi")
    house.drain_until(lambda: list(house.dead.list()))
    assert len(house.network.sent) == BREAKDOWNS
    assert house.count("uncertain") == 1
    house.drain_until(lambda: house.shown(number)["status"] == "failed")


def test_what_a_network_says_need_not_be_text(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a surrogate pair: what is left of a text that was cut after so many UTF-16 units."""
    house.customer_writes("hello")
    house.drain()
    house.network.errors = [Retry("Refused: hi \ud83d", after=0.0), Permanent("Refused: hi \ud83d")]
    number = house.agent_replies("hi")
    house.drain_until(lambda: list(house.dead.list()))
    assert house.network.errors == []
    house.drain_until(lambda: house.shown(number)["status"] == "failed")
    sent = list[Part]()

    def send(part: Part) -> Sent:
        sent.append(part)
        return Sent("its id \ud83d")

    monkeypatch.setattr(house.network, "send", send)
    house.agent_replies("ho")
    house.drain_until(lambda: house.count("delivered_out") == 1)
    assert [part.text for part in sent] == ["ho"]
    assert house.count("uncertain") == 0


def test_an_adapter_that_forgets_to_return_is_told_so(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    house.customer_writes("hello")
    house.drain()
    monkeypatch.setattr(type(house.network), "send", lambda *_: None)
    house.agent_replies("hi")
    house.drain()
    [crash] = [record for record in caplog.records if record.message == "delivery_crashed"]
    assert "send must return a Sent, and returned a NoneType" in str(crash.exc_info)


def test_of_what_an_adapter_found_all_or_nothing_is_stored(house: House) -> None:
    found: list[Any] = [Inbound("1", "p1", "hello"), {"id": "2"}]
    with pytest.raises(TypeError, match="an Inbound or a Receipt, and is of type dict"):
        house.intake.take(house.channel, found)
    house.drain()
    assert house.count("accepted_in") == 0


def test_a_bug_behind_the_posting_posts_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    faults, settled = [KeyError("id")], Once.settled

    def broken(self: Once, *given: Any) -> Any:
        if faults:
            raise faults.pop()
        return settled(self, *given)

    monkeypatch.setattr(Once, "settled", broken)
    house.customer_writes("hello")
    house.drain_until(lambda: house.count("delivered_in") == 1)
    assert not faults
    assert house.incoming() == ["hello"]


def test_a_body_of_a_newer_release_is_left_alone(house: House) -> None:
    house.customer_writes("hello", number=1)
    house.store.hset("gw:msg:i:cards:1", "v", "2")
    house.drain()
    assert house.store.hget("gw:msg:i:cards:1", "state") == "waiting"
    assert list(house.dead.list()) == []
    house.store.hset("gw:msg:i:cards:1", "v", "1")
    house.drain_until(lambda: house.incoming() == ["hello"])


def test_a_kind_of_a_newer_release_is_left_alone(house: House) -> None:
    house.customer_writes("hello", number=1)
    house.store.hset("gw:msg:i:cards:1", "kind", "reaction")
    for _ in range(4):
        house.make_due()
        house.drain()
    known = house.store.hgetall("gw:msg:i:cards:1")
    assert (known["state"], known["attempts"]) == ("waiting", "0")
    assert "refusals" not in known and "crashes" not in known
    assert list(house.dead.list()) == []
    house.store.hset("gw:msg:i:cards:1", "kind", "in")
    house.make_due()
    house.drain_until(lambda: house.incoming() == ["hello"])


def test_a_lane_of_a_newer_release_is_left_alone(house: House) -> None:
    lane = Lane(cast(Direction, "wave"), "cards", "ada")
    house.lanes.append([Entry("w1", lane, "chatwoot/main", cast(Kind, "wave"), "{}")])
    house.drain()
    known = house.store.hgetall("gw:msg:w1")
    assert known["state"] == "waiting" and "attempts" not in known
    assert not house.store.exists(f"gw:lease:{lane}"), "given back, for whoever knows it"
    assert house.store.zscore("gw:due:chatwoot/main", str(lane))


@pytest.fixture
def no_room(house: House) -> Iterator[Callable[[], None]]:
    """Makes Redis full."""
    yield lambda: cast(None, house.store.config_set("maxmemory", "1"))
    house.store.config_set("maxmemory", "0")


def test_a_note_to_agents_has_room_in_a_full_redis(
    house: House, no_room: Callable[[], None]
) -> None:
    house.customer_writes("hello")
    house.drain()
    number = house.agent_replies("oops")
    house.drain()
    house.chatwoot.agent_delete(number)
    house.told(number, event="message_updated")
    no_room()
    house.drain_until(house.notes)
    assert "still sees the message" in house.notes()[0]


def test_a_look_that_has_no_room_waits_for_it(house: House, no_room: Callable[[], None]) -> None:
    house.customer_writes("hello")
    house.drain()
    house.network.errors = [Permanent("blocked")]
    number = house.agent_replies("hi")
    house.drain()
    house.chatwoot.agent_retry(number)
    house.told(number, event="message_updated")
    no_room()
    house.drain()
    assert list(house.store.scan_iter("gw:lease:*")) == [], "no worker died of it"
    house.store.config_set("maxmemory", "0")
    house.drain_until(lambda: [part.text for part in house.network.sent] == ["hi"])
    assert list(house.dead.list()) == []


def test_a_message_that_kills_workers_is_buried_and_its_lane_goes_on(house: House) -> None:
    house.customer_writes("hello", number=0)
    house.drain()
    house.customer_writes("poison", number=1)
    house.customer_writes("after it", number=2)
    for _ in range(DEATHS):
        house.make_due()
        claim = house.lanes.claim(1, lease=0.05, most_each=1, at_work={}, token=f"dies{_}")
        taken = house.lanes.take(claim.holds[0], pace=Pace())
        assert taken is not None
        house.lanes.begin(claim.holds[0], taken.id)
    house.drain_until(lambda: "after it" in house.incoming())
    assert house.incoming() == ["hello", "after it"]
    [letter] = house.dead.list()
    assert letter.id == "i:cards:1"
    [note] = house.notes()
    assert "could not be shown" in note


def test_a_dead_worker_leaves_no_double(house: House) -> None:
    house.customer_writes("hello", number=0)
    house.drain()
    house.customer_writes("second", number=1)
    claim = house.lanes.claim(1, lease=0.05, most_each=1, at_work={}, token="dies")
    assert house.lanes.take(claim.holds[0], pace=Pace()) is not None
    # It dies between the effect and its record.
    account = house.settings.accounts["main"]
    client = Chatwoot(account.url, 1, account.token)
    client.create_message(1, "second", source_id="gw:cards:1")
    client.close()
    house.drain_until(lambda: house.count("delivered_in") == 2)
    assert house.incoming() == ["hello", "second"]


def test_chatwoot_down_holds_up_no_reply(house: House) -> None:
    house.customer_writes("hello")
    house.drain()
    house.chatwoot.fault("drop", times=None)
    house.customer_writes("waiting")
    house.agent_replies("goes out")
    house.drain()
    assert [part.text for part in house.network.sent] == ["goes out"]
    house.chatwoot.clear_faults()
    house.drain_until(lambda: house.incoming() == ["hello", "waiting"])


def test_a_gate_closes_after_several_failures_and_opens_again(house: House) -> None:
    house.chatwoot.fault("drop", times=None)
    for number in range(8):
        house.customer_writes(f"m{number}", peer=f"p{number}")
    house.drain()
    [gate] = [g for g in house.lanes.backlog().gates if g.destination == "chatwoot/main"]
    assert gate.state != "open"
    house.chatwoot.clear_faults()
    house.drain_until(lambda: len(house.incoming()) == 8, seconds=20)
    [gate] = [g for g in house.lanes.backlog().gates if g.destination == "chatwoot/main"]
    assert gate.state == "open"


def test_without_workers_rings_do_not_pile_up(house: House) -> None:
    """Chatwoot tells of a reply that it was updated, again and again."""
    house.customer_writes("hello")
    house.drain()
    number = house.chatwoot.agent_reply(1, "never told of")
    house.store.delete(queue_key())
    for _ in range(5):
        assert house.told(number, event="message_updated") == "accepted:look"
    assert house.store.llen(queue_key()) == 1
