"""The calls of the Chatwoot client: what is sent, what is read, what each refusal means."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.chatwoot.api import until_next_minute
from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.errors import AddressTaken, Invalid, Missing, NotAllowed, Stumbled
from gateway.chatwoot.limits import CUT_NOTE
from gateway.chatwoot.values import Inbox, MessageType
from gateway.errors import (
    BadCredentials,
    DeliveryError,
    ServerTrouble,
    Throttled,
    Uncertain,
    Unreachable,
)
from gateway.http import Answer, fence
from gateway.model import Status
from sandbox.server import Head, Reply, Server
from tests.scripted import refused_url
from tests.unit.chatwoot_script import (
    TOKEN,
    Script,
    contact,
    conversation,
    conversations,
    message,
    scripted,
)

DENIED = {"error": "You are not authorized to do this action"}


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted() as told:
        yield told


@pytest.fixture
def chatwoot(script: Script) -> Iterator[Chatwoot]:
    client = Chatwoot(script.url + "/", 1, SecretStr(TOKEN), deadline=5)
    yield client
    client.close()


def post(chatwoot: Chatwoot, text: str = "hello") -> Any:
    return chatwoot.create_message(12, text, source_id="gw:1")


def test_a_message_is_posted_as_the_customers_and_read_back(
    script: Script, chatwoot: Chatwoot
) -> None:
    script.says(200, message(source_id="gw:1", new_key=1))
    posted = chatwoot.create_message(
        12, "hello", source_id="gw:1", content_attributes={"in_reply_to": 5}
    )
    assert (posted.id, posted.message_type, posted.source_id) == (
        1001,
        MessageType.INCOMING,
        "gw:1",
    )
    assert script.calls[0].token == TOKEN
    assert script.routes == ["POST /conversations/12/messages"]
    assert script.calls[0].body == {
        "content": "hello",
        "message_type": "incoming",
        "private": False,
        "source_id": "gw:1",
        "content_attributes": {"in_reply_to": 5},
    }


ABOUT_ANOTHER: list[tuple[dict[str, Any], Callable[[Chatwoot], Any]]] = [
    (message(source_id="gw:2"), post),
    (message(source_id=None), post),
    (message(conversation_id=13), post),
    (message(1002), lambda c: c.update_status(12, 1001, Status.SENT)),
    (message(conversation_id=13), lambda c: c.update_status(12, 1001, Status.SENT)),
    (conversation(inbox_id=8), lambda c: c.create_conversation(7, 42, "ada")),
    (
        conversation(meta={"sender": contact(43)}),
        lambda c: c.create_conversation(7, 42, "ada"),
    ),
    ({"payload": contact(43)}, lambda c: c.update_contact(42, name="Ada")),
    (
        {"payload": {"contact": contact(), "contact_inbox": {"source_id": "bob"}}},
        lambda c: c.create_contact(7, "ada", "Ada"),
    ),
]


@pytest.mark.parametrize(("told", "call"), ABOUT_ANOTHER)
def test_an_answer_about_something_else_is_not_believed(
    script: Script, chatwoot: Chatwoot, told: Any, call: Callable[[Chatwoot], Any]
) -> None:
    script.says(200, told)
    with pytest.raises(Uncertain):
        call(chatwoot)


def test_another_conversation_is_not_the_one_asked_for(script: Script, chatwoot: Chatwoot) -> None:
    script.says(200, conversation(13))
    with pytest.raises(ServerTrouble):
        chatwoot.conversation(12)


def test_a_private_note_is_an_outgoing_message_that_is_private(
    script: Script, chatwoot: Chatwoot
) -> None:
    script.says(200, message(message_type=1, private=True, source_id="gw:2"))
    note = chatwoot.create_message(12, "psst", source_id="gw:2", message_type=MessageType.NOTE)
    assert note.message_type is MessageType.NOTE
    sent = script.calls[0].body
    assert (sent["message_type"], sent["private"]) == ("outgoing", True)


def test_what_the_database_cannot_store_is_taken_out(script: Script, chatwoot: Chatwoot) -> None:
    script.says(200, message())
    post(chatwoot, "a\0b \ud800 €")
    assert script.calls[0].body["content"] == "ab ? €"


def test_a_message_too_long_for_chatwoot_is_cut_with_a_note(
    script: Script, chatwoot: Chatwoot
) -> None:
    script.says(200, message()).says(200, message())
    post(chatwoot, "x" * 150_000)
    post(chatwoot, "x" * 150_001)
    whole, cut = (call.body["content"] for call in script.calls)
    assert whole == "x" * 150_000
    assert len(cut) == 150_000
    assert cut.endswith(CUT_NOTE)


def test_pages_of_messages_follow_each_other(script: Script, chatwoot: Chatwoot) -> None:
    script.says(200, {"payload": [message(number) for number in range(1, 101)]})
    script.says(200, {"payload": [message(101, content=None)]})
    assert [found.id for found in chatwoot.messages_after(12, 0)] == list(range(1, 102))
    assert [call.query for call in script.calls] == [{"after": "0"}, {"after": "100"}]


def test_messages_that_do_not_advance_end_the_reading(script: Script, chatwoot: Chatwoot) -> None:
    script.says(200, {"payload": [message(5)] * 100})
    script.says(200, {"payload": [message(5)] * 100})
    assert len(list(chatwoot.messages_after(12, 0))) == 200


def test_conversations_of_an_address_are_asked_for_in_every_status(
    script: Script, chatwoot: Chatwoot
) -> None:
    newest = {"conversation": {"contact_inbox": {"source_id": "tg:1"}}}
    told = conversation(
        9, "resolved", messages=[newest], additional_attributes={"n": 5, "x": {"no": 1}}
    )
    script.says(200, conversations(told))
    (found,) = chatwoot.conversations_of(7, "tg:1", page=2)
    assert (found.id, found.status, found.source_id) == (9, "resolved", "tg:1")
    assert found.attributes == {"n": "5"}
    assert script.calls[0].query == {
        "status": "all",
        "inbox_id": "7",
        "source_id": "tg:1",
        "sort_by": "created_at_desc",
        "page": "2",
    }


def test_recent_conversations_are_asked_for_by_seconds(script: Script, chatwoot: Chatwoot) -> None:
    script.says(200, conversations(conversation()))
    assert len(chatwoot.recently_updated(7, 90)) == 1
    assert script.calls[0].query == {"status": "all", "inbox_id": "7", "updated_within": "90"}


def test_version_profile_inbox_and_conversation_are_read(
    script: Script, chatwoot: Chatwoot
) -> None:
    script.says(200, {"version": "4.13.0", "timestamp": "x"})
    script.says(200, {"id": 5, "name": "Bob", "accounts": [{"id": 1, "role": "administrator"}]})
    script.says(200, {"id": 7, "name": "Bot", "secret": "k3y", "lock_to_single_conversation": True})
    script.says(200, conversation(12))
    assert chatwoot.installation().version == "4.13.0"
    assert chatwoot.profile().roles == {1: "administrator"}
    inbox = chatwoot.inbox(7)
    assert inbox.lock_to_single_conversation
    assert inbox.secret is not None
    assert "k3y" not in repr(inbox)
    assert chatwoot.conversation(12).contact.id == 42
    assert script.calls[0].path == "/api"


def test_an_unknown_address_has_no_contact(script: Script, chatwoot: Chatwoot) -> None:
    script.says(404, b"").says(200, contact(sources=["tg:1"]))
    assert chatwoot.find_contact(7, "tg:1") is None
    found = chatwoot.find_contact(7, "tg:1")
    assert found is not None
    assert found.source_ids(7) == ("tg:1",)
    assert found.source_ids(8) == ()


def test_what_is_not_known_of_a_contact_is_null(script: Script, chatwoot: Chatwoot) -> None:
    script.says(200, {"payload": {"contact": contact(), "contact_inbox": {"source_id": "s"}}})
    chatwoot.create_contact(7, "s", "Ada", email="a@b.c")
    sent = script.calls[0].body
    assert (sent["phone_number"], sent["identifier"], sent["email"]) == (None, None, "a@b.c")


def test_contacts_found_by_resemblance_only_are_not_believed(
    script: Script, chatwoot: Chatwoot
) -> None:
    script.says(
        200,
        {
            "payload": [
                contact(1, identifier="ABC"),
                contact(2, identifier="abc"),
                contact(3, email="ADA@x.io"),
                contact(4, phone_number="+15551234"),
            ]
        },
    )
    found = chatwoot.filter_contacts(phone="+1555123", email="ada@x.io", identifier="abc")
    assert [contact.id for contact in found] == [2, 3]
    conditions = script.calls[0].body["payload"]
    assert [item["query_operator"] for item in conditions] == ["OR", "OR", None]


def test_nothing_to_look_for_is_no_call(script: Script, chatwoot: Chatwoot) -> None:
    assert chatwoot.filter_contacts() == ()
    assert script.calls == []


def test_a_conversation_is_made_with_all_three_ids_and_attributes_that_fit(
    script: Script, chatwoot: Chatwoot
) -> None:
    script.says(200, conversation(13))
    made = chatwoot.create_conversation(7, 42, "tg:1", {"thread": "t" * 2000})
    assert made.id == 13
    assert script.calls[0].body == {
        "inbox_id": 7,
        "contact_id": 42,
        "source_id": "tg:1",
        "additional_attributes": {"thread": "t" * 1500},
    }


def test_status_and_deletion(script: Script, chatwoot: Chatwoot) -> None:
    script.says(200, message(status="failed")).says(200, message(status="sent")).says(
        200, message()
    )
    chatwoot.update_status(12, 1001, Status.FAILED, "blocked")
    chatwoot.update_status(12, 1001, Status.SENT)
    chatwoot.delete_message(12, 1001)
    assert script.routes == [
        "PATCH /conversations/12/messages/1001",
        "PATCH /conversations/12/messages/1001",
        "DELETE /conversations/12/messages/1001",
    ]
    assert script.calls[0].body == {"status": "failed", "external_error": "blocked"}
    assert script.calls[1].body == {"status": "sent", "external_error": None}


# What a refusal means


def refusal(call: Callable[[], object]) -> DeliveryError:
    with pytest.raises(DeliveryError) as raised:
        call()
    assert TOKEN not in f"{raised.value} {raised.value.detail}"
    return raised.value


@pytest.mark.parametrize("status", [401, 402, 403])
def test_not_allowed_while_the_token_is_good(
    script: Script, chatwoot: Chatwoot, status: int
) -> None:
    script.says(status, DENIED).says(200, {"id": 5, "access_token": TOKEN})
    error = refusal(lambda: chatwoot.inbox(7))
    assert type(error) is NotAllowed
    assert "administrator" in error.reason
    assert script.calls[1].path == "/api/v1/profile"


def test_a_page_that_says_403_is_a_firewall_and_no_question_of_rights(
    script: Script, chatwoot: Chatwoot
) -> None:
    script.says(403, b"<html>Attention</html>").says(200, {"id": 5, "access_token": TOKEN})
    assert type(refusal(lambda: post(chatwoot))) is ServerTrouble


def test_a_dead_token(script: Script, chatwoot: Chatwoot) -> None:
    script.says(401, {"error": "Invalid Access Token"}).says(401, {"errors": ["sign in"]})
    assert type(refusal(lambda: post(chatwoot))) is BadCredentials


def test_a_401_that_cannot_be_checked_is_not_believed(script: Script, chatwoot: Chatwoot) -> None:
    script.says(401, DENIED).says(500, b"oops")
    assert type(refusal(lambda: post(chatwoot))) is ServerTrouble


def test_missing(script: Script, chatwoot: Chatwoot) -> None:
    script.says(404, {"error": "Resource could not be found"})
    assert type(refusal(lambda: post(chatwoot))) is Missing


def test_a_page_that_says_404_is_not_chatwoot_speaking(script: Script, chatwoot: Chatwoot) -> None:
    script.says(404, b"<html>no such app</html>").says(404, b"<html>no such app</html>")
    assert type(refusal(lambda: post(chatwoot))) is ServerTrouble
    assert type(refusal(lambda: chatwoot.find_contact(7, "tg:1"))) is ServerTrouble


def test_the_limit_of_requests_stops_all_calls_for_a_minute_at_most(
    script: Script, chatwoot: Chatwoot
) -> None:
    script.says(429, b"Retry later\n")
    error = refusal(lambda: post(chatwoot))
    assert isinstance(error, Throttled)
    assert error.scope == "destination"
    assert error.after is not None
    assert 0 < error.after <= 60


def test_a_proxys_retry_after_is_heeded(script: Script, chatwoot: Chatwoot) -> None:
    script.says(429, b"Retry later\n", Retry_After="7")
    error = refusal(lambda: post(chatwoot))
    assert isinstance(error, Throttled)
    assert error.after == 7.0


@pytest.mark.parametrize(
    ("date", "seconds"),
    [("Tue, 20 Jan 2026 10:01:45 GMT", 15.0), ("Tue, 20 Jan 2026 10:01:00 GMT", 60.0), ("", 60.0)],
)
def test_the_minute_is_that_of_the_servers_clock(date: str, seconds: float) -> None:
    assert until_next_minute(Answer("POST", 429, {"Date": date}, b"")) == seconds


def test_a_422_on_a_message_may_pass(script: Script, chatwoot: Chatwoot) -> None:
    script.says(422, {"error": "Validation failed: zu viele Nachrichten"})
    error = refusal(lambda: post(chatwoot))
    assert isinstance(error, ServerTrouble)
    assert "zu viele Nachrichten" in error.reason
    assert error.after == 10.0


def test_the_flood_limit_on_a_status_holds_up_its_lane_only(
    script: Script, chatwoot: Chatwoot
) -> None:
    script.says(422, {"message": "beliebiger Text", "attributes": ["base"]})
    error = refusal(lambda: chatwoot.update_status(12, 1, Status.SENT))
    assert isinstance(error, Throttled)
    assert error.scope == "lane"


def test_another_422_on_a_status_is_invalid(script: Script, chatwoot: Chatwoot) -> None:
    script.says(422, {"message": "Content too long", "attributes": ["content"]})
    error = refusal(lambda: chatwoot.update_status(12, 1, Status.SENT))
    assert isinstance(error, Invalid)
    assert error.attributes == ("content",)


def test_both_dialects_of_error_are_read(script: Script, chatwoot: Chatwoot) -> None:
    script.says(422, {"message": "Belegt", "attributes": ["email", "identifier"]})
    script.says(422, {"error": "param is missing"})
    script.says(422, {"errors": ["one", "two"]})
    script.says(422, [1])
    errors = [refusal(lambda: chatwoot.create_contact(7, "s", "Ada")) for _ in range(4)]
    assert [isinstance(error, Invalid) for error in errors] == [True] * 4
    said = [error.reason.removeprefix("Chatwoot does not accept this: ") for error in errors]
    assert said == ["Belegt", "param is missing", "one, two", "no reason given"]
    assert isinstance(errors[0], Invalid)
    assert errors[0].attributes == ("email", "identifier")


def test_a_500_for_an_address_means_taken(script: Script, chatwoot: Chatwoot) -> None:
    for _ in range(2):
        script.says(500, {"status": 500, "error": "Internal Server Error"})
    assert type(refusal(lambda: chatwoot.create_contact(7, "s", "Ada"))) is AddressTaken
    assert type(refusal(lambda: chatwoot.attach_source(42, 7, "s"))) is AddressTaken


def test_an_address_of_another_contact(script: Script, chatwoot: Chatwoot) -> None:
    script.says(422, {"error": "source_id should be unique"})
    script.says(422, {"message": "too long", "attributes": ["additional_attributes"]})
    assert type(refusal(lambda: chatwoot.create_conversation(7, 42, "s"))) is AddressTaken
    assert type(refusal(lambda: chatwoot.create_conversation(7, 42, "s"))) is Invalid


@pytest.mark.parametrize(
    ("status", "meaning"), [(500, Stumbled), (503, ServerTrouble), (502, Uncertain)]
)
def test_trouble_while_posting(
    script: Script, chatwoot: Chatwoot, status: int, meaning: type[DeliveryError]
) -> None:
    script.says(status, b"<html>")
    assert type(refusal(lambda: post(chatwoot))) is meaning


NONSENSE = [b"", b"<html>Welcome</html>", b"[]", b"null", b'{"id":', b'{"id": "x"}', b"[" * 99_999]


@pytest.mark.parametrize("body", [*NONSENSE, b'{"id": 1, "conversation_id": 1, "message_type": 9}'])
def test_nonsense_after_a_write_leaves_it_unknown(
    script: Script, chatwoot: Chatwoot, body: bytes
) -> None:
    script.says(200, body)
    assert type(refusal(lambda: post(chatwoot))) is Uncertain


@pytest.mark.parametrize("body", NONSENSE)
def test_nonsense_after_a_question_is_trouble(
    script: Script, chatwoot: Chatwoot, body: bytes
) -> None:
    questions: list[Callable[[], object]] = [
        chatwoot.installation,
        chatwoot.profile,
        lambda: chatwoot.inbox(7),
        lambda: chatwoot.conversation(7),
        lambda: chatwoot.find_contact(7, "s"),
        lambda: chatwoot.filter_contacts(email="a@b.c"),
        lambda: chatwoot.conversations_of(7, "s"),
        lambda: list(chatwoot.messages_after(7, 1)),
    ]
    for question in questions:
        script.says(200, body)
        assert type(refusal(question)) is ServerTrouble


def test_no_part_of_a_strange_answer_gets_into_an_error(script: Script, chatwoot: Chatwoot) -> None:
    script.says(200, b'{"access_token": "' + TOKEN.encode()).says(200, {"access_token": TOKEN})
    refusal(chatwoot.profile)
    refusal(chatwoot.profile)


def test_a_question_whose_answer_is_lost_can_be_asked_again(
    script: Script, chatwoot: Chatwoot
) -> None:
    script.says(0).says(0).says(502, b"")
    assert type(refusal(lambda: chatwoot.find_contact(7, "s"))) is Unreachable
    assert type(refusal(lambda: post(chatwoot))) is Uncertain
    assert type(refusal(lambda: chatwoot.find_contact(7, "s"))) is ServerTrouble
    assert len(script.calls) == 3


def test_nobody_at_the_address() -> None:
    chatwoot = Chatwoot(refused_url(), 1, SecretStr(TOKEN))
    assert type(refusal(lambda: post(chatwoot))) is Unreachable
    chatwoot.close()


def test_a_silent_server_is_given_up_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        chatwoot = Chatwoot(url, 1, SecretStr(TOKEN), deadline=0.2)
        began = time.monotonic()
        assert type(refusal(lambda: post(chatwoot))) is Uncertain
        assert time.monotonic() - began < 3
        chatwoot.close()


def test_a_write_asks_the_fence_first(script: Script, chatwoot: Chatwoot) -> None:
    asked: list[int] = []
    token = fence.set(lambda: asked.append(len(script.calls)))
    try:
        script.says(200, message())
        post(chatwoot)
    finally:
        fence.reset(token)
    assert asked == [0, 0], "at the beginning, and at the last moment"


def test_threads_share_a_client(script: Script, chatwoot: Chatwoot) -> None:
    ids: list[int] = []
    for number in range(40):
        script.says(200, message(number))
    threads = [
        threading.Thread(target=lambda: ids.extend(post(chatwoot).id for _ in range(5)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(ids) == list(range(40))


def test_no_dot_of_an_address_is_left_for_rails_to_read() -> None:
    """It takes one for the beginning of a format, and finds no such address."""
    paths = list[str]()

    def answer(head: Head, read: Callable[[], bytes]) -> Reply:
        paths.append(head.path)
        told = {"content_type": "input_csat", "content_attributes": json.loads(read())}
        return Reply(200, json.dumps(told).encode())

    server = Server(answer, 0)
    server.start()
    try:
        inbox = Inbox(7, identifier="aBc")
        chatwoot = Chatwoot(server.url, 1, SecretStr("t"))
        chatwoot.answer_survey(inbox, "ada.l/+@x.org", 12, 56, rating=4)
    finally:
        server.stop()
    [path] = paths
    assert path == (
        "/public/api/v1/inboxes/aBc/contacts/ada%2El%2F%2B%40x%2Eorg/conversations/12/messages/56"
    )
