"""An agent's reply on its way to the customer, and the word of what became of it: the process is
killed at every step, and another one takes over. Nothing is lost or out of order; a reply is
doubled only where it was uncertain, which is counted."""

from __future__ import annotations

import pytest

from gateway.lanes import Ledger
from gateway.model import Receipt, Status
from tests.faults.env import Env
from tests.faults.stepping import Step

ONCE = ["one", "two"]
TWICE = ["one", "one", "two"]

WORKER = [
    # where it is killed, what the customer gets, attempts of which the end is not known
    (Step("claim", "before"), ONCE, 0),
    (Step("claim", "after"), ONCE, 0),
    (Step("take", "before"), ONCE, 0),
    (Step("take", "after"), ONCE, 1),
    (Step("announce", "before"), ONCE, 1),
    (Step("announce", "after"), ONCE, 1),
    (Step("send", "before"), ONCE, 1),
    (Step("send", "after"), TWICE, 1),
    (Step("part", "before"), TWICE, 1),
    (Step("part", "after"), ONCE, 1),
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
def somebody_wrote(env: Env) -> None:
    env.customer_writes("hello")
    env.take_over(env.delivered("in", 1))
    env.reconciler().look()


@pytest.mark.parametrize(("step", "sent", "uncertain"), WORKER, ids=str)
def test_a_worker_is_killed(env: Env, step: Step, sent: list[str], uncertain: int) -> None:
    env.agent_writes("one", "two")
    env.killed(step)
    env.take_over(env.delivered("out", 2))
    assert env.sent() == sent
    assert env.count("uncertain") == uncertain


@pytest.mark.parametrize("step", WEB, ids=str)
def test_web_is_killed_and_chatwoot_never_repeats(env: Env, step: Step) -> None:
    first = env.chatwoot.agent_reply(1, "one")
    assert env.post(step, env.chatwoot_says(first)) == [False]
    second = env.chatwoot.agent_reply(1, "two")
    env.post(None, env.chatwoot_says(second))
    lost = int((step.name, step.moment) == ("append", "before"))
    assert env.reconciler().look() == lost
    env.take_over(env.delivered("out", 2))
    assert env.sent() == ONCE


@pytest.mark.parametrize("env", ["ask"], indirect=True)
def test_on_hold_what_may_have_arrived_is_shown_to_the_agent_and_goes_out_by_retry(
    env: Env,
) -> None:
    number, _ = env.agent_writes("one", "two")
    env.killed(Step("send", "after"))
    env.take_over(lambda: env.status(number) == "failed" and env.delivered("out", 1)())
    assert env.sent() == ONCE
    assert env.count("uncertain") == 1
    env.chatwoot.agent_retry(number)
    env.post(None, env.chatwoot_says(number, "message_updated"))
    env.take_over(env.delivered("out", 2))
    assert env.sent() == ["one", "two", "one"]


# What became of it


@pytest.mark.parametrize("moment", ["before", "after"])
def test_web_is_killed_at_a_receipt_and_the_network_repeats(env: Env, moment: str) -> None:
    [number] = env.agent_writes("one")
    env.take_over(env.delivered("out", 1))
    told = ("/channels/cards/webhook", {"delivered": f"o:cards:{number}#1"})
    step = Step("receipt", "before" if moment == "before" else "after")
    assert env.post(step, told) == [False]
    assert env.post(None, told) == [True]
    env.take_over(lambda: env.status(number) == "delivered")


STATUS = [
    Step("take", "after"),
    Step("status", "before"),
    Step("status", "after"),
    Step("ack", "before"),
    Step("ack", "after"),
]


@pytest.mark.parametrize("step", STATUS, ids=str)
def test_a_worker_is_killed_while_it_tells_what_became_of_a_reply(env: Env, step: Step) -> None:
    [number] = env.agent_writes("one")
    env.take_over(env.delivered("out", 1))
    Ledger(env.store).record_receipt("cards", Receipt(Status.DELIVERED, part=f"o:cards:{number}#1"))
    env.killed(step)
    env.take_over(env.delivered("status", 1))
    assert env.status(number) == "delivered"
    assert env.sent() == ["one"]


NOTE = [
    Step("take", "after"),
    Step("announce", "after"),
    Step("message", "before"),
    Step("effect", "before"),
    Step("message", "after"),
    Step("ack", "before"),
    Step("ack", "after"),
]


@pytest.mark.parametrize("step", NOTE, ids=str)
def test_a_worker_is_killed_while_it_leaves_a_note(env: Env, step: Step) -> None:
    env.leave_note("The customer is away.")
    env.killed(step)
    env.take_over(env.delivered("note", 1))
    assert [m["content"] for m in env.chatwoot.messages(1) if m["private"]] == [
        "The customer is away."
    ]
