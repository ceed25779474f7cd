"""What agents see of a reply: in every order of receipts, on every release, told once."""

from __future__ import annotations

from itertools import permutations

import pytest

from gateway.clock.reconcile import Reconciler
from gateway.errors import Permanent
from gateway.intake.doorbell import queue_key
from gateway.lanes import KeyValues, Ledger
from gateway.model import Receipt, Status
from sandbox.chatwoot.version import version_named
from tests.relay.env import Env


@pytest.fixture(autouse=True)
def somebody_wrote(env: Env) -> None:
    env.customer_writes("hello")
    env.drain()


def patches(env: Env) -> int:
    return sum(n for (method, _), n in env.chatwoot.requests.items() if method == "PATCH")


def sent(env: Env) -> int:
    number = env.agent_replies("hi")
    env.drain()
    return number


def statuses(env: Env) -> dict[int, str]:
    return {message["id"]: message["status"] for message in env.chatwoot.messages(1)}


def heard(env: Env, number: int, *statuses: Status) -> None:
    part = f"o:cards:{number}#1"
    items = [Receipt(status, part=part, reason="unreachable") for status in statuses]
    env.intake.take(env.channel, items)


def rings(env: Env) -> int:
    return int(env.store.llen(queue_key()))


def test_receipts_alone_ring(env: Env) -> None:
    number = sent(env)
    env.store.delete(queue_key())
    heard(env, number, Status.DELIVERED, Status.READ)
    assert rings(env) == 1
    heard(env, number, Status.READ)
    assert rings(env) == 1, "nobody has heard the first ring yet"


def test_a_receipt_that_must_wait_for_its_message_rings_nobody(env: Env) -> None:
    env.store.delete(queue_key())
    env.intake.take(env.channel, [Receipt(Status.READ, external_id="of a message to come")])
    assert rings(env) == 0


def test_a_deletion_of_what_was_sent_rings(env: Env) -> None:
    number = sent(env)
    env.store.delete(queue_key())
    env.chatwoot.agent_delete(number)
    assert env.told(number, event="message_updated") == "withdrawn:delete"
    assert rings(env) == 1


def marked_by_chatwoot(env: Env, number: int) -> None:
    """A webhook was answered late: Chatwoot marks the message, and tells of it."""
    chatwoot = env.deliveries.chatwoots["main"]
    chatwoot.update_status(1, number, Status.FAILED, "Timed out reading data from server")


def expected(order: tuple[Status, ...]) -> Status:
    """Delivered and read stay; failed is the last word only where neither was heard before or
    after it."""
    if Status.READ in order:
        return Status.READ
    if Status.DELIVERED in order:
        return Status.DELIVERED
    return Status.FAILED if Status.FAILED in order else Status.SENT


ORDERS = [
    order for length in range(1, len(Status) + 1) for order in permutations(list(Status), length)
]


def test_receipts_in_every_order_told_one_by_one(env: Env) -> None:
    orders = {env.agent_replies(f"to be heard of: {n}"): o for n, o in enumerate(ORDERS)}
    env.drain()
    for step in range(len(Status)):
        before, was = patches(env), statuses(env)
        for number, order in orders.items():
            for status in order[step : step + 1]:
                heard(env, number, status, status)
        env.drain()
        now = statuses(env)
        assert patches(env) - before == sum(now[number] != was[number] for number in orders)
    assert {n: statuses(env)[n] for n in orders} == {n: expected(o) for n, o in orders.items()}


def test_receipts_that_come_in_a_heap_are_told_at_most_once(env: Env) -> None:
    for order in permutations(Status):
        number = env.agent_replies("hi")
        heard(env, number, *order)
    env.drain()
    told = [status for number, status in statuses(env).items() if number > 1]
    assert told == ["read"] * 24
    assert patches(env) == 24


def test_a_reason_stands_beside_a_failure_and_goes_with_it(env: Env) -> None:
    number = sent(env)
    heard(env, number, Status.FAILED)
    env.drain()
    assert env.shown(number)["content_attributes"]["external_error"] == "unreachable"
    heard(env, number, Status.DELIVERED)
    env.drain()
    assert not env.shown(number)["content_attributes"].get("external_error")


@pytest.mark.parametrize(("version", "drawn"), [("4.10.1", "sent"), ("4.13.0", "delivered")])
def test_delivered_is_told_only_where_it_is_drawn_so(env: Env, version: str, drawn: str) -> None:
    env.chatwoot.store.version = version_named(version)
    number = sent(env)
    heard(env, number, Status.DELIVERED)
    env.drain()
    assert env.shown(number)["status"] == drawn
    assert patches(env) == (drawn == "delivered")
    heard(env, number, Status.READ)
    env.drain()
    assert env.shown(number)["status"] == "read"


def test_on_an_old_release_a_delivered_reply_that_was_red_is_so_no_more(env: Env) -> None:
    env.chatwoot.store.version = version_named("4.10.1")
    number = sent(env)
    heard(env, number, Status.FAILED)
    env.drain()
    heard(env, number, Status.DELIVERED)
    env.drain()
    assert env.shown(number)["status"] == "sent"


def test_a_release_that_cannot_be_learned_counts_as_new(env: Env) -> None:
    env.chatwoot.fault("html", method="GET", path="/api", times=None)
    number = sent(env)
    heard(env, number, Status.DELIVERED)
    env.drain()
    assert env.shown(number)["status"] == "delivered"


@pytest.mark.parametrize("receipt", [None, Status.DELIVERED])
def test_a_delivered_reply_that_chatwoot_marked_is_mended_once(
    env: Env, receipt: Status | None
) -> None:
    number = sent(env)
    if receipt:
        heard(env, number, receipt)
        env.drain()
    marked_by_chatwoot(env, number)
    before = patches(env)
    assert env.told(number, event="message_updated") == "noted:marked_failed"
    env.drain()
    assert env.shown(number)["status"] == (receipt or "sent")
    assert not env.shown(number)["content_attributes"].get("external_error")
    env.told(number, event="message_updated")
    env.drain()
    assert patches(env) == before + 1


def test_a_reply_marked_before_it_was_sent_is_mended_when_it_is(env: Env) -> None:
    number = env.agent_replies("hi")
    marked_by_chatwoot(env, number)
    env.told(number, event="message_updated")
    env.drain()
    assert env.shown(number)["status"] == "sent"


def test_a_reply_marked_and_given_up_shows_our_reason(env: Env) -> None:
    env.network.errors = [Permanent("The customer has blocked the bot")]
    number = env.agent_replies("hi")
    marked_by_chatwoot(env, number)
    env.told(number, event="message_updated")
    env.drain()
    shown = env.shown(number)
    assert shown["content_attributes"]["external_error"] == "The customer has blocked the bot"


def test_a_mark_of_which_no_webhook_tells_is_mended_too(env: Env) -> None:
    reconciler = Reconciler(
        env.channel,
        env.deliveries.chatwoots["main"],
        Ledger(env.store),
        KeyValues(env.store),
        env.intake,
    )
    reconciler.look()
    number = sent(env)
    marked_by_chatwoot(env, number)
    assert reconciler.look() == 0
    env.drain()
    assert env.shown(number)["status"] == "sent"


def test_in_a_flooded_conversation_a_status_waits_and_is_told_later(env: Env) -> None:
    number = sent(env)
    heard(env, number, Status.DELIVERED)
    env.chatwoot.store.flood_limit = 1
    env.drain()
    assert env.shown(number)["status"] == "sent"
    env.chatwoot.store.flood_limit = None
    env.drain_until(lambda: env.shown(number)["status"] == "delivered")
    assert list(env.dead.list()) == []
