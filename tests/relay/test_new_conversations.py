"""What conversations are given when they begin: once, at a known price, whatever dies or fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import redis

from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.conversation_defaults import ConversationDefaults
from gateway.lanes import Routes, ids, keys
from gateway.model import Person
from sandbox.chatwoot import ChatwootStandIn
from tests.relay.env import Env, opened, settings_for

ADA = Person("Ada", phone="+15551230001", email="ada@example.com")
BY_ITSELF = ConversationDefaults(
    team="Sales",
    assignee="bob@sandbox.example",
    status="pending",
    custom_attributes={"plan": "gold", "seats": 3, "vip": True},
)
Build = Callable[..., Env]


class Killed(BaseException):
    """The process is no more."""


@pytest.fixture
def build(redis_url: str, store: redis.Redis) -> Iterator[Build]:
    """Makes a gateway whose channel has an defaults; its Chatwoot has a team «sales»."""
    with ExitStack() as running:
        chatwoot = running.enter_context(ChatwootStandIn())
        chatwoot.add_team("Sales", chatwoot.agent.id)

        def make(defaults: ConversationDefaults, *, lock: bool = False) -> Env:
            inbox = chatwoot.add_inbox("Cards", None, lock=lock)
            settings = settings_for(chatwoot, inbox, redis_url, conversation_defaults=defaults)
            return running.enter_context(opened(settings, chatwoot, store))

        yield make


def only(env: Env) -> dict[str, Any]:
    [conversation] = env.chatwoot.conversations()
    return conversation


def asked(env: Env, ending: str) -> int:
    requests = env.chatwoot.requests.items()
    return sum(count for (_, route), count in requests if route.endswith(ending))


def known(env: Env) -> None:
    """The gateway has asked for the inbox, teams and agents, which it does once in five minutes."""
    env.customer_writes("somebody else", peer="p0", person=Person())
    env.drain()


def cost(env: Env, text: str) -> int:
    before = env.chatwoot.requests.total()
    env.customer_writes(text, person=ADA)
    env.drain()
    return env.chatwoot.requests.total() - before


def newest(env: Env) -> dict[str, Any]:
    return max(env.chatwoot.conversations(), key=lambda shown: int(shown["id"]))


def test_what_chatwoot_takes_with_the_conversation_costs_no_call(build: Build) -> None:
    env = build(BY_ITSELF)
    known(env)
    assert [cost(env, text) for text in ("one", "two", "three")] == [4, 1, 1]
    shown = newest(env)
    assert shown["status"] == "pending"
    assert shown["meta"]["team"]["name"] == "sales"
    assert shown["meta"]["assignee"]["email"] == "bob@sandbox.example"
    assert shown["custom_attributes"] == {"plan": "gold", "seats": 3, "vip": True}


@pytest.mark.parametrize(
    ("more", "calls"),
    [
        ({"labels": ("telegram", "new")}, 5),
        ({"priority": "high"}, 5),
        ({"labels": ("telegram", "new"), "priority": "high"}, 6),
    ],
)
def test_labels_and_priority_cost_a_call_each_when_it_begins(
    build: Build, more: dict[str, Any], calls: int
) -> None:
    env = build(BY_ITSELF.model_copy(update=more))
    known(env)
    assert [cost(env, text) for text in ("one", "two")] == [calls, 1]
    shown = newest(env)
    assert tuple(shown["labels"]) == more.get("labels", ())
    assert shown["priority"] == more.get("priority")


def test_without_an_opening_nothing_is_asked_for(env: Env) -> None:
    known(env)
    assert cost(env, "one") == 4
    assert asked(env, "/teams") + asked(env, "/agents") + asked(env, "/labels") == 0


def test_numbers_do_as_well_as_names(build: Build) -> None:
    env = build(ConversationDefaults(team="1", assignee=2))
    known(env)
    meta = only(env)["meta"]
    assert (meta["team"]["id"], meta["assignee"]["id"]) == (1, 2)


def test_only_a_conversation_that_begins_is_given_anything(build: Build) -> None:
    env = build(ConversationDefaults(labels=("new",), priority="low"))
    known(env)
    api = Chatwoot(env.chatwoot.url, 1, env.channel.account.token)
    api.set_labels(1, [])
    api.set_priority(1, None)
    Routes(env.store).forget_conversation(ids.inbound_lane("cards", "p0"), "1")
    env.customer_writes("it goes on", peer="p0")
    env.drain()
    assert (only(env)["labels"], only(env)["priority"]) == ([], None)
    api.close()


@pytest.mark.parametrize(
    "defaults",
    [
        ConversationDefaults(team="Nobody", labels=("new",)),
        ConversationDefaults(team=99, labels=("new",)),
        ConversationDefaults(assignee="nobody@example.org", labels=("new",)),
    ],
)
def test_a_name_that_is_not_there_holds_up_nobody(
    build: Build, defaults: ConversationDefaults, caplog: pytest.LogCaptureFixture
) -> None:
    env = build(defaults)
    known(env)
    assert env.incoming() == ["somebody else"]
    assert only(env)["labels"] == ["new"]
    assert "conversation_incomplete" in caplog.messages


@pytest.mark.parametrize("fault", [{"status": 401, "body": "{}"}, {"status": 500}])
def test_a_list_that_cannot_be_had_holds_up_nobody_and_is_asked_for_again(
    build: Build, fault: dict[str, Any]
) -> None:
    env = build(ConversationDefaults(team="Sales"))
    env.chatwoot.fault("status", path="*/teams", **fault)
    known(env)
    assert env.incoming() == ["somebody else"]
    assert "team" not in only(env)["meta"]
    cost(env, "one")
    assert newest(env)["meta"]["team"]["name"] == "sales"


def test_with_chatwoot_away_a_conversation_waits_for_its_team(build: Build) -> None:
    env = build(ConversationDefaults(team="Sales"))
    env.chatwoot.fault("drop", path="*/teams")
    env.customer_writes("one")
    env.drain_until(lambda: env.count("delivered_in") == 1)
    assert only(env)["meta"]["team"]["name"] == "sales"


def test_what_chatwoot_refuses_is_left_out(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    env = build(ConversationDefaults(status="pending"))
    refusal = '{"message": "no", "attributes": ["status"]}'
    env.chatwoot.fault("status", method="POST", path="*/conversations", status=422, body=refusal)
    known(env)
    assert env.incoming() == ["somebody else"]
    assert only(env)["status"] == "open"
    assert "conversation_incomplete" in caplog.messages


@pytest.mark.parametrize("path", ["*/labels", "*/toggle_priority"])
@pytest.mark.parametrize("status", [404, 422, 500])
def test_labels_that_are_refused_for_ever_hold_up_nobody(
    build: Build, path: str, status: int
) -> None:
    env = build(ConversationDefaults(labels=("new",), priority="low"))
    env.chatwoot.fault("status", method="POST", path=path, status=status, times=None)
    env.customer_writes("one")
    env.drain_until(lambda: env.count("delivered_in") == 1)
    assert env.incoming() == ["one"]
    assert not env.store.xlen(keys.DEAD_LETTERS)


@pytest.mark.parametrize("kind", ["lose", "drop", "status"])
@pytest.mark.parametrize("path", ["*/labels", "*/toggle_priority"])
def test_a_passing_fault_is_repeated_and_makes_the_message_no_doubt(
    build: Build, path: str, kind: str
) -> None:
    env = build(ConversationDefaults(labels=("new",), priority="low"))
    env.chatwoot.fault(kind, method="POST", path=path)
    env.customer_writes("one")
    env.drain_until(lambda: env.count("delivered_in") == 1)
    assert (only(env)["labels"], only(env)["priority"]) == (["new"], "low")
    assert env.incoming() == ["one"]
    assert env.count("uncertain") == 0


@contextmanager
def killed_at(call: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The worker dies as it is about to make a call."""

    def die(*args: object, **kwargs: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Chatwoot, call, die)
        yield


DEATHS = ["set_labels", "set_priority", "create_message"]


@pytest.mark.parametrize("call", DEATHS)
@pytest.mark.parametrize("lock", [False, True])
def test_after_a_death_what_was_left_to_do_is_done(
    build: Build, monkeypatch: pytest.MonkeyPatch, call: str, lock: bool
) -> None:
    env = build(ConversationDefaults(labels=("new",), priority="low"), lock=lock)
    env.customer_writes("one", person=ADA)
    with killed_at(call, monkeypatch):
        env.drain()
    assert env.incoming() == []
    # Meanwhile a rule labels it, too.
    rules = Chatwoot(env.chatwoot.url, 1, env.channel.account.token)
    rules.set_labels(1, ["by-a-rule", *only(env)["labels"]])
    rules.close()
    env.make_due()
    env.drain_until(lambda: env.count("delivered_in") == 1)
    assert set(only(env)["labels"]) == {"new", "by-a-rule"}
    assert only(env)["priority"] == "low"
    assert env.incoming() == ["one"]


def test_a_death_before_the_answer_to_the_new_conversation_is_made_good_too(build: Build) -> None:
    env = build(ConversationDefaults(labels=("new",), priority="low"))
    env.chatwoot.fault("lose", method="POST", path="*/conversations")
    env.customer_writes("one", person=ADA)
    env.drain_until(lambda: env.count("delivered_in") == 1)
    assert (only(env)["labels"], only(env)["priority"]) == (["new"], "low")


def test_a_priority_that_somebody_gave_it_meanwhile_stays(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = build(ConversationDefaults(priority="low"))
    env.customer_writes("one")
    with killed_at("set_priority", monkeypatch):
        env.drain()
    agent = Chatwoot(env.chatwoot.url, 1, env.channel.account.token)
    agent.set_priority(1, "urgent")
    agent.close()
    env.make_due()
    env.drain_until(lambda: env.count("delivered_in") == 1)
    assert only(env)["priority"] == "urgent"


def test_what_an_agent_took_off_does_not_come_back_with_a_late_repetition(build: Build) -> None:
    env = build(ConversationDefaults(labels=("new",)))
    env.chatwoot.fault("drop", method="POST", path="*/messages")
    env.customer_writes("one")
    env.drain()
    agent = Chatwoot(env.chatwoot.url, 1, env.channel.account.token)
    agent.set_labels(1, [])
    agent.close()
    env.drain_until(lambda: env.count("delivered_in") == 1)
    assert only(env)["labels"] == []


def test_in_a_locked_inbox_an_old_conversation_is_given_nothing(build: Build) -> None:
    env = build(ConversationDefaults(labels=("new",), priority="low"), lock=True)
    known(env)
    desk = Chatwoot(env.chatwoot.url, 1, env.channel.account.token)
    desk.set_labels(1, [])
    desk.set_priority(1, None)
    desk.close()
    env.chatwoot.agent_resolve(1)
    Routes(env.store).forget_conversation(ids.inbound_lane("cards", "p0"), "1")
    env.chatwoot.fault("drop", path="*/messages")
    env.customer_writes("again", peer="p0")
    env.drain_until(lambda: env.count("delivered_in") == 2)
    assert (only(env)["labels"], only(env)["priority"]) == ([], None)


def test_in_a_locked_inbox_what_somebody_has_just_begun_is_given_nothing(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chatwoot answers with it, as if it had been made."""
    env = build(ConversationDefaults(labels=("new",)), lock=True)
    inbox = env.channel.config.inbox
    api = Chatwoot(env.chatwoot.url, 1, env.channel.account.token)
    ada = api.create_contact(inbox, "p1", "Ada").id
    look = Chatwoot.conversations_of

    def then_an_agent_begins(self: Chatwoot, *args: Any) -> Any:
        found = look(self, *args)
        env.chatwoot.agent_start_conversation(ada, inbox, "hello?")
        return found

    monkeypatch.setattr(Chatwoot, "conversations_of", then_an_agent_begins)
    env.customer_writes("one")
    env.drain()
    api.close()
    assert only(env)["labels"] == []
    assert [m["content"] for m in env.chatwoot.messages(1)] == ["hello?", "one"]


def test_an_old_list_of_teams_is_better_than_none(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = build(ConversationDefaults(team="Sales"))
    known(env)
    monkeypatch.setattr(env.deliveries.teams["main"], "_seconds", 0.0)
    env.chatwoot.fault("status", path="*/teams", status=500)
    cost(env, "one")
    assert newest(env)["meta"]["team"]["name"] == "sales"
