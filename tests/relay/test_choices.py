"""Which conversation a customer's message goes into: of whom agents have blocked, and when somebody
else begins a newer one."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.chatwoot.client import Chatwoot
from gateway.lanes import keys
from gateway.model import Person
from tests.relay.env import Env
from tests.relay.two_channel_env import EMAIL, PHONE, TwoChannelEnv

CREATED, STATUS = "conversation_created", "conversation_status_changed"


def statuses(env: Env) -> dict[int, str]:
    shown = {c["id"]: c["status"] for c in env.chatwoot.conversations()}
    return dict(sorted(shown.items()))


def cost(env: Env, text: str) -> int:
    before = env.chatwoot.requests.total()
    env.customer_writes(text)
    env.drain()
    return env.chatwoot.requests.total() - before


def forgotten(env: Env) -> None:
    """The gateway has not heard of this person for a long time."""
    env.store.delete(keys.route("in/cards/p1"))


def time_passes(env: Env) -> None:
    """Long enough to look again whether a contact is blocked."""
    env.store.hset(keys.route("in/cards/p1"), "blocked", "1")


def blocked(env: Env) -> None:
    """Somebody wrote, and an agent has blocked them; Chatwoot tells only that it is resolved."""
    cost(env, "hello")
    env.chatwoot.agent_blocks(1)
    env.told_of(1, STATUS)


def test_a_blocked_contact_fills_one_conversation_and_opens_none(env: Env) -> None:
    blocked(env)
    assert [cost(env, f"spam {n}") for n in range(5)] == [3, 1, 1, 1, 1]
    assert statuses(env) == {1: "resolved"}
    assert env.incoming() == ["hello", *(f"spam {n}" for n in range(5))]


def test_a_blocked_contact_whom_we_have_forgotten_goes_on_in_the_latest(env: Env) -> None:
    blocked(env)
    for number in range(5):
        cost(env, f"spam {number}")
        forgotten(env)
    assert statuses(env) == {1: "resolved"}


def test_a_blocked_contact_without_a_conversation_gets_one_that_is_born_resolved(
    env: Env,
) -> None:
    blocked(env)
    with env.chatwoot.store.changing():
        [row] = env.chatwoot.store.conversations
        del env.chatwoot.store.conversations.rows[row.id]
    for number in range(5):
        cost(env, f"spam {number}")
    assert statuses(env) == {2: "resolved"}


def test_who_is_unblocked_begins_anew(env: Env) -> None:
    blocked(env)
    cost(env, "spam")
    env.chatwoot.agent_unblocks(1)
    time_passes(env)
    cost(env, "sorry")
    assert statuses(env) == {1: "resolved", 2: "open"}
    assert [cost(env, text) for text in ("hello?", "anybody?")] == [1, 1]
    assert env.incoming()[-3:] == ["sorry", "hello?", "anybody?"]
    env.chatwoot.agent_resolve(2)
    env.told_of(2, STATUS)
    cost(env, "one more thing")
    assert statuses(env) == {1: "resolved", 2: "resolved", 3: "open"}


def test_who_stays_blocked_stays_there_when_that_is_looked_at_again(env: Env) -> None:
    blocked(env)
    cost(env, "spam")
    time_passes(env)
    assert [cost(env, text) for text in ("spam again", "and again")] == [3, 1]
    assert statuses(env) == {1: "resolved"}


def agent_begins(env: Env) -> int:
    """A second conversation with p1, from the dashboard."""
    [row] = env.chatwoot.store.contacts
    return env.chatwoot.agent_start_conversation(row.id, env.channel.config.inbox, "news")


def test_the_next_message_goes_into_a_newer_conversation_that_an_agent_began(env: Env) -> None:
    cost(env, "one")
    newer = agent_begins(env)
    assert env.told_of(newer, CREATED) == "noted:conversation_started"
    assert cost(env, "two") == 3
    assert cost(env, "three") == 1
    texts = [m["content"] for m in env.chatwoot.messages(newer)]
    assert texts == ["news", "two", "three"]


def test_a_repeated_or_late_word_of_it_changes_nothing(env: Env) -> None:
    cost(env, "one")
    newer = agent_begins(env)
    env.told_of(newer, CREATED)
    cost(env, "two")
    assert env.told_of(newer, CREATED) == "ignored:ConversationCreated"
    assert env.told_of(1, CREATED) == "ignored:ConversationCreated"
    assert cost(env, "three") == 1


def test_it_is_heard_while_a_message_is_on_its_way_to_the_older_one(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost(env, "one")
    post = Chatwoot.create_message

    def as_an_agent_begins(self: Chatwoot, *args: Any, **more: Any) -> Any:
        env.told_of(agent_begins(env), CREATED)
        return post(self, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Chatwoot, "create_message", as_an_agent_begins)
        cost(env, "two")
    assert cost(env, "three") == 3
    assert cost(env, "four") == 1
    assert [m["content"] for m in env.chatwoot.messages(1)] == ["one", "two"]
    assert [m["content"] for m in env.chatwoot.messages(2)] == ["news", "three", "four"]


def test_a_message_that_is_found_in_the_older_one_does_not_bring_that_back(env: Env) -> None:
    cost(env, "one")
    env.chatwoot.fault("lose", method="POST", path="*/messages")
    cost(env, "two")
    env.told_of(agent_begins(env), CREATED)
    env.drain_until(lambda: env.count("delivered_in") == 2)
    cost(env, "three")
    assert [m["content"] for m in env.chatwoot.messages(1)] == ["one", "two"]
    assert [m["content"] for m in env.chatwoot.messages(2)] == ["news", "three"]


def test_a_newer_one_that_is_resolved_already_costs_one_look(env: Env) -> None:
    cost(env, "one")
    newer = agent_begins(env)
    env.told_of(newer, CREATED)
    env.chatwoot.agent_resolve(newer)
    assert [cost(env, text) for text in ("two", "three")] == [3, 1]
    env.told_of(newer, CREATED)  # Chatwoot may say a thing twice
    assert cost(env, "four") == 1
    assert [m["content"] for m in env.chatwoot.messages(1)] == ["one", "two", "three", "four"]


def test_what_we_began_ourselves_is_no_news_after_it(env: Env) -> None:
    cost(env, "one")
    assert env.told_of(1, CREATED) == "ignored:ConversationCreated"
    assert cost(env, "two") == 1


def test_what_we_began_ourselves_is_no_news_before_it_either(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = Chatwoot.create_message

    def as_we_hear_of_it(self: Chatwoot, conversation: int, *args: Any, **more: Any) -> Any:
        env.told_of(conversation, CREATED)
        return post(self, conversation, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Chatwoot, "create_message", as_we_hear_of_it)
        cost(env, "one")
        env.chatwoot.agent_resolve(1)
        env.told_of(1, STATUS)
        cost(env, "two")
    assert statuses(env) == {1: "resolved", 2: "open"}
    assert cost(env, "three") == 1


def test_a_stranger_s_conversation_leaves_nothing_behind(env: Env) -> None:
    cost(env, "one")
    newer = agent_begins(env)
    env.store.flushdb()
    env.told_of(newer, CREATED)
    assert list(env.store.scan_iter(keys.route("*"))) == []


def test_a_thread_stays_in_its_conversation(pair: TwoChannelEnv) -> None:
    env = pair.env
    pair.customer_writes("letters", "one", EMAIL, thread="t1")
    pair.deliver()
    [ada] = pair.contacts()
    inbox = pair.channel("letters").config.inbox
    newer = pair.chatwoot.agent_start_conversation(ada.id, inbox, "news")
    assert pair.told_of("letters", newer, CREATED) == "ignored:ConversationCreated"
    before = pair.requests()
    pair.customer_writes("letters", "two", EMAIL, thread="t1")
    pair.deliver()
    assert pair.requests() == before + 1
    assert env.incoming() == ["one", "two"]
    assert pair.texts(1) == ["one", "two"]


def test_what_an_agent_began_with_a_made_up_address_is_known_by_its_reply(
    pair: TwoChannelEnv,
) -> None:
    ada = pair.add_contact(phone_number=PHONE)
    begun = pair.agent_begins("phones", ada, "hello?")
    pair.deliver()
    assert pair.told_of("phones", begun, CREATED) == "ignored:ConversationCreated"
    before = pair.requests()
    pair.customer_writes("phones", "yes?", PHONE, person=Person())
    pair.deliver()
    assert pair.requests() == before + 1
    assert pair.texts(begun) == ["hello?", "yes?"]
