"""An agent's reply on its way to the customer, and the word of what became of it: the process is
killed at every step, and another one takes over. Nothing is lost or out of order; a reply is
doubled only where it was uncertain, which is counted."""

from __future__ import annotations

import pytest

from gateway.model import Receipt, Status
from tests.faults.house import House, house
from tests.faults.stepping import Step

__all__ = ["house"]

ONCE = ["one", "two"]
TWICE = ["one", "one", "two"]

WORKER = [
    # where it is killed, what the customer gets, attempts of which the end is not known
    (Step("claim", "before"), ONCE, 0),
    (Step("claim", "after"), ONCE, 0),
    (Step("take", "before"), ONCE, 0),
    (Step("take", "after"), ONCE, 1),
    (Step("mark", "before"), ONCE, 1),
    (Step("mark", "after"), ONCE, 1),
    (Step("send", "before"), ONCE, 1),
    (Step("send", "after"), TWICE, 1),
    (Step("progress", "before"), TWICE, 1),
    (Step("progress", "after"), ONCE, 1),
    (Step("ack", "before"), ONCE, 1),
    (Step("ack", "after"), ONCE, 1),  # «two» was handed out with it
    (Step("send", "after", nth=2), ["one", "two", "two"], 1),
    (Step("ack", "after", nth=2), ONCE, 0),
]

WEB = [
    Step("append", "before"),
    Step("append", "after"),
    Step("ring", "before"),
    Step("ring", "after"),
]


@pytest.fixture(autouse=True)
def somebody_wrote(house: House) -> None:
    house.customer_writes("hello")
    house.take_over(house.delivered("in", 1))
    house.reconciler().look()


@pytest.mark.parametrize(("step", "sent", "uncertain"), WORKER, ids=str)
def test_a_worker_is_killed(house: House, step: Step, sent: list[str], uncertain: int) -> None:
    house.agent_writes("one", "two")
    house.killed(step)
    house.take_over(house.delivered("out", 2))
    assert house.sent() == sent
    assert house.count("uncertain") == uncertain


@pytest.mark.parametrize("step", WEB, ids=str)
def test_web_is_killed_and_chatwoot_never_repeats(house: House, step: Step) -> None:
    first = house.chatwoot.agent_reply(1, "one")
    assert house.post(step, house.chatwoot_says(first)) == [False]
    second = house.chatwoot.agent_reply(1, "two")
    house.post(None, house.chatwoot_says(second))
    lost = int((step.name, step.moment) == ("append", "before"))
    assert house.reconciler().look() == lost
    house.take_over(house.delivered("out", 2))
    assert house.sent() == ONCE


@pytest.mark.parametrize("house", ["hold"], indirect=True)
def test_on_hold_what_may_have_arrived_is_shown_to_the_agent_and_goes_out_by_retry(
    house: House,
) -> None:
    number, _ = house.agent_writes("one", "two")
    house.killed(Step("send", "after"))
    house.take_over(lambda: house.status(number) == "failed" and house.delivered("out", 1)())
    assert house.sent() == ONCE
    assert house.count("uncertain") == 1
    house.chatwoot.agent_retry(number)
    house.post(None, house.chatwoot_says(number, "message_updated"))
    house.take_over(house.delivered("out", 2))
    assert house.sent() == ["one", "two", "one"]


# What became of it


@pytest.mark.parametrize("moment", ["before", "after"])
def test_web_is_killed_at_a_receipt_and_the_network_repeats(house: House, moment: str) -> None:
    [number] = house.agent_writes("one")
    house.take_over(house.delivered("out", 1))
    told = ("/channels/cards/webhook", {"delivered": f"o:cards:{number}#1"})
    step = Step("receipt", "before" if moment == "before" else "after")
    assert house.post(step, told) == [False]
    assert house.post(None, told) == [True]
    house.take_over(lambda: house.status(number) == "delivered")


STATUS = [
    Step("take", "after"),
    Step("status", "before"),
    Step("status", "after"),
    Step("ack", "before"),
    Step("ack", "after"),
]


@pytest.mark.parametrize("step", STATUS, ids=str)
def test_a_worker_is_killed_while_it_tells_what_became_of_a_reply(house: House, step: Step) -> None:
    [number] = house.agent_writes("one")
    house.take_over(house.delivered("out", 1))
    house.lanes.receipt("cards", Receipt(Status.DELIVERED, part=f"o:cards:{number}#1"))
    house.killed(step)
    house.take_over(house.delivered("status", 1))
    assert house.status(number) == "delivered"
    assert house.sent() == ["one"]


NOTE = [
    Step("take", "after"),
    Step("mark", "after"),
    Step("message", "before"),
    Step("effect", "before"),
    Step("message", "after"),
    Step("ack", "before"),
    Step("ack", "after"),
]


@pytest.mark.parametrize("step", NOTE, ids=str)
def test_a_worker_is_killed_while_it_leaves_a_note(house: House, step: Step) -> None:
    house.leave_note("The customer is away.")
    house.killed(step)
    house.take_over(house.delivered("note", 1))
    assert [m["content"] for m in house.chatwoot.messages(1) if m["private"]] == [
        "The customer is away."
    ]
