"""Bugs, dead workers and newer releases: nothing sticks, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast, get_args

import pytest

from gateway.chatwoot.client import Chatwoot
from gateway.errors import Permanent, Retry
from gateway.intake.doorbell import queue_key
from gateway.lanes import Backlog, Entry, Kind, Lane, Lease, Pace, keys
from gateway.lanes.lane import Direction
from gateway.model import Inbound, Part, Sent
from gateway.relay.retry_policy import BREAKDOWNS, DEATHS
from gateway.relay.to_chatwoot.exactly_once import ExactlyOnce
from tests.relay.env import Env


def test_a_bug_in_an_adapter_is_retried_and_blocks_only_its_lane(env: Env) -> None:
    for peer in ("a", "b"):
        env.customer_writes("hello", peer=peer, number=peer)
    env.drain()
    env.network.errors = [RuntimeError("a bug")]
    env.agent_replies("one", conversation=1)
    env.drain()
    env.agent_replies("two", conversation=2)
    env.drain()
    assert [part.text for part in env.network.sent] == ["two"]
    env.drain_until(lambda: env.count("delivered_out") == 2)
    assert sorted(part.text for part in env.network.sent) == ["one", "two"]


def test_a_bug_behind_the_sending_does_not_send_for_ever(env: Env) -> None:
    env.customer_writes("hello")
    env.drain()
    env.network.after = [KeyError("id") for _ in range(20)]
    number = env.agent_replies("hi")
    env.drain_until(lambda: list(env.dead.list()))
    assert len(env.network.sent) == BREAKDOWNS
    assert env.count("uncertain") == 1
    env.drain_until(lambda: env.shown(number)["status"] == "failed")


def test_what_a_network_says_need_not_be_text(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a surrogate pair: what is left of a text that was cut after so many UTF-16 units."""
    env.customer_writes("hello")
    env.drain()
    env.network.errors = [Retry("Refused: hi \ud83d", after=0.0), Permanent("Refused: hi \ud83d")]
    number = env.agent_replies("hi")
    env.drain_until(lambda: list(env.dead.list()))
    assert env.network.errors == []
    env.drain_until(lambda: env.shown(number)["status"] == "failed")
    sent = list[Part]()

    def send(part: Part) -> Sent:
        sent.append(part)
        return Sent("its id \ud83d")

    monkeypatch.setattr(env.network, "send", send)
    env.agent_replies("ho")
    env.drain_until(lambda: env.count("delivered_out") == 1)
    assert [part.text for part in sent] == ["ho"]
    assert env.count("uncertain") == 0


def test_an_adapter_that_forgets_to_return_is_told_so(
    env: Env, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    env.customer_writes("hello")
    env.drain()
    monkeypatch.setattr(type(env.network), "send", lambda *_: None)
    env.agent_replies("hi")
    env.drain()
    [crash] = [record for record in caplog.records if record.message == "delivery_crashed"]
    assert "send must return a Sent, and returned a NoneType" in str(crash.exc_info)


def test_of_what_an_adapter_found_all_or_nothing_is_stored(env: Env) -> None:
    found: list[Any] = [Inbound("1", "p1", "hello"), {"id": "2"}]
    with pytest.raises(TypeError, match="an Inbound or a Receipt, and is of type dict"):
        env.intake.take(env.channel, found)
    env.drain()
    assert env.count("accepted_in") == 0


def test_a_bug_behind_the_posting_posts_once(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    faults, keep = [KeyError("id")], ExactlyOnce.keep_oldest_of_all

    def broken(self: ExactlyOnce, *given: Any) -> Any:
        if faults:
            raise faults.pop()
        return keep(self, *given)

    monkeypatch.setattr(ExactlyOnce, "keep_oldest_of_all", broken)
    env.customer_writes("hello")
    env.drain_until(lambda: env.count("delivered_in") == 1)
    assert not faults
    assert env.incoming() == ["hello"]


def test_a_body_of_a_newer_release_is_left_alone(env: Env) -> None:
    env.customer_writes("hello", number=1)
    env.store.hset(keys.message("i:cards:1"), "v", "2")
    env.drain()
    assert env.store.hget(keys.message("i:cards:1"), "state") == "waiting"
    assert list(env.dead.list()) == []
    env.store.hset(keys.message("i:cards:1"), "v", "1")
    env.drain_until(lambda: env.incoming() == ["hello"])


def test_a_kind_of_a_newer_release_is_left_alone(env: Env) -> None:
    env.customer_writes("hello", number=1)
    env.store.hset(keys.message("i:cards:1"), "kind", "reaction")
    for _ in range(4):
        env.make_due()
        env.drain()
    known = env.store.hgetall(keys.message("i:cards:1"))
    assert (known["state"], known["attempts"]) == ("waiting", "0")
    assert "refusals" not in known and "crashes" not in known
    assert list(env.dead.list()) == []
    env.store.hset(keys.message("i:cards:1"), "kind", "in")
    env.make_due()
    env.drain_until(lambda: env.incoming() == ["hello"])


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_of_message_has_its_delivery(env: Env, kind: Kind) -> None:
    lease = Lease(Lane("out", "cards", "1"), "c:cards", "token")
    assert env.deliveries(lease, kind).pace


def test_a_lane_of_a_newer_release_is_left_alone(env: Env) -> None:
    lane = Lane(cast(Direction, "wave"), "cards", "ada")
    env.lanes.append([Entry("w1", lane, "chatwoot/main", cast(Kind, "wave"), "{}")])
    env.drain()
    known = env.store.hgetall(keys.message("w1"))
    assert known["state"] == "waiting" and "attempts" not in known
    assert not env.store.exists(keys.lease(lane)), "given back, for whoever knows it"
    assert env.store.zscore(keys.due("chatwoot/main"), str(lane))


@pytest.fixture
def no_room(env: Env) -> Iterator[Callable[[], None]]:
    """Makes Redis full."""
    yield lambda: cast(None, env.store.config_set("maxmemory", "1"))
    env.store.config_set("maxmemory", "0")


def test_a_note_to_agents_has_room_in_a_full_redis(env: Env, no_room: Callable[[], None]) -> None:
    env.customer_writes("hello")
    env.drain()
    number = env.agent_replies("oops")
    env.drain()
    env.chatwoot.agent_delete(number)
    env.told(number, event="message_updated")
    no_room()
    env.drain_until(env.notes)
    assert "still sees the message" in env.notes()[0]


def test_a_look_that_has_no_room_waits_for_it(env: Env, no_room: Callable[[], None]) -> None:
    env.customer_writes("hello")
    env.drain()
    env.network.errors = [Permanent("blocked")]
    number = env.agent_replies("hi")
    env.drain()
    env.chatwoot.agent_retry(number)
    env.told(number, event="message_updated")
    no_room()
    env.drain()
    assert list(env.store.scan_iter(keys.lease("*"))) == [], "no worker died of it"
    env.store.config_set("maxmemory", "0")
    env.drain_until(lambda: [part.text for part in env.network.sent] == ["hi"])
    assert list(env.dead.list()) == []


def test_a_message_that_kills_workers_is_buried_and_its_lane_goes_on(env: Env) -> None:
    env.customer_writes("hello", number=0)
    env.drain()
    env.customer_writes("poison", number=1)
    env.customer_writes("after it", number=2)
    for _ in range(DEATHS):
        env.make_due()
        claim = env.lanes.claim(1, seconds=0.05, most_each=1, at_work={}, token=f"dies{_}")
        taken = env.lanes.take(claim.leases[0], pace=Pace())
        assert taken is not None
        env.lanes.isolate(claim.leases[0], taken.id)
    env.drain_until(lambda: "after it" in env.incoming())
    assert env.incoming() == ["hello", "after it"]
    [letter] = env.dead.list()
    assert letter.id == "i:cards:1"
    [note] = env.notes()
    assert "could not be shown" in note


def test_a_dead_worker_leaves_no_double(env: Env) -> None:
    env.customer_writes("hello", number=0)
    env.drain()
    env.customer_writes("second", number=1)
    claim = env.lanes.claim(1, seconds=0.05, most_each=1, at_work={}, token="dies")
    assert env.lanes.take(claim.leases[0], pace=Pace()) is not None
    # It dies between the effect and its record.
    account = env.settings.accounts["main"]
    client = Chatwoot(account.url, 1, account.token)
    client.create_message(1, "second", source_id="gw:cards:1")
    client.close()
    env.drain_until(lambda: env.count("delivered_in") == 2)
    assert env.incoming() == ["hello", "second"]


def test_chatwoot_down_holds_up_no_reply(env: Env) -> None:
    env.customer_writes("hello")
    env.drain()
    env.chatwoot.fault("drop", times=None)
    env.customer_writes("waiting")
    env.agent_replies("goes out")
    env.drain()
    assert [part.text for part in env.network.sent] == ["goes out"]
    env.chatwoot.clear_faults()
    env.drain_until(lambda: env.incoming() == ["hello", "waiting"])


def test_a_gate_closes_after_several_failures_and_opens_again(env: Env) -> None:
    env.chatwoot.fault("drop", times=None)
    for number in range(8):
        env.customer_writes(f"m{number}", peer=f"p{number}")
    env.drain()
    [gate] = [g for g in Backlog(env.store).read().gates if g.destination == "chatwoot/main"]
    assert gate.state != "open"
    env.chatwoot.clear_faults()
    env.drain_until(lambda: len(env.incoming()) == 8, seconds=20)
    [gate] = [g for g in Backlog(env.store).read().gates if g.destination == "chatwoot/main"]
    assert gate.state == "open"


def test_without_workers_rings_do_not_pile_up(env: Env) -> None:
    """Chatwoot tells of a reply that it was updated, again and again."""
    env.customer_writes("hello")
    env.drain()
    number = env.chatwoot.agent_reply(1, "never told of")
    env.store.delete(queue_key())
    for _ in range(5):
        assert env.told(number, event="message_updated") == "accepted:retry_check"
    assert env.store.llen(queue_key()) == 1
