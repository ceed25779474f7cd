"""Webhooks: concurrent, shuffled, one attempt, and what a failed one does to its message."""

from __future__ import annotations

import hashlib
import hmac
import socket
import time

import pytest

from sandbox.chatwoot.posting import encode, signature
from tests.sandbox.chatwoot_parties import Bridge, Delivery, bridge, other_receiver


def test_an_incoming_message_to_a_resolved_conversation_brings_its_set_of_events() -> None:
    with bridge() as cw:
        everything = [
            "conversation_status_changed", "conversation_updated", "conversation_created",
            "contact_created", "contact_updated", "message_created", "message_updated",
        ]  # fmt: skip
        number = cw.conversation()
        cw.chatwoot.agent_reply(number, "done")
        cw.chatwoot.agent_resolve(number)
        cw.settle()
        seen = len(cw.receiver.deliveries())
        hook = {"url": cw.receiver.server.url + "/account", "subscriptions": everything}
        cw.post("/webhooks", hook)
        cw.write(number, "one more thing")
        cw.settle()
        events = sorted(each.event for each in cw.receiver.deliveries()[seen:])
        by_inbox = [
            "conversation_status_changed",
            "conversation_updated",  # waiting_since
            "conversation_updated",  # status
            "message_created",
        ]
        assert events == sorted([*by_inbox, *by_inbox, "contact_updated"])


def test_webhooks_arrive_shuffled() -> None:
    with bridge(seed=4) as cw:
        number = cw.conversation()
        cw.settle()
        with cw.chatwoot.store.changing():
            sent = [cw.chatwoot.agent_reply(number, str(i)) for i in range(60)]
        cw.settle()
        order = [each.body["id"] for each in cw.receiver.deliveries("message_created")]
        assert sorted(order) == sent
        # Ten threads alone displace a message by a few places; the shuffle goes further.
        assert max(abs(order.index(each) - sent.index(each)) for each in sent) > 20


def test_webhooks_arrive_at_the_same_time() -> None:
    with bridge() as cw:
        number = cw.conversation()
        cw.settle()
        cw.receiver.gate.clear()
        for text in range(10):
            cw.chatwoot.agent_reply(number, str(text))
        cw.receiver.wait_for(lambda: cw.receiver.inside == 10)
        cw.receiver.gate.set()
        cw.settle()


def test_webhooks_come_twice_if_wished() -> None:
    with bridge(duplicates=True) as cw:
        number = cw.conversation()
        reply = cw.chatwoot.agent_reply(number, "hi")
        cw.settle()
        twice = cw.receiver.deliveries("message_created")
        assert [each.body["id"] for each in twice] == [reply, reply]
        assert len({each.headers["x-chatwoot-delivery"] for each in twice}) == 1


def _external_error(cw: Bridge, conversation: int, message: int) -> tuple[str, str | None]:
    shown = cw.message(conversation, message)
    return shown["status"], shown["content_attributes"].get("external_error")


def test_a_failing_webhook_marks_the_message_failed_and_says_so_once_more() -> None:
    with bridge() as cw:
        number = cw.conversation()
        cw.settle()
        cw.receiver.status = 500
        reply = cw.chatwoot.agent_reply(number, "hi")
        cw.settle()
        assert _external_error(cw, number, reply) == ("failed", "500 Internal Server Error")
        # One attempt each: the second event fails with the same text, which changes nothing more.
        assert len(cw.receiver.deliveries("message_created")) == 1
        assert len(cw.receiver.deliveries("message_updated")) == 1
        updated = cw.receiver.deliveries("message_updated")[0].body
        assert updated["content_attributes"]["external_error"] == "500 Internal Server Error"


def test_an_incoming_message_fails_just_the_same() -> None:
    with bridge() as cw:
        number = cw.conversation()
        cw.settle()
        cw.receiver.status = 403
        asked = cw.write(number, "hello")["id"]
        cw.settle()
        assert _external_error(cw, number, asked) == ("failed", "403 Forbidden")


def test_a_good_answer_to_the_follow_up_does_not_clear_the_failure() -> None:
    with bridge() as cw:
        number = cw.conversation()
        cw.settle()
        cw.receiver.status = 503
        cw.receiver.gate.clear()
        reply = cw.chatwoot.agent_reply(number, "hi")
        cw.receiver.wait_for_event("message_created")
        queue = cw.chatwoot.subscribe()
        cw.receiver.gate.set()
        while queue.get(timeout=5)["event"] != "message_updated":
            pass
        cw.receiver.status = 200
        cw.settle()
        assert cw.message(number, reply)["status"] == "failed"


def test_a_redirect_is_a_failure_of_older_releases() -> None:
    with bridge(version="4.13.0") as cw:
        number = cw.conversation()
        cw.settle()
        cw.receiver.status = 302
        cw.receiver.headers = {"Location": cw.receiver.url}
        reply = cw.chatwoot.agent_reply(number, "hi")
        cw.settle()
        assert _external_error(cw, number, reply) == ("failed", "302 Found")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_newer_releases_follow_a_redirect_with_body_and_signature(status: int) -> None:
    with bridge(version="4.15.1") as cw, other_receiver() as other:
        secret = cw.get(f"/inboxes/{cw.inbox}")["secret"]
        number = cw.conversation()
        cw.settle()
        cw.receiver.status = status
        cw.receiver.headers = {"Location": other.url}
        reply = cw.chatwoot.agent_reply(number, "hi")
        cw.settle()
        assert _external_error(cw, number, reply) == ("sent", None)
        came = other.deliveries("message_created")[0]
        assert came.body["id"] == reply
        assert _is_signed(came, secret)


def test_redirects_without_end_are_a_failure() -> None:
    with bridge() as cw:
        number = cw.conversation()
        cw.settle()
        cw.receiver.status = 307
        cw.receiver.headers = {"Location": cw.receiver.url}
        reply = cw.chatwoot.agent_reply(number, "hi")
        cw.settle()
        status, error = _external_error(cw, number, reply)
        assert (status, error) == ("failed", f"Got 10 redirects fetching {cw.receiver.url}")


def test_newer_releases_refuse_private_addresses_unless_they_are_allowed() -> None:
    with bridge() as cw:
        number = cw.conversation()
        cw.settle()
        cw.chatwoot.webhooks.private_network = False
        asked = cw.write(number, "hello")["id"]
        cw.settle()
        said = "Hostname '127.0.0.1' has no public ip addresses"
        assert _external_error(cw, number, asked) == ("failed", said)
        assert not cw.receiver.deliveries("message_created")


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("4.13.0", "Timed out reading data from server"),
        ("4.15.1", "Net::ReadTimeout with #<TCPSocket:(closed)>"),
    ],
)
def test_a_receiver_that_does_not_answer_in_time_has_failed(version: str, said: str) -> None:
    with bridge(version=version, webhook_timeout=0.2) as cw:
        number = cw.conversation()
        cw.settle()
        cw.receiver.gate.clear()
        reply = cw.chatwoot.agent_reply(number, "hi")
        cw.settle()
        assert _external_error(cw, number, reply) == ("failed", said)


def test_the_usual_patience_is_five_seconds() -> None:
    with bridge() as cw:
        assert cw.chatwoot.webhooks.timeout == 5.0


def test_a_receiver_that_is_not_there_has_failed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with bridge() as cw:
        body = {"channel": {"webhook_url": f"http://127.0.0.1:{port}/"}}
        cw.call("PATCH", f"/inboxes/{cw.inbox}", json=body)
        number = cw.conversation()
        reply = cw.chatwoot.agent_reply(number, "hi")
        cw.settle()
        why = f'Connection refused - connect(2) for "127.0.0.1" port {port}'
        said = f"Failed to open TCP connection to 127.0.0.1:{port} ({why})"
        assert _external_error(cw, number, reply) == ("failed", said)


def test_a_failing_account_webhook_changes_nothing() -> None:
    with bridge() as cw:
        other = cw.chatwoot.add_inbox("No webhook", None)
        cw.post("/webhooks", {"url": cw.receiver.url, "subscriptions": ["message_created"]})
        cw.receiver.status = 500
        body = {"inbox_id": other, "contact_id": cw.contact(), "source_id": "other"}
        number = cw.post("/conversations", body)["id"]
        reply = cw.chatwoot.agent_reply(number, "hi")
        cw.settle()
        assert len(cw.receiver.deliveries("message_created")) == 1
        assert cw.message(number, reply)["status"] == "sent"


def test_the_inbox_hears_nothing_of_contacts_and_of_activities() -> None:
    with bridge() as cw:
        number = cw.conversation()
        cw.chatwoot.agent_resolve(number)
        cw.write(number, "hello")  # reopens, with an activity message
        cw.settle()
        types = [message["message_type"] for message in cw.chatwoot.messages(number)]
        assert 2 in types
        assert {
            each.body["message_type"] for each in cw.receiver.deliveries("message_created")
        } == {"incoming"}
        assert not cw.receiver.deliveries("contact_updated")


def _is_signed(delivery: Delivery, secret: str) -> bool:
    stamp = delivery.headers["x-chatwoot-timestamp"]
    data = stamp.encode() + b"." + delivery.raw
    right = "sha256=" + hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()
    return right == delivery.headers["x-chatwoot-signature"] and abs(time.time() - int(stamp)) < 60


def test_webhooks_of_4_10_are_not_signed() -> None:
    with bridge(version="4.10.1") as cw:
        cw.chatwoot.agent_reply(cw.conversation(), "hi")
        cw.settle()
        for delivery in cw.receiver.deliveries():
            assert not [name for name in delivery.headers if name.startswith("x-chatwoot")]


@pytest.mark.parametrize("version", ["4.13.0", "4.15.1"])
def test_webhooks_of_newer_releases_are_signed_over_the_raw_bytes(version: str) -> None:
    with bridge(version=version) as cw:
        secret = cw.get(f"/inboxes/{cw.inbox}")["secret"]
        cw.chatwoot.agent_reply(cw.conversation(), "<b>Grüße</b> & \u2028")
        cw.settle()
        deliveries = cw.receiver.deliveries()
        assert all(_is_signed(each, secret) for each in deliveries)
        ids = [each.headers["x-chatwoot-delivery"] for each in deliveries]
        assert len(set(ids)) == len(ids)


def test_the_signature_of_a_known_example() -> None:
    expected = "sha256=23cada5db8ca2c51632d02fa57bcfcfd9bb6991bc0e1cbb3b96c73617ce3ffba"
    assert signature("s3cr3t", "1700000000", b'{"event":"x"}') == expected


def test_the_body_is_compact_and_escaped_as_rails_does() -> None:
    assert encode({"a": "<ü&>\u2028"}) == '{"a":"\\u003cü\\u0026\\u003e\\u2028"}'.encode()


def test_the_payload_shows_the_rows_as_they_are_when_it_leaves() -> None:
    with bridge() as cw:
        number = cw.conversation()
        cw.settle()
        with cw.chatwoot.store.changing():
            reply = cw.chatwoot.agent_reply(number, "regretted")
            cw.chatwoot.agent_delete(reply)
        cw.settle()
        created = cw.receiver.deliveries("message_created")[0].body
        assert created["content"] == "This message was deleted"
        assert created["content_attributes"] == {"deleted": True}


def test_account_webhooks_are_made_changed_listed_and_deleted() -> None:
    with bridge() as cw:
        made = cw.post("/webhooks", {"url": "https://gw.example/hook"})["payload"]["webhook"]
        assert "conversation_typing_on" not in made["subscriptions"]
        assert len(made["subscriptions"]) == 8
        taken = cw.call("POST", "/webhooks", json={"url": "https://gw.example/hook"})
        assert taken.json() == {"message": "Url has already been taken", "attributes": ["url"]}
        wrong = cw.call("POST", "/webhooks", json={"url": "ftp://x", "subscriptions": ["no"]})
        assert wrong.json()["attributes"] == ["url", "subscriptions"]
        missing = cw.call("POST", "/webhooks", json={})
        assert (missing.status_code, set(missing.json())) == (422, {"error"})
        path = f"/webhooks/{made['id']}"
        body = {"webhook": {"subscriptions": ["message_created"]}}
        changed = cw.call("PATCH", path, json=body).json()["payload"]["webhook"]
        assert changed["subscriptions"] == ["message_created"]
        assert cw.call("DELETE", path).content == b""
        assert cw.get("/webhooks") == {"payload": {"webhooks": []}}
