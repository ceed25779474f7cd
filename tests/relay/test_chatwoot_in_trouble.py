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
    Unknown,
    Unreachable,
)
from gateway.lanes import Taken
from gateway.model import Receipt, Status
from gateway.relay import lane_worker
from gateway.relay.retry_policy import REFUSALS, Bury, Defer, Patience, consequence
from tests.relay.house import House

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
    "down": Trouble("drop_unread", Unknown, Unreachable),
    "gone while it was asked": Trouble("drop", Unknown, Unreachable),
    "silent": Trouble("silence", Unknown, Unreachable, {"seconds": 0.1}),
    "answers and nobody hears it": Trouble("lose", Unknown, Unreachable),
    "half an answer": Trouble("half", Unknown, Unreachable),
    "401 forbidden": Trouble("status", NotAllowed, NotAllowed, answered(401, DENIED)),
    "404 of a proxy": Trouble("status", ServerTrouble, ServerTrouble, answered(404, HTML)),
    "429": Trouble("status", Throttled, Throttled, answered(429, "Retry later\n", "text/plain")),
    "500": Trouble("status", ServerTrouble, ServerTrouble),
    "502": Trouble("status", Unknown, ServerTrouble, answered(502, HTML, "text/html")),
    "503": Trouble("status", ServerTrouble, ServerTrouble, answered(503, HTML, "text/html")),
    "a page": Trouble("html", Unknown, ServerTrouble),
    "nothing": Trouble("empty", Unknown, ServerTrouble),
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
        return consequence(error, taken, patience)

    monkeypatch.setattr(lane_worker, "consequence", noted)
    return kinds


@pytest.fixture(autouse=True)
def somebody_wrote(house: House) -> None:
    house.customer_writes("first")
    house.drain()


def befalls(house: House, trouble: Trouble, method: str, path: str) -> None:
    house.chatwoot.fault(trouble.kind, method=method, path=path, **trouble.fault)


def nothing_is_left_over(house: House) -> None:
    assert list(house.dead.list()) == []
    assert {gate.state for gate in house.lanes.backlog().gates} <= {"open"}


def test_a_customers_message_arrives_once_and_in_its_place(
    house: House, trouble: Trouble, met: list[Meaning]
) -> None:
    befalls(house, trouble, "POST", "*/messages")
    house.customer_writes("second")
    house.customer_writes("third")
    house.drain_until(lambda: house.count("delivered_in") == 3)
    assert met == [trouble.write]
    assert house.incoming() == ["first", "second", "third"]
    nothing_is_left_over(house)


@pytest.mark.parametrize("path", ["*/contacts", "*/conversations"])
def test_a_new_customer_is_one_contact_with_one_conversation(
    house: House, trouble: Trouble, path: str
) -> None:
    befalls(house, trouble, "POST", path)
    house.customer_writes("hello", peer="p2")
    house.drain_until(lambda: house.count("delivered_in") == 2)
    assert house.incoming() == ["first", "hello"]
    assert len(list(house.chatwoot.store.contacts)) == 2
    assert len(house.chatwoot.conversations()) == 2
    nothing_is_left_over(house)


def test_who_has_an_address_is_asked_again(
    house: House, trouble: Trouble, met: list[Meaning]
) -> None:
    house.store.delete("gw:route:in/cards/p1")
    befalls(house, trouble, "POST", "*/contact_inboxes/filter")
    house.customer_writes("second")
    house.drain_until(lambda: house.count("delivered_in") == 2)
    assert met == [trouble.ask]
    assert house.incoming() == ["first", "second"]
    assert len(house.chatwoot.conversations()) == 1
    nothing_is_left_over(house)


@pytest.mark.parametrize("status", [Status.DELIVERED, Status.FAILED])
def test_the_agent_sees_in_the_end_what_became_of_a_reply(
    house: House, trouble: Trouble, met: list[Meaning], status: Status
) -> None:
    number = house.agent_replies("hi")
    house.drain()
    befalls(house, trouble, "PATCH", "*/messages/*")
    receipt = Receipt(status, part=f"o:cards:{number}#1", reason="The phone is off")
    house.intake.take(house.channel, [receipt])
    house.drain_until(lambda: house.count("delivered_status") == 1)
    assert met == [trouble.write]
    shown = house.shown(number)
    assert shown["status"] == status
    error = "The phone is off" if status is Status.FAILED else None
    assert shown["content_attributes"].get("external_error") == error
    assert [part.text for part in house.network.sent] == ["hi"]
    nothing_is_left_over(house)


def test_a_press_of_retry_is_looked_up_again(
    house: House, trouble: Trouble, met: list[Meaning]
) -> None:
    house.network.errors = [Permanent("Not today")]
    number = house.agent_replies("hi")
    house.drain()
    assert house.shown(number)["status"] == "failed"
    met.clear()
    befalls(house, trouble, "GET", "*/messages")
    house.chatwoot.agent_retry(number)
    house.told(number, event="message_updated")
    house.drain_until(lambda: house.network.sent)
    assert met == [trouble.ask]
    assert [part.text for part in house.network.sent] == ["hi"]
    assert house.shown(number)["status"] == "sent"
    nothing_is_left_over(house)


@pytest.mark.parametrize("path", ["*/conversations", "*/messages"])
def test_what_was_missed_is_found_by_the_next_look(
    house: House, trouble: Trouble, path: str
) -> None:
    chatwoot: Chatwoot = house.deliveries.chatwoots["main"]
    reconciler = Reconciler(house.channel, chatwoot, house.lanes, house.intake)
    reconciler.look()
    number = house.chatwoot.agent_reply(1, "hi")
    befalls(house, trouble, "GET", path)
    with pytest.raises(trouble.ask):
        reconciler.look()
    assert reconciler.look() == 1
    house.drain()
    assert [part.text for part in house.network.sent] == ["hi"]
    assert house.shown(number)["status"] == "sent"


# What means something else in one place than in another


def test_a_refused_token_stops_everything_until_it_is_mended(
    house: House, met: list[Meaning]
) -> None:
    house.chatwoot.fault("status", times=None, **answered(401, '{"error":"Invalid Access Token"}'))
    house.customer_writes("second")
    house.drain()
    [gate] = [each for each in house.lanes.backlog().gates if each.destination == "chatwoot/main"]
    assert met == [BadCredentials]
    assert gate.state != "open"
    assert "access token" in gate.reason
    house.chatwoot.clear_faults()
    house.drain_until(lambda: house.count("delivered_in") == 2)
    assert house.incoming() == ["first", "second"]
    nothing_is_left_over(house)


@pytest.mark.parametrize(
    "body",
    [
        '{"error":"Validation failed: Too many messages"}',
        '{"message":"Too many messages","attributes":["base"]}',
    ],
)
def test_a_422_of_either_kind_holds_a_customers_message_up_only(
    house: House, met: list[Meaning], body: str
) -> None:
    house.chatwoot.fault("status", method="POST", path="*/messages", **answered(422, body))
    house.customer_writes("second")
    house.drain_until(lambda: house.count("delivered_in") == 2)
    assert met == [ServerTrouble]
    assert house.incoming() == ["first", "second"]
    nothing_is_left_over(house)


def test_what_a_firewall_never_lets_through_does_not_hold_its_lane_up_for_ever(
    house: House, met: list[Meaning], monkeypatch: pytest.MonkeyPatch
) -> None:
    post = Chatwoot.create_message

    def guarded(self: Chatwoot, conversation: int, text: str, **more: Any) -> Message:
        if text == "<script>":
            house.chatwoot.fault("status", method="POST", path="*/messages", **answered(403, HTML))
        return post(self, conversation, text, **more)

    monkeypatch.setattr(Chatwoot, "create_message", guarded)
    house.customer_writes("<script>")
    house.customer_writes("second")
    for number in range(REFUSALS + 1):
        house.customer_writes(f"other {number}", peer="p2")
        house.drain(threads=1)
        house.make_due()
    house.drain(threads=1)
    assert "second" in house.incoming()
    assert set(met) == {ServerTrouble}
    [letter] = house.dead.list()
    assert letter.id == "i:cards:<script>"
    assert any("could not be shown here" in note for note in house.notes())


def test_a_422_for_the_flood_limit_holds_a_status_up_only(house: House, met: list[Meaning]) -> None:
    number = house.agent_replies("hi")
    house.drain()
    flood = '{"message":"Too many messages","attributes":["base"]}'
    house.chatwoot.fault("status", method="PATCH", **answered(422, flood))
    house.intake.take(house.channel, [Receipt(Status.DELIVERED, part=f"o:cards:{number}#1")])
    house.drain_until(lambda: house.shown(number)["status"] == "delivered")
    assert met == [Throttled]
    nothing_is_left_over(house)


def test_a_status_that_chatwoot_refuses_for_good_is_kept_and_replies_go_on(
    house: House,
) -> None:
    number = house.agent_replies("hi")
    house.drain()
    refusal = '{"message":"Content is too long","attributes":["content"]}'
    house.chatwoot.fault("status", method="PATCH", **answered(422, refusal))
    house.intake.take(house.channel, [Receipt(Status.DELIVERED, part=f"o:cards:{number}#1")])
    house.drain()
    [letter] = house.dead.list()
    assert "Content is too long" in letter.reason
    house.agent_replies("and on")
    house.drain()
    assert [part.text for part in house.network.sent] == ["hi", "and on"]


def test_a_conversation_that_is_gone_is_looked_for_again(house: House) -> None:
    missing = '{"error":"Resource could not be found"}'
    house.chatwoot.fault("status", method="POST", path="*/messages", **answered(404, missing))
    house.customer_writes("second")
    house.drain_until(lambda: house.count("delivered_in") == 2)
    assert house.incoming() == ["first", "second"]
    assert len(house.chatwoot.conversations()) == 1
    nothing_is_left_over(house)


def test_nobody_is_left_to_be_told_of_a_deleted_reply(house: House, met: list[Meaning]) -> None:
    number = house.agent_replies("hi")
    house.drain()
    missing = '{"error":"Resource could not be found"}'
    house.chatwoot.fault("status", method="PATCH", **answered(404, missing))
    house.intake.take(house.channel, [Receipt(Status.DELIVERED, part=f"o:cards:{number}#1")])
    house.drain()
    assert met == []
    nothing_is_left_over(house)
