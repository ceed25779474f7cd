"""Ids and types of the same things in their different places."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from sandbox.chatwoot import Upload
from tests.sandbox.chatwoot_parties import SOURCE, Bridge, bridge

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
PHOTO = Upload("p.jpg", "image/jpeg", b"\xff\xd8 photo")


@pytest.fixture
def cw() -> Iterator[Bridge]:
    with bridge(version="4.10.1") as running:
        yield running


def test_conversations_are_counted_per_account_and_messages_for_the_installation() -> None:
    with bridge() as cw:
        mine = cw.conversation()
        first = cw.write(mine, "one")["id"]
        other = cw.chatwoot.add_account("Other")
        inbox = cw.post("/inboxes", {"name": "B", "channel": {"type": "api"}}, account=other)["id"]
        contact = cw.post("/contacts", {"name": "C", "inbox_id": inbox}, account=other)["payload"]
        body = {
            "inbox_id": inbox,
            "contact_id": contact["contact"]["id"],
            "source_id": contact["contact_inbox"]["source_id"],
        }
        theirs = cw.post("/conversations", body, account=other)["id"]
        second = cw.post(f"/conversations/{theirs}/messages", {"content": "x"}, account=other)
        assert (mine, theirs) == (1, 1)
        assert second["id"] == first + 1


def test_a_message_in_rest_has_numbers(cw: Bridge) -> None:
    number = cw.conversation()
    made = cw.write(number, "hello", source_id="tgm:55", echo_id="abc")
    assert made["message_type"] == 0
    assert isinstance(made["created_at"], int)
    assert made["conversation_id"] == number
    assert made["status"] == "sent"
    assert made["echo_id"] == "abc"
    assert made["sender"]["type"] == "contact"
    assert "attachments" not in made
    assert "echo_id" not in cw.get(f"/conversations/{number}/messages")["payload"][0]


def test_a_message_in_a_webhook_has_words_and_no_status(cw: Bridge) -> None:
    number = cw.conversation()
    asked = cw.write(number, "hello", source_id="tgm:55")["id"]
    cw.settle()
    reply = cw.chatwoot.agent_reply(number, "hi", attachments=[PHOTO], in_reply_to=asked)
    body = cw.receiver.wait_for_event("message_created", 2)[-1]
    assert body["id"] == reply
    assert body["message_type"] == "outgoing"
    assert ISO.fullmatch(body["created_at"])
    assert "status" not in body
    assert "updated_at" not in body
    assert body["content_attributes"] == {
        "in_reply_to": asked,
        "in_reply_to_external_id": "tgm:55",
    }
    assert body["sender"] == {
        "id": 2,
        "name": "Bob Agent",
        "email": "bob@sandbox.example",
        "type": "user",
    }
    assert body["account"] == {"id": 1, "name": "Sandbox"}
    assert body["inbox"] == {"id": cw.inbox, "name": "Telegram bridge"}


def test_the_message_inside_its_conversation_has_numbers_again(cw: Bridge) -> None:
    number = cw.conversation()
    reply = cw.chatwoot.agent_reply(number, "hi", attachments=[PHOTO])
    conversation = cw.receiver.wait_for_event("message_created")[0]["conversation"]
    assert conversation["id"] == number
    assert conversation["contact_inbox"]["source_id"] == SOURCE
    assert conversation["contact_inbox"]["pubsub_token"]
    nested = conversation["messages"][0]
    assert nested["id"] == reply
    assert nested["message_type"] == 1
    assert nested["status"] == "sent"
    assert isinstance(nested["created_at"], int)
    assert ISO.fullmatch(nested["updated_at"])
    assert nested["conversation_id"] == number
    assert nested["conversation"]["contact_inbox"] == {"source_id": SOURCE}
    file = nested["attachments"][0]
    assert file["file_type"] == "image"
    assert file["extension"] is None
    assert file["width"] is None
    assert conversation["meta"]["assignee"] is None
    assert isinstance(conversation["updated_at"], float)
    assert ISO.fullmatch(conversation["first_reply_created_at"])
    assert conversation["waiting_since"] == 0


def test_a_private_note_comes_with_another_message_inside(cw: Bridge) -> None:
    number = cw.conversation()
    asked = cw.write(number, "hello")["id"]
    note = cw.chatwoot.agent_reply(number, "psst", private=True)
    bodies = {each["id"]: each for each in cw.receiver.wait_for_event("message_created", 2)}
    assert bodies[note]["private"] is True
    assert [each["id"] for each in bodies[note]["conversation"]["messages"]] == [asked]


def test_a_contact_who_sends_has_an_account_and_no_type(cw: Bridge) -> None:
    cw.write(cw.conversation(), "hello", source_id="tgm:55")
    body = cw.receiver.wait_for_event("message_created")[0]
    assert body["message_type"] == "incoming"
    assert body["source_id"] == "tgm:55"
    assert body["sender"]["account"] == {"id": 1, "name": "Sandbox"}
    assert "type" not in body["sender"]
    assert body["conversation"]["meta"]["sender"]["type"] == "contact"


def test_an_older_conversation_event_is_flat_and_names_no_account(cw: Bridge) -> None:
    number = cw.conversation()
    body = cw.receiver.wait_for_event("conversation_created")[0]
    assert body["id"] == number
    assert "account" not in body
    assert "conversation" not in body


def test_a_conversation_in_rest_has_zeros_for_never(cw: Bridge) -> None:
    number = cw.conversation()
    cw.write(number, "hello")
    shown = cw.get(f"/conversations/{number}")
    assert shown["agent_last_seen_at"] == 0
    assert shown["first_reply_created_at"] == 0
    assert isinstance(shown["updated_at"], float)
    assert isinstance(shown["waiting_since"], int)
    assert "assignee" not in shown["meta"]
    assert "source_id" not in shown
    nested = shown["messages"][0]["conversation"]
    assert nested["contact_inbox"]["source_id"] == SOURCE
    assert shown["unread_count"] == 1
    cw.chatwoot.agent_looks(number)
    assert cw.get(f"/conversations/{number}")["unread_count"] == 0


def test_a_new_contact_comes_doubly_wrapped_with_the_bare_row_of_its_inbox(cw: Bridge) -> None:
    body = {"inbox_id": cw.inbox, "source_id": SOURCE, "name": "Ada"}
    payload = cw.post("/contacts", body)["payload"]
    assert payload["contact"]["contact_inboxes"][0]["source_id"] == SOURCE
    assert set(payload["contact"]["contact_inboxes"][0]["inbox"]) == {
        "id", "avatar_url", "channel_id", "name", "channel_type", "provider",
    }  # fmt: skip
    assert ISO.fullmatch(payload["contact_inbox"]["inbox"]["created_at"])
    assert "last_activity_at" not in payload["contact"]
    alone = cw.post("/contacts", {"name": "Eve"})["payload"]["contact_inbox"]
    assert alone == {"inbox": None, "source_id": None}


def test_secrets_of_an_inbox_are_for_administrators_of_newer_releases(cw: Bridge) -> None:
    shown = cw.get(f"/inboxes/{cw.inbox}")
    assert shown["hmac_token"]
    assert "secret" not in shown
    assert shown["webhook_url"] == cw.receiver.url
    assert len(shown["working_hours"]) == 7
    with bridge(version="4.13.0") as newer:
        before = newer.get(f"/inboxes/{newer.inbox}")["secret"]
        assert newer.post(f"/inboxes/{newer.inbox}/reset_secret", {})["secret"] != before
        seen = newer.get(f"/inboxes/{newer.inbox}", token=newer.chatwoot.agent.token)
        assert not {"secret", "hmac_token"} & set(seen)
