"""What agents see of a reply: in every order of receipts, on every release, told once."""

from __future__ import annotations

from itertools import permutations

import pytest

from gateway.clock.reconcile import Reconciler
from gateway.errors import Permanent
from gateway.model import Receipt, Status
from sandbox.chatwoot.version import version_named
from tests.relay.house import House


@pytest.fixture(autouse=True)
def somebody_wrote(house: House) -> None:
    house.customer_writes("hello")
    house.drain()


def patches(house: House) -> int:
    return sum(n for (method, _), n in house.chatwoot.requests.items() if method == "PATCH")


def sent(house: House) -> int:
    number = house.agent_replies("hi")
    house.drain()
    return number


def statuses(house: House) -> dict[int, str]:
    return {message["id"]: message["status"] for message in house.chatwoot.messages(1)}


def heard(house: House, number: int, *statuses: Status) -> None:
    part = f"o:cards:{number}#1"
    items = [Receipt(status, part=part, reason="unreachable") for status in statuses]
    house.intake.take(house.channel, items)


def marked_by_chatwoot(house: House, number: int) -> None:
    """A webhook was answered late: Chatwoot marks the message, and tells of it."""
    chatwoot = house.deliveries.chatwoots["main"]
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


def test_receipts_in_every_order_told_one_by_one(house: House) -> None:
    orders = {house.agent_replies(f"to be heard of: {n}"): o for n, o in enumerate(ORDERS)}
    house.drain()
    for step in range(len(Status)):
        before, was = patches(house), statuses(house)
        for number, order in orders.items():
            for status in order[step : step + 1]:
                heard(house, number, status, status)
        house.drain()
        now = statuses(house)
        assert patches(house) - before == sum(now[number] != was[number] for number in orders)
    assert {n: statuses(house)[n] for n in orders} == {n: expected(o) for n, o in orders.items()}


def test_receipts_that_come_in_a_heap_are_told_at_most_once(house: House) -> None:
    for order in permutations(Status):
        number = house.agent_replies("hi")
        heard(house, number, *order)
    house.drain()
    told = [status for number, status in statuses(house).items() if number > 1]
    assert told == ["read"] * 24
    assert patches(house) == 24


def test_a_reason_stands_beside_a_failure_and_goes_with_it(house: House) -> None:
    number = sent(house)
    heard(house, number, Status.FAILED)
    house.drain()
    assert house.shown(number)["content_attributes"]["external_error"] == "unreachable"
    heard(house, number, Status.DELIVERED)
    house.drain()
    assert not house.shown(number)["content_attributes"].get("external_error")


@pytest.mark.parametrize(("version", "drawn"), [("4.10.1", "sent"), ("4.13.0", "delivered")])
def test_delivered_is_told_only_where_it_is_drawn_so(
    house: House, version: str, drawn: str
) -> None:
    house.chatwoot.store.version = version_named(version)
    number = sent(house)
    heard(house, number, Status.DELIVERED)
    house.drain()
    assert house.shown(number)["status"] == drawn
    assert patches(house) == (drawn == "delivered")
    heard(house, number, Status.READ)
    house.drain()
    assert house.shown(number)["status"] == "read"


def test_on_an_old_release_a_delivered_reply_that_was_red_is_so_no_more(house: House) -> None:
    house.chatwoot.store.version = version_named("4.10.1")
    number = sent(house)
    heard(house, number, Status.FAILED)
    house.drain()
    heard(house, number, Status.DELIVERED)
    house.drain()
    assert house.shown(number)["status"] == "sent"


def test_a_release_that_cannot_be_learned_counts_as_new(house: House) -> None:
    house.chatwoot.fault("html", method="GET", path="/api", times=None)
    number = sent(house)
    heard(house, number, Status.DELIVERED)
    house.drain()
    assert house.shown(number)["status"] == "delivered"


@pytest.mark.parametrize("receipt", [None, Status.DELIVERED])
def test_a_delivered_reply_that_chatwoot_marked_is_mended_once(
    house: House, receipt: Status | None
) -> None:
    number = sent(house)
    if receipt:
        heard(house, number, receipt)
        house.drain()
    marked_by_chatwoot(house, number)
    before = patches(house)
    assert house.told(number, event="message_updated") == "noted:reddened"
    house.drain()
    assert house.shown(number)["status"] == (receipt or "sent")
    assert not house.shown(number)["content_attributes"].get("external_error")
    house.told(number, event="message_updated")
    house.drain()
    assert patches(house) == before + 1


def test_a_reply_marked_before_it_was_sent_is_mended_when_it_is(house: House) -> None:
    number = house.agent_replies("hi")
    marked_by_chatwoot(house, number)
    house.told(number, event="message_updated")
    house.drain()
    assert house.shown(number)["status"] == "sent"


def test_a_reply_marked_and_given_up_shows_our_reason(house: House) -> None:
    house.network.errors = [Permanent("The customer has blocked the bot")]
    number = house.agent_replies("hi")
    marked_by_chatwoot(house, number)
    house.told(number, event="message_updated")
    house.drain()
    shown = house.shown(number)
    assert shown["content_attributes"]["external_error"] == "The customer has blocked the bot"


def test_a_mark_of_which_no_webhook_tells_is_mended_too(house: House) -> None:
    reconciler = Reconciler(
        house.channel, house.deliveries.chatwoots["main"], house.lanes, house.intake
    )
    reconciler.look()
    number = sent(house)
    marked_by_chatwoot(house, number)
    assert reconciler.look() == 0
    house.drain()
    assert house.shown(number)["status"] == "sent"


def test_in_a_flooded_conversation_a_status_waits_and_is_told_later(house: House) -> None:
    number = sent(house)
    heard(house, number, Status.DELIVERED)
    house.chatwoot.store.flood_limit = 1
    house.drain()
    assert house.shown(number)["status"] == "sent"
    house.chatwoot.store.flood_limit = None
    house.drain_until(lambda: house.shown(number)["status"] == "delivered")
    assert list(house.dead.list()) == []
