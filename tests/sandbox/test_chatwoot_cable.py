"""The stand-in's event stream: who is told what, and how it fails."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
import requests
from websockets.exceptions import InvalidStatus

from sandbox.chatwoot.cable import PING_EVERY
from tests.sandbox.cable_listener import connected, identifier, listening
from tests.sandbox.chatwoot_parties import Bridge, bridge
from tests.waiting import until


@pytest.fixture
def cw() -> Iterator[Bridge]:
    with bridge() as running:
        yield running


def test_a_client_is_welcomed_confirmed_and_told(cw: Bridge) -> None:
    with listening(cw.chatwoot) as client:
        assert client.connection.subprotocol == "actioncable-v1-json"
        conversation = cw.conversation()
        cw.write(conversation, "hello")
        (told,) = client.wait_for_event("message.created")
    kinds = [frame.get("type") for frame in client.frames()[:2]]
    assert kinds == ["welcome", "confirm_subscription"]
    assert (told["content"], told["message_type"], told["conversation_id"]) == (
        "hello",
        0,
        conversation,
    )
    asked = json.loads(client.frames()[1]["identifier"])
    assert asked["channel"] == "RoomChannel"


def test_a_wrong_token_is_not_refused_but_never_confirmed(cw: Bridge) -> None:
    token = cw.chatwoot.access_token
    with connected(cw.chatwoot) as client, listening(cw.chatwoot) as other:
        for wrong in ({"pubsub_token": "no"}, {"account_id": 2}, {"user_id": 2}, {"channel": "X"}):
            client.subscribe(identifier(cw.chatwoot, token, **wrong))
        client.connection.send("this is no command")
        cw.conversation()
        other.wait_for_event("conversation.created")
        assert [frame["type"] for frame in client.frames()] == ["welcome"]
        assert not client.ended


def test_pings_come_between(cw: Bridge) -> None:
    assert PING_EVERY == 3.0
    cw.chatwoot.cable.ping_every = 0.05
    with connected(cw.chatwoot) as client:
        client.wait_for(lambda: client.pings >= 3)


def test_without_a_websocket_there_is_no_page(cw: Bridge) -> None:
    assert requests.get(f"{cw.chatwoot.url}/cable", timeout=5).status_code == 404


def test_an_agent_is_told_of_inboxes_that_the_agent_is_a_member_of(cw: Bridge) -> None:
    agent = cw.chatwoot.agent
    with listening(cw.chatwoot) as ada, listening(cw.chatwoot, agent.token) as bob:
        with cw.chatwoot.store.changing():
            cw.chatwoot.store.inboxes.get(cw.inbox).member_ids.remove(agent.id)
        cw.conversation()
        ada.wait_for_event("conversation.created")
        with cw.chatwoot.store.changing():
            cw.chatwoot.store.inboxes.get(cw.inbox).member_ids.append(agent.id)
        second = cw.conversation(source="tg:2")
        (told,) = bob.wait_for_event("conversation.created")
        bob.wait_for_event("contact.created", 2)
        assert told["id"] == second


def test_whoever_types_is_not_told_of_it(cw: Bridge) -> None:
    conversation = cw.conversation()
    with listening(cw.chatwoot) as ada, listening(cw.chatwoot, cw.chatwoot.agent.token) as bob:
        cw.chatwoot.agent_typing(conversation)
        (told,) = ada.wait_for_event("conversation.typing_on")
        cw.write(conversation, "and now something that both are told")
        bob.wait_for_event("message.created")
        assert bob.told("conversation.typing_on") == []
    assert told["user"]["name"] == "Bob Agent"


def test_what_is_cut_ends_and_may_come_again(cw: Bridge) -> None:
    with listening(cw.chatwoot) as client:
        cw.chatwoot.cable.cut()
        client.wait_for(lambda: client.ended)
    with listening(cw.chatwoot) as client:
        cw.conversation()
        client.wait_for_event("conversation.created")


def test_a_chatwoot_that_goes_away_takes_its_connections_along(cw: Bridge) -> None:
    with listening(cw.chatwoot) as client:
        cw.chatwoot.go_away()
        client.wait_for(lambda: client.ended)
    until(lambda: not cw.chatwoot.cable.subscriptions())


def test_what_is_held_back_comes_with_the_release(cw: Bridge) -> None:
    cw.chatwoot.cable.ping_every = 0.02
    with listening(cw.chatwoot) as client:
        cw.chatwoot.cable.hold()
        cw.conversation()
        pings = client.pings
        client.wait_for(lambda: client.pings > pings + 5)
        assert client.told("conversation.created") == []
        cw.chatwoot.cable.release()
        client.wait_for_event("conversation.created")


def test_a_silent_stream_keeps_the_connection_and_says_nothing(cw: Bridge) -> None:
    cw.chatwoot.cable.ping_every = 0.02
    with listening(cw.chatwoot) as client:
        cw.chatwoot.cable.fall_silent()
        cw.conversation()
        before = (client.pings, len(client.frames()))
        time.sleep(0.2)  # nothing comes: that can only be waited for
        assert client.pings - before[0] <= 1
        assert (len(client.frames()), client.ended) == (before[1], False)
        cw.chatwoot.cable.speak_again()
        client.wait_for(lambda: client.pings > before[0] + 3)
        assert client.told("conversation.created") == []


def test_the_stream_is_disturbed_by_the_control_interface(cw: Bridge) -> None:
    control = f"{cw.chatwoot.control_url}/_cable"
    with listening(cw.chatwoot) as client:
        assert requests.post(control, json={"do": "hold"}, timeout=5).ok
        conversation = cw.conversation()
        assert requests.post(control, json={"do": "release"}, timeout=5).ok
        (told,) = client.wait_for_event("conversation.created")
        assert told["id"] == conversation
        assert requests.post(control, json={"do": "cut"}, timeout=5).ok
        client.wait_for(lambda: client.ended)
    refused = requests.post(control, json={"do": "dance"}, timeout=5)
    assert refused.status_code == 400
    assert "fall_silent" in refused.text


def test_a_client_that_unsubscribes_is_told_nothing_more(cw: Bridge) -> None:
    with listening(cw.chatwoot) as client, listening(cw.chatwoot) as other:
        name = client.frames()[1]["identifier"]
        client.connection.send(json.dumps({"command": "unsubscribe", "identifier": name}))
        until(lambda: len(cw.chatwoot.cable.subscriptions()) == 1)
        cw.conversation()
        other.wait_for_event("conversation.created")
        assert client.told("conversation.created") == []


def test_a_fault_can_refuse_the_connection(cw: Bridge) -> None:
    cw.chatwoot.fault("status", path="/cable", status=503)
    with pytest.raises(InvalidStatus), connected(cw.chatwoot):
        pass
    with listening(cw.chatwoot):
        assert len(cw.chatwoot.cable.subscriptions()) == 1
