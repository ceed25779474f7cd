"""A customer's message on its way to Chatwoot: the process is killed at every step, and another one
takes over. Each message is there once, in order, in one conversation of one contact."""

from __future__ import annotations

import pytest

from tests.faults.env import Env, customer_says
from tests.faults.stepping import Step

WEB = [
    Step("append", "before"),
    Step("append", "after"),
    Step("append", "before", nth=2),
    Step("ring", "before"),
    Step("ring", "after"),
]

FIRST_CONTACT = [
    Step("claim", "before"),
    Step("claim", "after"),
    Step("take", "before"),
    Step("take", "after"),
    Step("announce", "before"),
    Step("announce", "after"),
    Step("contact", "before"),
    Step("effect", "before", nth=1),
    Step("contact", "after"),
    Step("announce", "after", nth=2),
    Step("effect", "before", nth=2),
    Step("conversation", "after"),
    Step("announce", "after", nth=3),
    Step("message", "before"),
    Step("effect", "before", nth=3),
    Step("message", "after"),
    Step("ack", "before"),
    Step("ack", "after"),
]

NEXT_MESSAGE = [
    Step("message", "before", nth=2),
    Step("effect", "before", nth=4),
    Step("message", "after", nth=2),
    Step("ack", "before", nth=2),
    Step("ack", "after", nth=2),
]


def assert_all_is_there_once(env: Env) -> None:
    assert env.shown() == ["one", "two", "three"]
    assert len(env.chatwoot.conversations()) == 1
    assert len(list(env.chatwoot.store.contacts)) == 1


@pytest.mark.parametrize("step", WEB, ids=str)
def test_web_is_killed_and_the_network_repeats(env: Env, step: Step) -> None:
    says = [customer_says(text) for text in ("one", "two", "three")]
    assert not all(env.post(step, *says))
    env.take_over(lambda: True)  # what was stored is delivered before it is repeated
    assert all(env.post(None, *says))
    env.take_over(env.delivered("in", 3))
    assert_all_is_there_once(env)


def test_web_is_killed_behind_the_append_and_the_network_never_repeats(env: Env) -> None:
    assert env.post(Step("append", "after"), customer_says("one")) == [False]
    env.customer_writes("two", "three")
    env.take_over(env.delivered("in", 3))
    assert_all_is_there_once(env)


@pytest.mark.parametrize("step", [*FIRST_CONTACT, *NEXT_MESSAGE], ids=str)
def test_a_worker_is_killed(env: Env, step: Step) -> None:
    env.customer_writes("one", "two", "three")
    env.killed(step)
    env.take_over(env.delivered("in", 3))
    assert_all_is_there_once(env)
