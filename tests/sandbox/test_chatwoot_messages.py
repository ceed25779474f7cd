"""Messages: reopening, statuses, deletion, retry, floods, pages and files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from sandbox.chatwoot import Upload
from tests.sandbox.chatwoot_parties import Bridge, bridge

VOICE = Upload("voice note.ogg", "audio/ogg", b"OggS")


@pytest.fixture
def cw() -> Iterator[Bridge]:
    with bridge() as running:
        yield running


def _status(cw: Bridge, number: int) -> str:
    return str(cw.get(f"/conversations/{number}")["status"])


@pytest.mark.parametrize("closed", ["resolved", "snoozed"])
def test_an_incoming_message_reopens(cw: Bridge, closed: str) -> None:
    number = cw.conversation()
    cw.post(f"/conversations/{number}/toggle_status", {"status": closed})
    cw.chatwoot.agent_reply(number, "outgoing never reopens")
    assert _status(cw, number) == closed
    cw.write(number, "hello")
    assert _status(cw, number) == "open"


def test_a_pending_conversation_stays_pending(cw: Bridge) -> None:
    number = cw.conversation(status="pending")
    cw.write(number, "hello")
    assert _status(cw, number) == "pending"


def test_a_resolved_conversation_reopens_for_the_bot_if_there_is_one(cw: Bridge) -> None:
    number = cw.conversation()
    cw.chatwoot.agent_resolve(number)
    cw.chatwoot.add_bot("Robot", cw.inbox)
    cw.write(number, "hello")
    assert _status(cw, number) == "pending"


def test_a_blocked_contact_reopens_nothing(cw: Bridge) -> None:
    contact = cw.contact()
    number = cw.conversation(contact)
    cw.post(f"/conversations/{number}/mute", {})
    cw.write(number, "hello")
    assert _status(cw, number) == "resolved"
    assert _status(cw, cw.conversation(contact)) == "resolved"


def test_an_incoming_message_moves_the_contact_s_last_activity(cw: Bridge) -> None:
    contact = cw.contact()
    cw.write(cw.conversation(contact), "hello")
    assert cw.get(f"/contacts/{contact}")["payload"]["last_activity_at"] > 0


def _patch(cw: Bridge, number: int, message: int, **body: object) -> requests.Response:
    return cw.call("PATCH", f"/conversations/{number}/messages/{message}", json=body)


def test_any_status_may_follow_any_other_but_delivered_never_read(cw: Bridge) -> None:
    number = cw.conversation()
    reply = cw.chatwoot.agent_reply(number, "hi")
    for status in ("delivered", "sent", "failed", "sent", "read", "failed", "read"):
        assert _patch(cw, number, reply, status=status).json()["status"] == status
    for ignored in ("delivered", "nonsense"):
        answer = _patch(cw, number, reply, status=ignored)
        assert (answer.status_code, answer.json()["status"]) == (200, "read")


def test_an_external_error_stays_only_with_failed(cw: Bridge) -> None:
    number = cw.conversation()
    reply = cw.chatwoot.agent_reply(number, "hi")
    failed = _patch(cw, number, reply, status="failed", external_error="blocked").json()
    assert failed["content_attributes"] == {"external_error": "blocked"}
    sent = _patch(cw, number, reply, status="sent", external_error="blocked").json()
    assert not sent["content_attributes"].get("external_error")


def test_a_status_comes_back_as_message_updated_but_only_if_it_changes(cw: Bridge) -> None:
    number = cw.conversation()
    reply = cw.chatwoot.agent_reply(number, "hi")
    _patch(cw, number, reply, status="delivered")
    _patch(cw, number, reply, status="delivered")
    cw.settle()
    assert len(cw.receiver.deliveries("message_updated")) == 1


def test_a_patch_changes_nothing_but_the_status(cw: Bridge) -> None:
    number = cw.conversation()
    reply = cw.chatwoot.agent_reply(number, "hi")
    body = {"status": "delivered", "content": "x", "source_id": "y", "content_attributes": {"a": 1}}
    changed = _patch(cw, number, reply, **body).json()
    assert changed["content"] == "hi"
    assert changed["source_id"] is None
    assert changed["content_attributes"] == {}


def test_a_patch_outside_an_api_inbox_is_403(cw: Bridge) -> None:
    number = cw.conversation()
    reply = cw.chatwoot.agent_reply(number, "hi")
    with cw.chatwoot.store.changing():
        cw.chatwoot.store.inboxes.get(cw.inbox).channel_type = "Channel::Telegram"
    answer = _patch(cw, number, reply, status="sent")
    assert answer.status_code == 403
    assert answer.json() == {"error": "Message status update is only allowed for API inboxes"}


def test_a_deleted_message_keeps_its_source_id_and_loses_the_rest(cw: Bridge) -> None:
    number = cw.conversation()
    made = cw.write(number, "oops", source_id="tgm:1", content_attributes={"a": 1})
    gone = cw.call("DELETE", f"/conversations/{number}/messages/{made['id']}").json()
    assert gone["content"] == "This message was deleted"
    assert gone["content_attributes"] == {"deleted": True}
    assert gone["source_id"] == "tgm:1"
    assert cw.receiver.wait_for_event("message_updated")[0]["id"] == made["id"]


def test_retry_clears_the_failure_and_sends_nothing_new(cw: Bridge) -> None:
    number = cw.conversation()
    asked = cw.write(number, "hello")["id"]
    reply = cw.chatwoot.agent_reply(number, "hi", in_reply_to=asked)
    _patch(cw, number, reply, status="failed", external_error="blocked")
    cw.settle()
    again = cw.post(f"/conversations/{number}/messages/{reply}/retry", {})
    assert (again["status"], again["content_attributes"]) == ("sent", {})
    cw.settle()
    assert len(cw.receiver.deliveries("message_created")) == 2
    assert len(cw.receiver.deliveries("message_updated")) == 3


def test_what_an_agent_does_reaches_the_receiver(cw: Bridge) -> None:
    number = cw.conversation()
    cw.chatwoot.agent_typing(number, "on", private=True)
    typing = cw.receiver.wait_for_event("conversation_typing_on")[0]
    assert typing["user"]["type"] == "user"
    assert typing["is_private"] is True
    assert typing["conversation"]["id"] == number
    cw.chatwoot.agent_snooze(number, 2_000_000_000.0)
    changed = cw.receiver.wait_for_event("conversation_status_changed")[0]
    assert changed["status"] == "snoozed"
    assert changed["snoozed_until"] == "2033-05-18T03:33:20.000Z"
    assert changed["changed_attributes"] is None
    cw.chatwoot.automatic_reply(number, "We are out of office")
    template = cw.receiver.wait_for_event("message_created")[0]
    assert (template["message_type"], template["sender"]) == ("template", None)


def test_an_agent_s_new_conversation_has_a_random_source_id(cw: Bridge) -> None:
    contact = cw.post("/contacts", {"name": "Eve", "phone_number": "+15550001111"})
    number = contact["payload"]["contact"]["id"]
    conversation = cw.chatwoot.agent_start_conversation(number, cw.inbox, "Hello Eve")
    body = cw.receiver.wait_for_event("message_created")[0]
    assert body["conversation"]["id"] == conversation
    assert len(body["conversation"]["contact_inbox"]["source_id"]) == 36
    assert body["conversation"]["meta"]["sender"]["phone_number"] == "+15550001111"


def test_a_file_is_behind_a_redirect_that_needs_no_token(cw: Bridge) -> None:
    number = cw.conversation()
    cw.chatwoot.agent_reply(number, None, attachments=[VOICE])
    body = cw.receiver.wait_for_event("message_created")[0]
    assert body["content"] is None
    file = body["attachments"][0]
    assert (file["file_type"], file["file_size"], file["thumb_url"]) == ("audio", 4, "")
    assert (file["extension"], file["content_type"]) == ("ogg", "audio/ogg")
    first = requests.get(file["data_url"], allow_redirects=False, timeout=5)
    assert first.status_code == 302
    second = requests.get(first.headers["Location"], timeout=5)
    assert (second.content, second.headers["Content-Type"]) == (b"OggS", "audio/ogg")


def test_the_address_behind_the_redirect_expires_and_cannot_be_forged(cw: Bridge) -> None:
    number = cw.conversation()
    cw.chatwoot.agent_reply(number, "", attachments=[VOICE])
    address = cw.chatwoot.messages(number)[0]["attachments"][0]["data_url"]
    target = requests.get(address, allow_redirects=False, timeout=5).headers["Location"]
    later = cw.chatwoot.store.now() + 301
    cw.chatwoot.store.now = lambda: later
    assert requests.get(target, timeout=5).status_code == 404
    until = target.split("/")[-3]
    forged = target.replace(until, str(int(until) + 9999))
    assert requests.get(forged, timeout=5).status_code == 404
    assert requests.get(address, timeout=5).content == b"OggS"


def test_a_late_file_is_404_at_first(cw: Bridge) -> None:
    now = cw.chatwoot.store.now()
    cw.chatwoot.store.now = lambda: now
    cw.chatwoot.delay_files(2.0)
    number = cw.conversation()
    cw.chatwoot.agent_reply(number, "look", attachments=[VOICE])
    address = cw.chatwoot.messages(number)[0]["attachments"][0]["data_url"]
    assert requests.get(address, timeout=5).status_code == 404
    cw.chatwoot.store.now = lambda: now + 2.1
    assert requests.get(address, timeout=5).content == b"OggS"


def test_files_come_by_multipart_or_by_the_id_of_an_upload(cw: Bridge) -> None:
    number = cw.conversation()
    path = f"/conversations/{number}/messages"
    form = {"content": "two", "message_type": "incoming", "content_attributes": '{"a": 1}'}
    files = [("attachments[]", (f"{i}.png", b"x" * i, "image/png")) for i in (1, 2)]
    made = cw.call("POST", path, data=form, files=files).json()
    assert [file["file_size"] for file in made["attachments"]] == [1, 2]
    assert made["content_attributes"] == {"a": 1}
    upload = {"attachment": ("a.pdf", b"%PDF", "application/pdf")}
    blob = cw.call("POST", "/upload", files=upload).json()["blob_id"]
    again = cw.post(path, {"attachments": [blob]})
    assert again["attachments"][0]["file_type"] == "file"
    assert cw.call("POST", path, json={"attachments": ["forged"]}).status_code == 422


def test_a_flooded_conversation_refuses_with_422_until_a_minute_has_passed() -> None:
    with bridge(flood_limit=3) as cw:
        number = cw.conversation()
        last = [cw.write(number, str(i))["id"] for i in range(3)][-1]
        path = f"/conversations/{number}/messages"
        refused = cw.call("POST", path, json={"content": "4"})
        assert refused.status_code == 422
        assert refused.json() == {"error": "Validation failed: Too many messages"}
        patched = _patch(cw, number, last, status="read")
        assert patched.status_code == 422
        assert patched.json() == {"message": "Too many messages", "attributes": ["base"]}
        later = cw.chatwoot.store.now() + 61
        cw.chatwoot.store.now = lambda: later
        assert cw.call("POST", path, json={"content": "4"}).status_code == 200


def test_the_usual_flood_limit_is_200() -> None:
    with bridge() as cw:
        assert cw.chatwoot.store.flood_limit == 200


def test_too_many_requests_are_429_in_plain_text_without_retry_after() -> None:
    with bridge(request_limit=2, search_limit=1) as cw:
        cw.chatwoot.store.now = lambda: 1_700_000_000.0
        assert cw.call("GET", "/contacts/search?q=a").status_code == 200
        assert cw.call("GET", "/contacts/search?q=a").status_code == 429
        refused = cw.call("GET", "/inboxes")
        assert (refused.status_code, refused.text) == (429, "Retry later\n")
        assert refused.headers["Content-Type"] == "text/plain"
        assert "Retry-After" not in refused.headers
        cw.chatwoot.store.now = lambda: 1_700_000_060.0
        assert cw.call("GET", "/inboxes").status_code == 200


def _ids(cw: Bridge, number: int, query: str) -> list[int]:
    payload = cw.get(f"/conversations/{number}/messages{query}")["payload"]
    return [message["id"] for message in payload]


def test_messages_come_in_windows_of_20_100_and_1000() -> None:
    with bridge(flood_limit=None) as cw:
        number = cw.conversation()
        ids = [cw.chatwoot.agent_reply(number, str(i)) for i in range(1105)]
        assert _ids(cw, number, "") == ids[-20:]
        assert _ids(cw, number, f"?before={ids[50]}") == ids[30:50]
        assert _ids(cw, number, f"?after={ids[9]}") == ids[10:110]
        assert _ids(cw, number, f"?after={ids[2]}&before={ids[1104]}") == ids[2:1002]
        assert _ids(cw, number, f"?after={ids[7] - 1}&before={ids[7] + 1}") == ids[6:8]


def test_internal_messages_can_be_left_out(cw: Bridge) -> None:
    number = cw.conversation()
    spoken = cw.write(number, "hello")["id"]
    cw.chatwoot.agent_reply(number, "psst", private=True)
    assert _ids(cw, number, "?filter_internal_messages=true") == [spoken]


def test_a_reply_is_found_by_source_id_in_the_same_conversation_only(cw: Bridge) -> None:
    number = cw.conversation()
    asked = cw.write(number, "one", source_id="tgm:1")["id"]
    by_source = {"in_reply_to_external_id": "tgm:1"}
    both = {"in_reply_to": asked, "in_reply_to_external_id": "tgm:1"}
    assert cw.write(number, "two", content_attributes=by_source)["content_attributes"] == both
    elsewhere = cw.conversation(source="other")
    lost = cw.write(elsewhere, "three", content_attributes=by_source)["content_attributes"]
    assert lost == {"in_reply_to": None, "in_reply_to_external_id": None}


def test_the_same_source_id_twice_makes_two_messages(cw: Bridge) -> None:
    number = cw.conversation()
    assert cw.write(number, "a", source_id="x")["id"] != cw.write(number, "a", source_id="x")["id"]
