"""The calls of the dashboard against the stand-in, and every call against Chatwoot's own
description of its API: no address and no parameter that it does not have."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from gateway.chatwoot.admin import Admin
from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.errors import Invalid, Missing, SurveyRefused
from gateway.chatwoot.multipart import Form
from gateway.chatwoot.values import MessageType
from gateway.http import Answer, Session
from gateway.model import File, Status
from sandbox.chatwoot import ChatwootStandIn
from tests.sandbox.dashboard import Condition, Dashboard

DESCRIBED = json.loads(Path(__file__).with_name("chatwoot_api.json").read_text())
"""Address → names of its parameters, out of Chatwoot's published OpenAPI description."""

SURVEY = "PATCH /public/api/v1/inboxes/{}/contacts/{}/conversations/{}/messages/{}"
NOT_DESCRIBED = {
    SURVEY: {"submitted_values"},
    # In the controllers and used by the dashboard, but left out of the description.
    "GET /api/v1/accounts/{}/conversations": {"source_id", "updated_within", "sort_by"},
    "POST /api/v1/accounts/{}/contacts": {"source_id"},
    "POST /api/v1/accounts/{}/conversations/{}/messages": {"source_id", "attachments"},
    "GET /api/v1/accounts/{}/conversations/{}/messages": {"after", "before"},
    "POST /api/v1/accounts/{}/contact_inboxes/filter": {"inbox_id", "source_id"},
    "POST /api/v1/accounts/{}/actions/contact_merge": {"base_contact_id", "mergee_contact_id"},
    "PATCH /api/v1/accounts/{}/conversations/{}/messages/{}": {"status", "external_error"},
    "PATCH /api/v1/accounts/{}/inboxes/{}": {"channel"},
    # Rails does the same for PATCH as for the PUT that is described.
    "PATCH /api/v1/accounts/{}/contacts/{}": {"name", "identifier", "additional_attributes"},
    "POST /api/v1/accounts/{}/inboxes": {"name", "channel"},
}
NEVER_DESCRIBED = {
    "PATCH /api/v1/accounts/{}/contacts/{}",
    "POST /api/v1/accounts/{}/contact_inboxes/filter",
    "POST /api/v1/accounts/{}/actions/contact_merge",
    "PATCH /api/v1/accounts/{}/conversations/{}/messages/{}",
    "GET /api/v1/accounts/{}",
    "GET /api/v1/accounts/{}/labels",
    "GET /api",
    SURVEY,
}


@dataclass(frozen=True, slots=True)
class Office:
    """A Chatwoot with a contact and a conversation, its client, and the dashboard."""

    stand_in: ChatwootStandIn
    chatwoot: Chatwoot
    dashboard: Dashboard
    inbox: int
    contact: int
    conversation: int
    picture: File


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    picture = tmp_path / "picture"
    picture.write_bytes(b"\xff\xd8\xff")
    with ChatwootStandIn() as stand_in:
        inbox = stand_in.add_inbox("Bot", None)
        account = (stand_in.url, 1, SecretStr(stand_in.access_token))
        chatwoot, dashboard = Chatwoot(*account), Dashboard(*account)
        contact = chatwoot.create_contact(inbox, "tg:1", "Ada", email="ada@example.com").id
        conversation = chatwoot.create_conversation(inbox, contact, "tg:1").id
        yield Office(
            stand_in,
            chatwoot,
            dashboard,
            inbox,
            contact,
            conversation,
            File("me.jpg", "image/jpeg", 3, picture),
        )
        for client in (chatwoot, dashboard):
            client.close()


def test_conversations_are_listed_and_filtered(office: Office) -> None:
    dashboard, number = office.dashboard, office.conversation
    dashboard.set_status(number, "resolved")
    assert [found.id for found in dashboard.conversations()] == [number]
    assert dashboard.conversations(status="open") == ()
    resolved = Condition("status", "equal_to", "resolved")
    here = Condition("inbox_id", "equal_to", office.inbox)
    assert [found.id for found in dashboard.filter_conversations([resolved, here])] == [number]
    assert dashboard.filter_conversations([Condition("status", "equal_to", "open")]) == ()
    assert office.chatwoot.conversation(number).status == "resolved"


def test_labels_are_replaced(office: Office) -> None:
    assert office.chatwoot.set_labels(office.conversation, ["vip", "angry"]) == ("vip", "angry")
    assert office.chatwoot.set_labels(office.conversation, ["vip"]) == ("vip",)
    assert office.dashboard.labels(office.conversation) == ("vip",)


def test_a_priority_is_given_and_taken_away(office: Office) -> None:
    office.chatwoot.set_priority(office.conversation, "urgent")
    assert office.chatwoot.conversation(office.conversation).priority == "urgent"
    office.chatwoot.set_priority(office.conversation, None)
    assert office.chatwoot.conversation(office.conversation).priority == ""


def test_a_conversation_is_born_with_what_it_is_given(office: Office) -> None:
    agent, stranger = office.stand_in.agent.id, office.stand_in.administrator.id
    team = office.stand_in.add_team("Sales", agent)
    office.stand_in.add_label("VIP")
    assert [(each.id, each.name) for each in office.chatwoot.admin.teams()] == [(team, "sales")]
    assert [each.id for each in office.chatwoot.admin.team_members(team)] == [agent]
    assert office.chatwoot.admin.labels() == ("vip",)

    def born(**given: Any) -> Any:
        account = (office.inbox, office.contact, "tg:1")
        made = office.chatwoot.create_conversation(*account, given=given)
        [shown] = [c for c in office.stand_in.conversations() if c["id"] == made.id]
        return shown

    shown = born(team_id=team, assignee_id=agent, status="pending", custom_attributes={"a": 1})
    assert shown["meta"]["team"]["name"] == "sales"
    assert shown["meta"]["assignee"]["id"] == agent
    assert (shown["status"], shown["custom_attributes"]) == ("pending", {"a": 1})
    assert "assignee" not in born(team_id=team, assignee_id=stranger)["meta"]


def test_what_a_blocked_contact_begins_is_born_resolved_and_not_opened(office: Office) -> None:
    office.stand_in.agent_blocks(office.conversation)
    assert office.dashboard.contact(office.contact).blocked
    made = office.chatwoot.create_conversation(
        office.inbox, office.contact, "tg:1", given={"status": "open"}
    )
    assert made.status == "resolved"
    office.chatwoot.create_message(made.id, "spam", source_id="gw:x:1")
    assert office.chatwoot.conversation(made.id).status == "resolved"
    office.stand_in.agent_unblocks(made.id)
    office.chatwoot.create_message(made.id, "sorry", source_id="gw:x:2")
    assert office.chatwoot.conversation(made.id).status == "open"


def test_a_conversation_is_given_to_an_agent_and_taken_back(office: Office) -> None:
    def assignee() -> Any:
        [shown] = office.stand_in.conversations()
        return shown["meta"].get("assignee", {}).get("id")

    office.dashboard.assign(office.conversation, office.stand_in.agent.id)
    assert assignee() == office.stand_in.agent.id
    office.dashboard.assign(office.conversation, None)
    assert assignee() is None


def test_contacts_are_found_changed_and_merged(office: Office) -> None:
    other = office.chatwoot.create_contact(office.inbox, "tg:2", "Ada L", phone="+15551230001")
    assert [found.id for found in office.dashboard.search_contacts("ada@example")] == [
        office.contact
    ]
    office.dashboard.update_contact(office.contact, {"name": "Ada Lovelace"})
    with pytest.raises(Invalid) as refused:
        office.dashboard.update_contact(other.id, {"email": "ada@example.com"})
    assert refused.value.attributes == ("email",)
    merged = office.dashboard.merge_contacts(office.contact, other.id)
    assert (merged.name, merged.phone) == ("Ada Lovelace", "+15551230001")
    assert office.dashboard.contact(office.contact).phone == "+15551230001"
    with pytest.raises(Missing):
        office.dashboard.contact(other.id)


def test_the_accounts_webhooks_are_made_once_and_removed(office: Office) -> None:
    made = office.chatwoot.admin.create_webhook("https://gw.example/hook", ["contact_updated"])
    assert office.chatwoot.admin.webhooks() == (made,)
    assert made.events == ("contact_updated",)
    with pytest.raises(Invalid):
        office.chatwoot.admin.create_webhook("https://gw.example/hook", ["contact_updated"])
    office.chatwoot.admin.delete_webhook(made.id)
    assert office.chatwoot.admin.webhooks() == ()


def test_no_call_has_an_address_or_a_parameter_that_chatwoot_does_not_know(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, set[str]]] = []
    exchange = Session.exchange
    left = public_calls(monkeypatch)

    def noted(self: Session, method: str, url: str, **options: Any) -> Answer:
        parts = urlsplit(url)
        address = re.sub(r"(?<=/)\d+(?=/|$)", "{}", parts.path)
        address = re.sub(r"/inboxes/[^/]+/contacts/[^/]+/", "/inboxes/{}/contacts/{}/", address)
        names = {
            *parse_qs(parts.query),
            *(options.get("params") or {}),
            *(options.get("json") or {}),
            *names_in(options.get("data")),
        }
        calls.append((f"{method} {address}", names))
        return exchange(self, method, url, **options)

    monkeypatch.setattr(Session, "exchange", noted)
    call_everything(office)
    assert left == set()
    for address, names in calls:
        assert address in DESCRIBED or address in NEVER_DESCRIBED, address
        described = DESCRIBED.get(address, {"query": [], "body": []})
        known = {*described["query"], *described["body"], *NOT_DESCRIBED.get(address, ())}
        assert names <= known, (address, names - known)


def public_calls(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The clients' public calls; each vanishes from the set when it is made."""
    left: set[str] = set()

    def noting(client: type, name: str, call: Any) -> None:
        def noted(*args: Any, **options: Any) -> Any:
            left.discard(f"{client.__name__}.{name}")
            return call(*args, **options)

        left.add(f"{client.__name__}.{name}")
        monkeypatch.setattr(client, name, noted)

    for client in (Chatwoot, Admin, Dashboard):
        for name, call in list(vars(client).items()):
            if callable(call) and not name.startswith("_") and name != "close":
                noting(client, name, call)
    return left


def names_in(form: Form | None) -> set[str]:
    """The fields of a form."""
    sent = b"".join(form or ()).decode("latin-1")
    return {
        name.removesuffix("[]")
        for name in re.findall(r'\r\nContent-Disposition: form-data; name="([^"]+)"', sent)
    }


def call_everything(office: Office) -> None:
    """Every public call."""
    chatwoot, dashboard = office.chatwoot, office.dashboard
    inbox, contact, number = office.inbox, office.contact, office.conversation
    chatwoot.installation()
    chatwoot.now()
    chatwoot.profile()
    chatwoot.inbox(inbox)
    chatwoot.find_contact(inbox, "tg:1")
    new = chatwoot.create_contact(inbox, "tg:9", "Bo", phone="+15551230009").id
    chatwoot.filter_contacts(email="ada@example.com", phone="+15551230009")
    chatwoot.attach_source(contact, inbox, "tg:3")
    chatwoot.set_avatar(contact, office.picture)
    chatwoot.conversations_of(inbox, "tg:1")
    chatwoot.create_conversation(
        inbox,
        contact,
        "tg:1",
        {"mail_subject": "Hi"},
        {"status": "pending", "team_id": 1, "assignee_id": 2, "custom_attributes": {"vip": True}},
    )
    chatwoot.recently_updated(inbox, 60)
    list(chatwoot.active_since(inbox, 0.0))
    chatwoot.conversation(number)
    chatwoot.update_contact(contact, name="Ada Lovelace", attributes={"city": "London"})
    chatwoot.create_message(number, "psst", source_id="gw:x:0", message_type=MessageType.NOTE)
    page = File("page.html", "text/html", Path(__file__).stat().st_size, Path(__file__))
    chatwoot.create_message(
        number, "look", source_id="gw:x:2", content_attributes={"in_reply_to": 1}, files=[page]
    )
    message = chatwoot.create_message(number, "hello", source_id="gw:x:1").id
    list(chatwoot.messages_after(number, 0))
    chatwoot.latest_messages(number)
    chatwoot.message(number, message)
    with contextlib.suppress(SurveyRefused):  # it is no survey
        chatwoot.answer_survey(chatwoot.inbox(inbox), "tg:1", number, message, rating=5)
    chatwoot.update_status(number, message, Status.DELIVERED)
    chatwoot.delete_message(number, message)
    dashboard.conversations()
    dashboard.filter_conversations([Condition("status", "equal_to", "open")])
    dashboard.set_status(number, "resolved")
    dashboard.assign(number, office.stand_in.agent.id)
    chatwoot.set_labels(number, ["a"])
    dashboard.labels(number)
    chatwoot.set_priority(number, "high")
    dashboard.search_contacts("ada")
    dashboard.contact(contact)
    dashboard.update_contact(contact, {"name": "Ada L"})
    dashboard.merge_contacts(contact, new)
    call_admin(office)


def call_admin(office: Office) -> None:
    admin = office.chatwoot.admin
    admin.features()
    admin.inboxes()
    made = admin.create_inbox("New", "https://gw.example/x").id
    admin.set_webhook_url(made, "https://gw.example/y")
    admin.agents()
    admin.teams()
    admin.team_members(office.stand_in.add_team("sales"))
    admin.labels()
    admin.members(made)
    admin.set_members(made, admin.agents())
    hook = admin.create_webhook("https://gw.example/z", ["message_created"])
    admin.webhooks()
    admin.update_webhook(hook.id, "https://gw.example/z", ["contact_updated"])
    admin.delete_webhook(hook.id)
