"""Whatever Chatwoot answers: the right kind of error, and the right view for the agent afterwards.

Each trouble is played where a customer's message is posted, where a status is told, and where
Chatwoot is only asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.errors import NotAllowed
from gateway.chatwoot.values import Message
from gateway.clock.reconcile import Reconciler
from gateway.errors import (
    BadCredentials,
    DeliveryError,
    Permanent,
    ServerTrouble,
    Throttled,
    Uncertain,
    Unreachable,
)
from gateway.lanes import Backlog, KeyValues, Ledger, Taken, keys
from gateway.model import Receipt, Status
from gateway.relay import lane_worker
from gateway.relay.retry_policy import REFUSALS, Bury, Defer, Patience, decide
from tests.relay.env import Env

HTML = "<html><body>Please wait</body></html>"
DENIED = '{"error":"You are not authorized to do this action"}'
Meaning = type[DeliveryError]


@dataclass(frozen=True)
class Trouble:
    """A fault of the stand-in's, and what it means to whoever writes, and to whoever asks."""

    kind: str
    write: Meaning
    ask: Meaning
    fault: Mapping[str, Any] = field(default_factory=dict)


def answered(status: int, body: str, content_type: str = "application/json") -> dict[str, Any]:
    return {"status": status, "body": body, "content_type": content_type}


TROUBLES = {
    "down": Trouble("drop_unread", Uncertain, Unreachable),
    "gone while it was asked": Trouble("drop", Uncertain, Unreachable),
    "silent": Trouble("silence", Uncertain, Unreachable, {"seconds": 0.1}),
    "answers and nobody hears it": Trouble("lose", Uncertain, Unreachable),
    "half an answer": Trouble("half", Uncertain, Unreachable),
    "401 forbidden": Trouble("status", NotAllowed, NotAllowed, answered(401, DENIED)),
    "404 of a proxy": Trouble("status", ServerTrouble, ServerTrouble, answered(404, HTML)),
    "429": Trouble("status", Throttled, Throttled, answered(429, "Retry later\n", "text/plain")),
    "500": Trouble("status", ServerTrouble, ServerTrouble),
    "502": Trouble("status", Uncertain, ServerTrouble, answered(502, HTML, "text/html")),
    "503": Trouble("status", ServerTrouble, ServerTrouble, answered(503, HTML, "text/html")),
    "a page": Trouble("html", Uncertain, ServerTrouble),
    "nothing": Trouble("empty", Uncertain, ServerTrouble),
}


@pytest.fixture(params=sorted(TROUBLES))
def trouble(request: pytest.FixtureRequest) -> Trouble:
    return TROUBLES[request.param]


@pytest.fixture
def met(monkeypatch: pytest.MonkeyPatch) -> list[Meaning]:
    """The classes of the errors that deliveries ended with."""
    kinds: list[Meaning] = []

    def noted(error: DeliveryError, taken: Taken, patience: Patience) -> Defer | Bury:
        kinds.append(type(error))
        return decide(error, taken, patience)

    monkeypatch.setattr(lane_worker, "decide", noted)
    return kinds


@pytest.fixture(autouse=True)
def somebody_wrote(env: Env) -> None:
    env.customer_writes("first")
    env.drain()


def befalls(env: Env, trouble: Trouble, method: str, path: str) -> None:
    env.chatwoot.fault(trouble.kind, method=method, path=path, **trouble.fault)


def nothing_is_left_over(env: Env) -> None:
    assert list(env.dead.list()) == []
    assert {gate.state for gate in Backlog(env.store).read().gates} <= {"open"}


def test_a_customers_message_arrives_once_and_in_its_place(
    env: Env, trouble: Trouble, met: list[Meaning]
) -> None:
    befalls(env, trouble, "POST", "*/messages")
    env.customer_writes("second")
    env.customer_writes("third")
    env.drain_until(lambda: env.count("delivered_in") == 3)
    assert met == [trouble.write]
    assert env.incoming() == ["first", "second", "third"]
    nothing_is_left_over(env)


@pytest.mark.parametrize("path", ["*/contacts", "*/conversations"])
def test_a_new_customer_is_one_contact_with_one_conversation(
    env: Env, trouble: Trouble, path: str
) -> None:
    befalls(env, trouble, "POST", path)
    env.customer_writes("hello", peer="p2")
    env.drain_until(lambda: env.count("delivered_in") == 2)
    assert env.incoming() == ["first", "hello"]
    assert len(list(env.chatwoot.store.contacts)) == 2
    assert len(env.chatwoot.conversations()) == 2
    nothing_is_left_over(env)


def test_who_has_an_address_is_asked_again(env: Env, trouble: Trouble, met: list[Meaning]) -> None:
    env.store.delete(keys.route("in/cards/p1"))
    befalls(env, trouble, "POST", "*/contact_inboxes/filter")
    env.customer_writes("second")
    env.drain_until(lambda: env.count("delivered_in") == 2)
    assert met == [trouble.ask]
    assert env.incoming() == ["first", "second"]
    assert len(env.chatwoot.conversations()) == 1
    nothing_is_left_over(env)


@pytest.mark.parametrize("status", [Status.DELIVERED, Status.FAILED])
def test_the_agent_sees_in_the_end_what_became_of_a_reply(
    env: Env, trouble: Trouble, met: list[Meaning], status: Status
) -> None:
    number = env.agent_replies("hi")
    env.drain()
    befalls(env, trouble, "PATCH", "*/messages/*")
    receipt = Receipt(status, part=f"o:cards:{number}#1", reason="The phone is off")
    env.intake.take(env.channel, [receipt])
    env.drain_until(lambda: env.count("delivered_status") == 1)
    assert met == [trouble.write]
    shown = env.shown(number)
    assert shown["status"] == status
    error = "The phone is off" if status is Status.FAILED else None
    assert shown["content_attributes"].get("external_error") == error
    assert [part.text for part in env.network.sent] == ["hi"]
    nothing_is_left_over(env)


def test_a_press_of_retry_is_looked_up_again(
    env: Env, trouble: Trouble, met: list[Meaning]
) -> None:
    env.network.errors = [Permanent("Not today")]
    number = env.agent_replies("hi")
    env.drain()
    assert env.shown(number)["status"] == "failed"
    met.clear()
    befalls(env, trouble, "GET", "*/messages")
    env.chatwoot.agent_retry(number)
    env.told(number, event="message_updated")
    env.drain_until(lambda: env.network.sent)
    assert met == [trouble.ask]
    assert [part.text for part in env.network.sent] == ["hi"]
    assert env.shown(number)["status"] == "sent"
    nothing_is_left_over(env)


@pytest.mark.parametrize("path", ["*/conversations", "*/messages"])
def test_what_was_missed_is_found_by_the_next_look(env: Env, trouble: Trouble, path: str) -> None:
    chatwoot: Chatwoot = env.deliveries.chatwoots["main"]
    reconciler = Reconciler(
        env.channel, chatwoot, Ledger(env.store), KeyValues(env.store), env.intake
    )
    reconciler.look()
    number = env.chatwoot.agent_reply(1, "hi")
    befalls(env, trouble, "GET", path)
    with pytest.raises(trouble.ask):
        reconciler.look()
    assert reconciler.look() == 1
    env.drain()
    assert [part.text for part in env.network.sent] == ["hi"]
    assert env.shown(number)["status"] == "sent"


# What means something else in one place than in another


def test_a_refused_token_stops_everything_until_it_is_mended(env: Env, met: list[Meaning]) -> None:
    env.chatwoot.fault("status", times=None, **answered(401, '{"error":"Invalid Access Token"}'))
    env.customer_writes("second")
    env.drain()
    [gate] = [
        each for each in Backlog(env.store).read().gates if each.destination == "chatwoot/main"
    ]
    assert met == [BadCredentials]
    assert gate.state != "open"
    assert "access token" in gate.reason
    env.chatwoot.clear_faults()
    env.drain_until(lambda: env.count("delivered_in") == 2)
    assert env.incoming() == ["first", "second"]
    nothing_is_left_over(env)


@pytest.mark.parametrize(
    "body",
    [
        '{"error":"Validation failed: Too many messages"}',
        '{"message":"Too many messages","attributes":["base"]}',
    ],
)
def test_a_422_of_either_kind_holds_a_customers_message_up_only(
    env: Env, met: list[Meaning], body: str
) -> None:
    env.chatwoot.fault("status", method="POST", path="*/messages", **answered(422, body))
    env.customer_writes("second")
    env.drain_until(lambda: env.count("delivered_in") == 2)
    assert met == [ServerTrouble]
    assert env.incoming() == ["first", "second"]
    nothing_is_left_over(env)


def test_what_a_firewall_never_lets_through_does_not_hold_its_lane_up_for_ever(
    env: Env, met: list[Meaning], monkeypatch: pytest.MonkeyPatch
) -> None:
    post = Chatwoot.create_message

    def guarded(self: Chatwoot, conversation: int, text: str, **more: Any) -> Message:
        if text == "<script>":
            env.chatwoot.fault("status", method="POST", path="*/messages", **answered(403, HTML))
        return post(self, conversation, text, **more)

    monkeypatch.setattr(Chatwoot, "create_message", guarded)
    env.customer_writes("<script>")
    env.customer_writes("second")
    for number in range(REFUSALS + 1):
        env.customer_writes(f"other {number}", peer="p2")
        env.drain(threads=1)
        env.make_due()
    env.drain(threads=1)
    assert "second" in env.incoming()
    assert set(met) == {ServerTrouble}
    [letter] = env.dead.list()
    assert letter.id == "i:cards:<script>"
    assert any("could not be shown here" in note for note in env.notes())


def test_a_422_for_the_flood_limit_holds_a_status_up_only(env: Env, met: list[Meaning]) -> None:
    number = env.agent_replies("hi")
    env.drain()
    flood = '{"message":"Too many messages","attributes":["base"]}'
    env.chatwoot.fault("status", method="PATCH", **answered(422, flood))
    env.intake.take(env.channel, [Receipt(Status.DELIVERED, part=f"o:cards:{number}#1")])
    env.drain_until(lambda: env.shown(number)["status"] == "delivered")
    assert met == [Throttled]
    nothing_is_left_over(env)


def test_a_status_that_chatwoot_refuses_for_good_is_kept_and_replies_go_on(
    env: Env,
) -> None:
    number = env.agent_replies("hi")
    env.drain()
    refusal = '{"message":"Content is too long","attributes":["content"]}'
    env.chatwoot.fault("status", method="PATCH", **answered(422, refusal))
    env.intake.take(env.channel, [Receipt(Status.DELIVERED, part=f"o:cards:{number}#1")])
    env.drain()
    [letter] = env.dead.list()
    assert "Content is too long" in letter.reason
    env.agent_replies("and on")
    env.drain()
    assert [part.text for part in env.network.sent] == ["hi", "and on"]


def test_a_conversation_that_is_gone_is_looked_for_again(env: Env) -> None:
    missing = '{"error":"Resource could not be found"}'
    env.chatwoot.fault("status", method="POST", path="*/messages", **answered(404, missing))
    env.customer_writes("second")
    env.drain_until(lambda: env.count("delivered_in") == 2)
    assert env.incoming() == ["first", "second"]
    assert len(env.chatwoot.conversations()) == 1
    nothing_is_left_over(env)


def test_nobody_is_left_to_be_told_of_a_deleted_reply(env: Env, met: list[Meaning]) -> None:
    number = env.agent_replies("hi")
    env.drain()
    missing = '{"error":"Resource could not be found"}'
    env.chatwoot.fault("status", method="PATCH", **answered(404, missing))
    env.intake.take(env.channel, [Receipt(Status.DELIVERED, part=f"o:cards:{number}#1")])
    env.drain()
    assert met == []
    nothing_is_left_over(env)
