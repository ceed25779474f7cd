"""Contacts, their places in inboxes, and which conversation a POST gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.sandbox.chatwoot_parties import SOURCE, Bridge, bridge


@pytest.fixture
def cw() -> Iterator[Bridge]:
    with bridge() as running:
        yield running


def test_who_is_this_source_id(cw: Bridge) -> None:
    contact = cw.contact()
    ask = {"inbox_id": cw.inbox, "source_id": SOURCE}
    assert cw.post("/contact_inboxes/filter", ask)["id"] == contact
    nobody = cw.call("POST", "/contact_inboxes/filter", json={**ask, "source_id": "none"})
    assert (nobody.status_code, nobody.content) == (404, b"")


def _filter(cw: Bridge, *conditions: tuple[str, str, str, str | None]) -> list[int]:
    names = ("attribute_key", "filter_operator", "values", "query_operator")
    payload: list[dict[str, Any]] = [dict(zip(names, each, strict=True)) for each in conditions]
    for condition in payload:
        condition["values"] = [condition["values"]]
    return [each["id"] for each in cw.post("/contacts/filter", {"payload": payload})["payload"]]


def test_a_filter_finds_exactly(cw: Bridge) -> None:
    ada = cw.contact("a", phone_number="+15551230", identifier="Tg:1")
    cw.contact("b", phone_number="+155512301", email="b@example.com")
    assert _filter(cw, ("phone_number", "equal_to", "15551230", None)) == [ada]
    assert _filter(cw, ("identifier", "equal_to", "tG:1", None)) == [ada]
    assert len(_filter(cw, ("phone_number", "equal_to", "+15551230", "OR"),
                       ("email", "equal_to", "B@example.com", None))) == 2  # fmt: skip
    wrong = {"payload": [{"attribute_key": "shoe", "filter_operator": "equal_to", "values": [1]}]}
    answer = cw.call("POST", "/contacts/filter", json=wrong)
    assert (answer.status_code, set(answer.json())) == (422, {"error"})


def test_a_search_finds_parts(cw: Bridge) -> None:
    for source, phone in (("a", "+15551230"), ("b", "+155512301")):
        cw.contact(source, phone_number=phone)
    found = cw.get("/contacts/search?q=" + quote("+15551230"))
    assert len(found["payload"]) == 2
    assert found["meta"]["current_page"] == 1
    assert cw.get("/contacts/search?q=ADA&page=2")["meta"]["current_page"] == "2"
    assert cw.get("/contacts/search?q=")["payload"] == []


@pytest.mark.parametrize(("version", "number"), [("4.10.1", 0), ("4.13.0", 1)])
def test_4_10_does_not_find_a_contact_without_any_address(version: str, number: int) -> None:
    with bridge(version=version) as cw:
        cw.contact()
        assert len(cw.get("/contacts/search?q=Ada")["payload"]) == number


def test_attributes_are_merged_and_the_rest_overwritten(cw: Bridge) -> None:
    contact = cw.contact(custom_attributes={"a": 1, "b": 1})
    body = {"name": "Ada K", "custom_attributes": {"b": 2}}
    changed = cw.call("PATCH", f"/contacts/{contact}", json=body).json()["payload"]
    assert changed["custom_attributes"] == {"a": 1, "b": 2}
    assert changed["name"] == "Ada K"


def test_an_empty_identifier_can_be_stored_once(cw: Bridge) -> None:
    cw.contact("a", identifier="")
    body = {"name": "x", "identifier": ""}
    assert cw.call("POST", "/contacts", json=body).status_code == 500


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("phone_number", "5551234", "Phone number should be in e164 format"),
        ("email", "a b@c", "Email Invalid email"),
        ("name", "x" * 256, "Name is too long (maximum is 255 characters)"),
    ],
)
def test_bad_fields_are_422(cw: Bridge, field: str, value: str, text: str) -> None:
    answer = cw.call("POST", "/contacts", json={"name": "x", field: value})
    assert (answer.status_code, answer.json()) == (422, {"message": text, "attributes": [field]})


def test_a_place_is_made_once_and_without_a_source_id_each_time_anew(cw: Bridge) -> None:
    contact, other = cw.contact(), cw.contact("other")
    path = f"/contacts/{contact}/contact_inboxes"
    again = cw.post(path, {"inbox_id": cw.inbox, "source_id": SOURCE})
    assert again["source_id"] == SOURCE
    minted = {cw.post(path, {"inbox_id": cw.inbox})["source_id"] for _ in range(2)}
    assert {len(source) for source in minted} == {36}
    assert len(minted) == 2
    taken = f"/contacts/{other}/contact_inboxes"
    answer = cw.call("POST", taken, json={"inbox_id": cw.inbox, "source_id": SOURCE})
    assert answer.status_code == 500


def test_a_picture_is_shown_with_the_contact_and_has_its_own_address(cw: Bridge) -> None:
    contact, picture = cw.contact(), ("me.jpg", b"\xff\xd8\xff", "image/jpeg")
    path = f"/contacts/{contact}"
    assert cw.get(path)["payload"]["thumbnail"] == ""
    shown = []
    for _ in range(2):
        cw.call("PUT", path, files={"avatar": picture})
        shown.append(cw.get(path)["payload"]["thumbnail"])
    assert len(set(shown)) == 2
    assert cw.session.get(shown[0], timeout=5).content == b"\xff\xd8\xff"
    ask = {"inbox_id": cw.inbox, "source_id": SOURCE}
    assert cw.post("/contact_inboxes/filter", ask)["thumbnail"] == shown[1]


@pytest.mark.parametrize(
    "picture",
    [("me.bmp", b"BM", "image/bmp"), ("me.jpg", bytes(15 * 1024 * 1024 + 1), "image/jpeg")],
)
def test_a_picture_of_another_kind_or_too_large_is_refused(
    cw: Bridge, picture: tuple[str, bytes, str]
) -> None:
    path = f"/contacts/{cw.contact()}"
    answer = cw.call("PUT", path, files={"avatar": picture})
    assert (answer.status_code, answer.json()["attributes"]) == (422, ["avatar"])
    assert cw.get(path)["payload"]["thumbnail"] == ""


@pytest.mark.parametrize(("version", "status"), [("4.13.0", 422), ("4.15.1", 200)])
def test_newer_releases_take_a_webp_picture(version: str, status: int) -> None:
    with bridge(version=version) as cw:
        picture = ("me.webp", b"RIFF", "image/webp")
        answer = cw.call("PUT", f"/contacts/{cw.contact()}", files={"avatar": picture})
        assert answer.status_code == status


def test_merged_contacts_leave_their_source_ids_to_the_base(cw: Bridge) -> None:
    base, mergee = cw.contact("a"), cw.contact("b", email="b@example.com")
    body = {"base_contact_id": base, "mergee_contact_id": mergee}
    assert cw.post("/actions/contact_merge", body)["email"] == "b@example.com"
    assert cw.call("GET", f"/contacts/{mergee}").status_code == 404
    ask = {"inbox_id": cw.inbox, "source_id": "b"}
    assert cw.post("/contact_inboxes/filter", ask)["id"] == base


def test_an_unlocked_inbox_always_makes_a_new_conversation(cw: Bridge) -> None:
    contact = cw.contact()
    assert cw.conversation(contact) != cw.conversation(contact)


def test_a_locked_inbox_gives_the_latest_one_whatever_its_status(cw: Bridge) -> None:
    body = {"lock_to_single_conversation": True}
    cw.call("PATCH", f"/inboxes/{cw.inbox}", json=body)
    contact = cw.contact()
    first = cw.conversation(contact)
    cw.chatwoot.agent_resolve(first)
    message = {"content": "hello", "message_type": "incoming"}
    assert cw.conversation(contact, status="pending", message=message) == first
    assert cw.get(f"/conversations/{first}")["status"] == "open"
    incoming = [each for each in cw.chatwoot.messages(first) if each["message_type"] == 0]
    assert incoming[0]["content"] == "hello"


def test_a_source_id_alone_is_looked_for_in_the_whole_installation(cw: Bridge) -> None:
    cw.contact()
    second = cw.chatwoot.add_inbox("Second bot", None)
    body = {"inbox_id": second, "source_id": SOURCE}
    assert cw.post("/conversations", body)["inbox_id"] == cw.inbox
    missing = cw.call("POST", "/conversations", json={"inbox_id": second, "source_id": "none"})
    assert missing.status_code == 404


def test_a_conversation_without_a_source_id_gets_a_random_one(cw: Bridge) -> None:
    contact = cw.contact()
    cw.post("/conversations", {"inbox_id": cw.inbox, "contact_id": contact})
    places = cw.get(f"/contacts/{contact}")["payload"]["contact_inboxes"]
    assert sorted(len(place["source_id"]) for place in places) == [len(SOURCE), 36]


def test_an_invalid_first_message_makes_no_conversation(cw: Bridge) -> None:
    body = {"inbox_id": cw.inbox, "contact_id": cw.contact(), "source_id": SOURCE}
    body |= {"message": {"content": "x" * 150_001}}
    answer = cw.call("POST", "/conversations", json=body)
    assert (answer.status_code, answer.json()["attributes"]) == (422, ["content"])
    assert cw.chatwoot.conversations() == []


def test_conversations_are_listed_by_source_and_by_time(cw: Bridge) -> None:
    number = cw.conversation()
    cw.conversation(source="other")
    cw.chatwoot.agent_resolve(number)
    path = f"/conversations?inbox_id={cw.inbox}&source_id={SOURCE}"
    assert cw.get(path)["data"]["payload"] == []
    found = cw.get(path + "&status=all")["data"]
    assert [row["id"] for row in found["payload"]] == [number]
    assert found["meta"]["all_count"] == 1
    later = cw.chatwoot.store.now() + 100
    cw.chatwoot.store.now = lambda: later
    cw.chatwoot.agent_reply(number, "touched")
    recent = cw.get("/conversations?status=all&updated_within=50")["data"]["payload"]
    assert [row["id"] for row in recent] == [number]


def test_small_changes_to_a_conversation(cw: Bridge) -> None:
    number = cw.conversation()
    path = f"/conversations/{number}"
    assert cw.post(path + "/labels", {"labels": ["a", "b"]}) == {"payload": ["a", "b"]}
    assert cw.post(path + "/labels", {"labels": ["c"]}) == {"payload": ["c"]}
    assert cw.post(path + "/assignments", {"assignee_id": 2})["role"] == "agent"
    assert cw.get(path)["meta"]["assignee"]["id"] == 2
    assert cw.post(path + "/assignments", {"assignee_id": 99}) is None
    cw.post(path + "/custom_attributes", {"custom_attributes": {"a": 1}})
    cw.post(path + "/custom_attributes", {"custom_attributes": {"b": 1}})
    assert cw.get(path)["custom_attributes"] == {"b": 1}
    assert cw.post(path + "/toggle_status", {})["payload"]["current_status"] == "resolved"
    assert cw.call("POST", path + "/toggle_status", json={"status": "x"}).status_code == 500


def test_opening_assigns_an_agent_but_not_an_administrator(cw: Bridge) -> None:
    number = cw.conversation()
    path = f"/conversations/{number}/toggle_status"
    cw.post(path, {"status": "open"})
    assert "assignee" not in cw.get(f"/conversations/{number}")["meta"]
    cw.post(path, {"status": "open"}, token=cw.chatwoot.agent.token)
    assert cw.get(f"/conversations/{number}")["meta"]["assignee"]["id"] == 2


def _public(cw: Bridge, path: str) -> str:
    identifier = cw.get(f"/inboxes/{cw.inbox}")["inbox_identifier"]
    return f"{cw.chatwoot.url}/public/api/v1/inboxes/{identifier}{path}"


def test_a_public_contact_is_the_same_for_the_same_source_id(cw: Bridge) -> None:
    made = [
        requests.post(_public(cw, "/contacts"), json={"source_id": "p", "name": name}, timeout=5)
        for name in ("One", "Two")
    ]
    assert [answer.json()["name"] for answer in made] == ["One", "One"]
    known = cw.contact("k", email="k@example.com")
    body = {"source_id": "q", "email": "k@example.com"}
    reused = requests.post(_public(cw, "/contacts"), json=body, timeout=5).json()
    assert reused["id"] == known


def test_a_wrong_identity_hash_is_500(cw: Bridge) -> None:
    body = {"source_id": "p", "identifier": "i", "identifier_hash": "wrong"}
    assert requests.post(_public(cw, "/contacts"), json=body, timeout=5).status_code == 500


def test_the_customer_types_through_the_public_interface(cw: Bridge) -> None:
    number = cw.conversation()
    path = _public(cw, f"/contacts/{quote(SOURCE)}/conversations/{number}/toggle_typing")
    answer = requests.post(path, json={"typing_status": "on"}, timeout=5)
    assert (answer.status_code, answer.content) == (200, b"")
    typing = cw.receiver.wait_for_event("conversation_typing_on")[0]
    assert typing["user"]["name"] == "Ada L"
    assert "type" not in typing["user"]


def test_what_the_customer_has_seen_is_read(cw: Bridge) -> None:
    number = cw.conversation()
    asked = cw.write(number, "hello")["id"]
    reply = cw.chatwoot.agent_reply(number, "hi")
    lost = cw.chatwoot.agent_reply(number, "lost")
    cw.call("PATCH", f"/conversations/{number}/messages/{lost}", json={"status": "failed"})
    cw.settle()
    before = len(cw.receiver.deliveries("message_updated"))
    path = _public(cw, f"/contacts/{quote(SOURCE)}/conversations/{number}/update_last_seen")
    assert requests.post(path, timeout=5).content == b""
    states = {each["id"]: each["status"] for each in cw.chatwoot.messages(number)}
    assert states == {asked: "sent", reply: "read", lost: "failed"}
    cw.settle()
    assert len(cw.receiver.deliveries("message_updated")) == before + 1
