"""Who may call Chatwoot, how it refuses, and its two dialects of errors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.sandbox.chatwoot_parties import SOURCE, Bridge, bridge


@pytest.fixture
def cw() -> Iterator[Bridge]:
    with bridge() as running:
        yield running


def test_no_token_is_401_with_errors(cw: Bridge) -> None:
    answer = requests.get(f"{cw.chatwoot.url}/api/v1/accounts/1/inboxes", timeout=5)
    assert answer.status_code == 401
    assert answer.json() == {"errors": ["You need to sign in or sign up before continuing."]}


@pytest.mark.parametrize("name", ["api_access_token", "Api-Access-Token"])
def test_the_token_comes_in_a_header_with_dashes_or_underscores(cw: Bridge, name: str) -> None:
    headers = {name: cw.chatwoot.access_token}
    answer = requests.get(f"{cw.chatwoot.url}/api/v1/profile", headers=headers, timeout=5)
    accounts = answer.json()["accounts"]
    assert [(each["id"], each["name"], each["role"]) for each in accounts] == [
        (1, "Sandbox", "administrator")
    ]


def test_an_unknown_token_is_401(cw: Bridge) -> None:
    answer = cw.call("GET", "/inboxes", token="wrong")
    assert (answer.status_code, answer.json()) == (401, {"error": "Invalid Access Token"})


def test_a_user_of_another_account_is_401_and_a_missing_account_404(cw: Bridge) -> None:
    other = cw.chatwoot.add_account("Other")
    refused = cw.call("GET", "/inboxes", token=cw.chatwoot.agent.token, account=other)
    assert refused.status_code == 401
    assert refused.json() == {"error": "You are not authorized to access this account"}
    missing = cw.call("GET", "/inboxes", account=99)
    assert missing.status_code == 404
    assert missing.json() == {"error": "Resource could not be found"}


def test_a_role_that_may_not_is_401_and_not_403(cw: Bridge) -> None:
    body = {"name": "x", "channel": {"type": "api"}}
    answer = cw.call("POST", "/inboxes", token=cw.chatwoot.agent.token, json=body)
    assert answer.status_code == 401
    assert answer.json() == {"error": "You are not authorized to do this action"}


def test_an_agent_sees_only_the_inboxes_that_it_is_a_member_of(cw: Bridge) -> None:
    agent = cw.chatwoot.agent
    made = cw.post("/inboxes", {"name": "Closed", "channel": {"type": "api"}})
    seen = cw.get("/inboxes", token=agent.token)["payload"]
    assert [inbox["id"] for inbox in seen] == [cw.inbox]
    assert cw.call("GET", f"/inboxes/{made['id']}", token=agent.token).status_code == 401
    cw.post("/inbox_members", {"inbox_id": made["id"], "user_ids": [agent.id]})
    assert cw.call("GET", f"/inboxes/{made['id']}", token=agent.token).status_code == 200


def test_a_bot_may_write_messages_but_not_list_them_or_make_contacts(cw: Bridge) -> None:
    conversation = cw.conversation()
    token = cw.chatwoot.add_bot("Robot")
    path = f"/conversations/{conversation}/messages"
    written = cw.post(path, {"content": "beep"}, token=token)
    assert written["sender"]["type"] == "agent_bot"
    for method, refused in (("GET", path), ("POST", "/contacts")):
        answer = cw.call(method, refused, token=token, json={})
        assert answer.status_code == 401
        assert answer.json() == {"error": "Access to this endpoint is not authorized for bots"}


@pytest.mark.parametrize(("version", "status"), [("4.10.1", 401), ("4.13.0", 401), ("4.15.1", 200)])
def test_a_bot_may_show_a_conversation_only_in_newer_releases(version: str, status: int) -> None:
    with bridge(version=version) as cw:
        conversation = cw.conversation()
        token = cw.chatwoot.add_bot("Robot")
        answer = cw.call("GET", f"/conversations/{conversation}", token=token)
        assert answer.status_code == status


@pytest.mark.parametrize(
    "path", ["/contacts/99", "/contacts/x", "/inboxes/99", "/conversations/99/messages"]
)
def test_a_missing_record_is_404(cw: Bridge, path: str) -> None:
    answer = cw.call("GET", path)
    assert (answer.status_code, answer.json()) == (404, {"error": "Resource could not be found"})


def test_the_public_interface_has_a_404_of_its_own(cw: Bridge) -> None:
    answer = requests.get(f"{cw.chatwoot.url}/public/api/v1/inboxes/none", timeout=5)
    assert (answer.status_code, answer.json()) == (404, {"status": 404, "error": "Not Found"})


def test_a_failed_validation_speaks_of_message_and_attributes(cw: Bridge) -> None:
    cw.contact("one", email="Ada@Example.com", identifier="i")
    body = {"name": "x", "email": "ada@example.com", "identifier": "i"}
    answer = cw.call("POST", "/contacts", json=body)
    assert answer.status_code == 422
    assert answer.json() == {
        "message": "Email has already been taken, Identifier has already been taken",
        "attributes": ["email", "identifier"],
    }


def test_any_error_of_a_new_message_speaks_of_error(cw: Bridge) -> None:
    path = f"/conversations/{cw.conversation()}/messages"
    wrong = {
        "'x' is not a valid content_type": {"content": "a", "content_type": "x"},
        "'x' is not a valid message_type": {"content": "a", "message_type": "x"},
        "string contains null byte": {"content": "a\0"},
        "Validation failed: Content is too long (maximum is 150000 characters)": {
            "content": "a" * 150_001
        },
    }
    for text, body in wrong.items():
        answer = cw.call("POST", path, json=body)
        assert (answer.status_code, answer.json()) == (422, {"error": text})


def test_a_taken_source_id_is_500_for_a_contact_which_is_then_not_made(cw: Bridge) -> None:
    cw.contact()
    body = {"inbox_id": cw.inbox, "source_id": SOURCE, "name": "Eve", "email": "e@example.com"}
    answer = cw.call("POST", "/contacts", json=body)
    assert answer.status_code == 500
    assert answer.json() == {"status": 500, "error": "Internal Server Error"}
    assert cw.get("/contacts/search?q=e@example.com")["payload"] == []


def test_a_taken_source_id_is_422_for_a_conversation(cw: Bridge) -> None:
    cw.contact()
    other = cw.contact("other")
    body = {"inbox_id": cw.inbox, "contact_id": other, "source_id": SOURCE}
    answer = cw.call("POST", "/conversations", json=body)
    assert (answer.status_code, answer.json()) == (422, {"error": "source_id should be unique"})


def test_attributes_that_are_too_large_are_422(cw: Bridge) -> None:
    contact = cw.contact()
    for value in ("x" * 1501, 10_000_000_000):
        body = {"inbox_id": cw.inbox, "contact_id": contact, "source_id": SOURCE}
        body |= {"additional_attributes": {"id": value}}
        answer = cw.call("POST", "/conversations", json=body)
        assert answer.status_code == 422
        assert answer.json()["attributes"] == ["additional_attributes"]


def test_broken_json_is_400(cw: Bridge) -> None:
    headers = {"api_access_token": cw.chatwoot.access_token, "Content-Type": "application/json"}
    url = f"{cw.chatwoot.url}/api/v1/accounts/1/contacts"
    assert requests.post(url, data="{", headers=headers, timeout=5).status_code == 400


def test_the_version_is_told_without_a_token() -> None:
    with bridge(version="4.15.1") as cw:
        answer = requests.get(f"{cw.chatwoot.url}/api", timeout=5).json()
        assert answer["version"] == "4.15.1"
        assert answer["queue_services"] == "ok"


def test_requests_are_counted_by_route(cw: Bridge) -> None:
    cw.contact("a")
    cw.contact("b")
    assert cw.chatwoot.requests["POST", "/api/v1/accounts/{account}/contacts"] == 2


@pytest.mark.parametrize(("version", "status"), [("4.13.0", 200), ("4.15.1", 404)])
def test_the_public_interface_of_newer_releases_keeps_places_apart(
    version: str, status: int
) -> None:
    with bridge(version=version) as cw:
        contact = cw.contact("one")
        number = cw.conversation(contact, "one")
        place = {"inbox_id": cw.inbox, "source_id": "two"}
        cw.post(f"/contacts/{contact}/contact_inboxes", place)
        identifier = cw.get(f"/inboxes/{cw.inbox}")["inbox_identifier"]
        inbox = f"{cw.chatwoot.url}/public/api/v1/inboxes/{identifier}"
        answer = requests.get(f"{inbox}/contacts/two/conversations/{number}", timeout=5)
        assert answer.status_code == status
