"""Reading Chatwoot's webhooks, and checking their signatures."""

from __future__ import annotations

import copy
import hashlib
import hmac
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.chatwoot.events import (
    ConversationCreated,
    Ignored,
    MessageDeleted,
    MessageUpdated,
    Reply,
    StatusChanged,
)
from gateway.chatwoot.fields import Fields
from gateway.chatwoot.files import LinkedFile
from gateway.chatwoot.replies import as_event, plain_breaks
from gateway.chatwoot.signature import verify
from gateway.chatwoot.values import Conversation, Message
from gateway.chatwoot.webhook import read
from gateway.errors import Forbidden, Malformed
from gateway.model import Addressee

SENDER = {"id": 42, "name": "Ada", "phone_number": "+15551230001", "email": None, "identifier": "i"}
CONVERSATION: dict[str, Any] = {
    "id": 12,
    "inbox_id": 7,
    "status": "open",
    "additional_attributes": {"thread": "<a@b>", "chat_id": 99, "nested": {}},
    "contact_inbox": {"id": 31, "source_id": "tg:123", "pubsub_token": "secret"},
    "meta": {"sender": SENDER, "assignee": None},
    "messages": [{"id": 999, "content": "another message", "message_type": 0}],
}
REPLY: dict[str, Any] = {
    "event": "message_created",
    "id": 1002,
    "message_type": "outgoing",
    "private": False,
    "content": "Here\\\nit is",
    "content_type": "text",
    "content_attributes": {"in_reply_to": 1001, "in_reply_to_external_id": "gw:55"},
    "created_at": "2026-01-20T10:01:40.500Z",
    "source_id": None,
    "sender": {"id": 5, "name": "Bob", "type": "user"},
    "inbox": {"id": 7, "name": "Bot"},
    "conversation": CONVERSATION,
    "account": {"id": 1},
}
EXPECTED = Reply(
    message=1002,
    conversation=12,
    inbox=7,
    peer="tg:123",
    contact=42,
    to=Addressee("Ada", "+15551230001", "", "i"),
    text="Here\nit is",
    written_at=1768903300.5,
    sender="Bob",
    in_reply_to="gw:55",
    attributes={"thread": "<a@b>", "chat_id": "99"},
)


def reply(**changes: Any) -> dict[str, Any]:
    return REPLY | changes


def test_an_agents_reply() -> None:
    assert read(REPLY) == EXPECTED


def test_the_conversations_newest_message_is_never_looked_at() -> None:
    assert read(reply(conversation=CONVERSATION | {"messages": "no list at all"})) == EXPECTED


def test_chatwoots_own_text_has_no_sender() -> None:
    event = read(reply(message_type="template", sender=None, content="We are closed"))
    assert isinstance(event, Reply)
    assert event.automatic
    assert event.sender == ""


def test_a_reply_of_attachments_only() -> None:
    picture = {"id": 9, "file_type": "image", "data_url": "https://x.example/b/cat.png"}
    event = read(reply(content=None, attachments=[picture, {"id": 10, "file_type": "contact"}]))
    assert isinstance(event, Reply)
    linked = LinkedFile("https://x.example/b/cat.png", "cat.png", "image/png", kind="image")
    assert (event.text, event.files) == ("", (linked,))


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"private": True}, "private_note"),
        ({"message_type": "incoming", "source_id": "gw:5"}, "incoming"),
        ({"message_type": "activity"}, "activity"),
        ({"source_id": "gw:77"}, "own_echo"),
        ({"event": "conversation_typing_on"}, "conversation_typing_on"),
        (
            {"event": "conversation_typing_on", "user": {"id": 3, "type": "contact"}},
            "conversation_typing_on",
        ),
        ({"event": "contact_updated"}, "contact_updated"),
        ({"event": "conversation_recording_42"}, "unknown_event"),
    ],
)
@pytest.mark.parametrize("event", ["message_created", "message_updated"])
def test_what_is_not_for_the_customer(event: str, changes: dict[str, Any], kind: str) -> None:
    assert read(reply(event=event) | changes) == Ignored(kind)


def test_another_programs_outgoing_message_is_for_the_customer() -> None:
    assert isinstance(read(reply(source_id="crm-1")), Reply)


@pytest.mark.parametrize("event", ["message_created", "message_updated"])
def test_a_deleted_reply_is_known_by_its_attribute_at_any_event(event: str) -> None:
    deleted = reply(event=event, content="Gelöscht", content_attributes={"deleted": True})
    assert read(deleted) == MessageDeleted(1002, 12, 7, "tg:123")


def test_a_reply_marked_failed_and_one_retried() -> None:
    failed = read(reply(event="message_updated", content_attributes={"external_error": "500"}))
    retried = read(reply(event="message_updated", content_attributes={}))
    assert isinstance(failed, MessageUpdated)
    assert isinstance(retried, MessageUpdated)
    assert (failed.external_error, retried.external_error) == ("500", None)
    assert retried.message.text == EXPECTED.text


def test_a_conversations_status() -> None:
    flat = CONVERSATION | {"event": "conversation_status_changed", "status": "resolved"}
    assert read(flat) == StatusChanged(12, "resolved", 7, "tg:123")


def test_a_conversation_that_began() -> None:
    flat = CONVERSATION | {"event": "conversation_created"}
    assert read(flat) == ConversationCreated(12, 7, "tg:123")


def changed(path: str, value: Any) -> dict[str, Any]:
    body = copy.deepcopy(REPLY)
    *inside, last = path.split(".")
    target = body
    for key in inside:
        target = target[key]
    target[last] = value
    return body


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("event", 5),
        ("id", "1002"),
        ("id", True),
        ("message_type", 1),
        ("message_type", "telepathy"),
        ("private", "yes"),
        ("content", ["x"]),
        ("created_at", 1768903300),
        ("created_at", "yesterday"),
        ("attachments", "x"),
        ("content_attributes", []),
        ("content_attributes.in_reply_to", "1"),
        ("conversation", None),
        ("conversation.id", None),
        ("conversation.contact_inbox", []),
        ("conversation.contact_inbox.source_id", 5),
        ("conversation.meta.sender", None),
        ("conversation.meta.sender.phone_number", 15551230001),
    ],
)
def test_a_wrong_type_is_malformed_and_says_where(path: str, value: Any) -> None:
    with pytest.raises(Malformed, match=path.replace(".", r"\.")):
        read(changed(path, value))


@pytest.mark.parametrize("body", [None, [], "x", 5, {}, {"event": None}])
def test_what_is_no_event_is_malformed(body: object) -> None:
    with pytest.raises(Malformed):
        read(body)


def test_line_breaks() -> None:
    assert plain_breaks("a\\\nb\\\r\nc\\d") == "a\nb\nc\\d"


# Found through the API instead


def found(**changes: Any) -> Message:
    body = REPLY | {"message_type": 1, "conversation_id": 12, "created_at": 1768903300.5}
    return Message.read(Fields.of(body | changes))


def test_a_missed_reply_is_the_same_as_its_webhook() -> None:
    newest = {"conversation": {"contact_inbox": {"source_id": "tg:123"}}}
    conversation = Conversation.read(Fields.of(CONVERSATION | {"messages": [newest]}))
    assert as_event(conversation, found()) == EXPECTED
    assert as_event(conversation, found(private=True)) == Ignored("private_note")
    assert as_event(conversation, found(message_type=0)) == Ignored("incoming")
    assert as_event(conversation, found(message_type=2)) == Ignored("activity")
    assert as_event(conversation, found(source_id="gw:1")) == Ignored("own_echo")
    deleted = as_event(conversation, found(content_attributes={"deleted": True}))
    assert deleted == MessageDeleted(1002, 12, 7, "tg:123")


# Signatures

BODY = b'{"event":"x"}'
HEADERS = {
    "x-chatwoot-timestamp": "1700000000",
    "x-chatwoot-signature": "sha256="
    "23cada5db8ca2c51632d02fa57bcfcfd9bb6991bc0e1cbb3b96c73617ce3ffba",
}
SECRETS = [SecretStr("old"), SecretStr("s3cr3t")]
NOW = 1700000000.0


@pytest.mark.parametrize("now", [NOW - 299, NOW, NOW + 299])
def test_a_fresh_signature_is_right(now: float) -> None:
    verify(HEADERS, BODY, SECRETS, now)


@pytest.mark.parametrize("now", [NOW - 301, NOW + 301])
def test_a_stale_signature_is_refused(now: float) -> None:
    with pytest.raises(Forbidden, match="clock"):
        verify(HEADERS, BODY, SECRETS, now)


@pytest.mark.parametrize(
    "changes",
    [
        {"x-chatwoot-signature": ""},
        {"x-chatwoot-timestamp": ""},
        {"x-chatwoot-timestamp": "1700000001"},
        {"x-chatwoot-signature": "sha256=é"},
        {"x-chatwoot-signature": HEADERS["x-chatwoot-signature"].removeprefix("sha256=")},
    ],
)
def test_a_wrong_or_missing_signature_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(Forbidden):
        verify(HEADERS | changes, BODY, SECRETS, NOW)


@pytest.mark.parametrize("timestamp", ["1e9", "١٧", "-5", "1" * 5000])
def test_a_time_stamp_that_is_none_is_refused(timestamp: str) -> None:
    with pytest.raises(Forbidden, match="Unix seconds"):
        verify(HEADERS | {"x-chatwoot-timestamp": timestamp}, BODY, SECRETS, NOW)


def test_an_empty_secret_signs_nothing() -> None:
    forged = "sha256=" + hmac.new(b"", b"1700000000." + BODY, hashlib.sha256).hexdigest()
    with pytest.raises(Forbidden, match="wrong"):
        verify(HEADERS | {"x-chatwoot-signature": forged}, BODY, [SecretStr("")], NOW)


def test_another_body_secret_or_none_is_refused() -> None:
    for body, secrets in [
        (BODY + b" ", SECRETS),
        (BODY, [SecretStr("old")]),
        (BODY, []),
    ]:
        with pytest.raises(Forbidden, match="wrong"):
            verify(HEADERS, body, secrets, NOW)
