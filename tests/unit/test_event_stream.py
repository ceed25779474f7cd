"""What is read from frames that running Chatwoots sent (tests/sandbox/recordings).

An administrator listened while an agent did in the dashboard what `did` says.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.chatwoot.event_stream import (
    ContactTold,
    ConversationTold,
    ReplyTold,
    Told,
    read,
)
from gateway.chatwoot.events import (
    AgentStoppedTyping,
    AgentTyping,
    ConversationCreated,
    Ignored,
    MessageDeleted,
    MessageUpdated,
    Reply,
    StatusChanged,
)
from gateway.chatwoot.fields import Fields
from gateway.errors import Malformed

RECORDED = Path(__file__).resolve().parents[1] / "sandbox" / "recordings"
RELEASES = ("4.10.1", "4.15.1")
ACCOUNT, INBOX = 1, 1


def frames(release: str) -> list[tuple[str, Fields]]:
    """Each event, with what had been done last."""
    path = RECORDED / f"cable-{release}.json.gz"
    recorded = json.loads(gzip.decompress(path.read_bytes()))
    did = [(each["at"], each["what"]) for each in recorded["did"]]
    return [
        (
            next((what for at, what in reversed(did) if at <= each["at"]), ""),
            Fields.of(each["frame"]["message"]),
        )
        for each in recorded["frames"]
        if isinstance(each["frame"].get("message"), dict)
    ]


def told(release: str, what: str) -> list[Told]:
    """Of what was done, without what says nothing."""
    found = (read(frame, ACCOUNT, {INBOX}) for did, frame in frames(release) if did == what)
    return [each for each in found if not isinstance(each, Ignored)]


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param


def test_a_reply_is_read_with_what_its_conversation_was_told_to_be(release: str) -> None:
    [began] = told(release, "conversation made")
    reply, updated = told(release, "reply")
    assert isinstance(began, ConversationTold)
    assert began.event == ConversationCreated(conversation=1, inbox=INBOX, peer="s1")
    assert isinstance(reply, ReplyTold)
    event = reply.event(began.conversation)
    assert isinstance(event, Reply)
    assert (event.message, event.conversation, event.inbox, event.peer) == (2, 1, INBOX, "s1")
    assert (event.text, event.sender, event.automatic) == ("by **websocket**", "Bob Agent", False)
    assert event.to is not None
    assert (event.contact, event.to.identifier) == (1, "telegram:1")
    assert event.written_at > 1_795_000_000
    assert isinstance(updated, ConversationTold)
    assert updated.conversation.source_id == "s1"


def test_a_file_comes_with_its_reply(release: str) -> None:
    [reply] = told(release, "reply with a file")
    assert isinstance(reply, ReplyTold)
    [file] = reply.message.attachments
    assert file.url.endswith("/p.pdf")


def test_choices_come_with_their_reply(release: str) -> None:
    [began] = told(release, "conversation made")
    [reply] = told(release, "choice")
    assert isinstance(began, ConversationTold)
    assert isinstance(reply, ReplyTold)
    event = reply.event(began.conversation)
    assert isinstance(event, Reply)
    assert event.choices == ("A",)


def test_what_concerns_no_customer_is_nothing(release: str) -> None:
    assert told(release, "private note") == []
    assert [type(each) for each in told(release, "customer's message")] == [ContactTold]


def test_a_failure_and_its_end_are_heard_of_and_the_end_twice(release: str) -> None:
    [began] = told(release, "conversation made")
    assert isinstance(began, ConversationTold)
    [failed] = told(release, "failed")
    again = told(release, "retry")
    events = [
        each.event(began.conversation) for each in (failed, *again) if isinstance(each, ReplyTold)
    ]
    errors = [each.external_error for each in events if isinstance(each, MessageUpdated)]
    assert errors == ["off", None, None]


def test_a_deletion_is_read(release: str) -> None:
    assert told(release, "deleted") == [MessageDeleted(2, conversation=1, inbox=INBOX, peer="s1")]


def test_typing_is_read(release: str) -> None:
    [on], [off] = told(release, "typing on"), told(release, "typing off")
    assert isinstance(on, ConversationTold)
    assert isinstance(off, ConversationTold)
    assert on.event == AgentTyping(conversation=1, inbox=INBOX, peer="s1")
    assert off.event == AgentStoppedTyping(conversation=1, inbox=INBOX, peer="s1")


def test_a_resolved_conversation_is_read(release: str) -> None:
    events = [
        each.event
        for each in told(release, "contact blocked")
        if isinstance(each, ConversationTold)
    ]
    assert StatusChanged(1, status="resolved", inbox=INBOX, peer="s1") in events


def test_a_contact_is_read_as_it_is_now(release: str) -> None:
    [renamed] = told(release, "contact renamed")
    assert isinstance(renamed, ContactTold)
    assert (renamed.contact.id, renamed.contact.name) == (1, "Renamed")


def test_a_conversation_that_an_agent_begins_is_read(release: str) -> None:
    began, reply, *_ = told(release, "begun by the agent")
    assert isinstance(began, ConversationTold)
    assert isinstance(reply, ReplyTold)
    event = reply.event(began.conversation)
    assert isinstance(event, Reply)
    assert event.to is not None
    assert (event.text, event.to.identifier) == ("news", "telegram:1")
    assert event.peer == began.conversation.source_id != "s1"


def test_a_conversation_goes_to_the_contact_into_which_its_own_was_merged(release: str) -> None:
    changed = [
        each.conversation
        for each in told(release, "contacts merged")
        if isinstance(each, ConversationTold)
    ]
    assert {each.id for each in changed} == {1, 2}
    assert {each.contact.id for each in changed} == {2}


def test_other_inboxes_and_other_accounts_are_nothing(release: str) -> None:
    for _, frame in frames(release):
        elsewhere = read(frame, ACCOUNT, {INBOX + 1})
        assert isinstance(elsewhere, Ignored | ContactTold)
        assert isinstance(read(frame, ACCOUNT + 1, {INBOX}), Ignored)


UPDATED: dict[str, Any] = {
    "id": 7,
    "account_id": ACCOUNT,
    "inbox_id": INBOX,
    "conversation_id": 1,
    "conversation": {"contact_inbox": {"source_id": "s1"}},
    "message_type": 1,
    "content": "hello",
    "created_at": 1_800_000_000,
    "status": "read",
}


@pytest.mark.parametrize(
    "changes",
    [
        {"status": ["sent", "delivered"], "updated_at": ["1", "2"]},
        {"sender_id": [1, 2]},
        {"content_attributes": [{}, {"translations": {"de": "hallo"}}]},
    ],
)
def test_an_update_that_is_no_failure_and_no_end_of_one_asks_for_nothing(
    changes: dict[str, Any],
) -> None:
    data = {**UPDATED, "previous_changes": changes}
    frame = Fields.of({"event": "message.updated", "data": data})
    assert read(frame, ACCOUNT, {INBOX}) == Ignored("message_updated")


def test_an_update_that_does_not_tell_what_changed_may_be_a_retry() -> None:
    frame = Fields.of({"event": "message.updated", "data": UPDATED})
    assert isinstance(read(frame, ACCOUNT, {INBOX}), ReplyTold)


def test_an_event_of_a_later_release_is_nothing() -> None:
    frame = Fields.of({"event": "conversation.teleported", "data": {"id": "strange"}})
    assert read(frame, ACCOUNT, {INBOX}) == Ignored("unknown_event")


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"event": 1},
        {"event": "message.created"},
        {"event": "message.created", "data": []},
        {"event": "message.created", "data": {**UPDATED, "message_type": "outgoing"}},
        {"event": "message.created", "data": {**UPDATED, "conversation": {}}},
        {"event": "conversation.typing_on", "data": {"conversation": None}},
    ],
)
def test_a_frame_of_another_shape_is_malformed(frame: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        read(Fields.of(frame), ACCOUNT, {INBOX})


def test_a_customer_who_types_is_our_own_word() -> None:
    conversation = {
        "id": 1,
        "inbox_id": INBOX,
        "status": "open",
        "contact_inbox": {"source_id": "s1"},
        "meta": {"sender": {"id": 1}},
    }
    data = {"conversation": conversation, "user": {"id": 1, "type": "contact"}}
    typing = read(Fields.of({"event": "conversation.typing_on", "data": data}), ACCOUNT, {INBOX})
    assert isinstance(typing, ConversationTold)
    assert isinstance(typing.event, Ignored)
