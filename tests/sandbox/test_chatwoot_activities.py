"""The grey lines among a conversation's messages, and what Chatwoot writes by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.sandbox.chatwoot_parties import SOURCE, Bridge, bridge, other_receiver

REOPENED = "System reopened the conversation due to a new incoming message."


@pytest.fixture
def cw() -> Iterator[Bridge]:
    with bridge() as running:
        yield running


def lines(cw: Bridge, number: int) -> list[str]:
    shown = cw.chatwoot.messages(number)
    return [each["content"] for each in shown if each["message_type"] == 2]


def test_each_change_of_status_leaves_a_line(cw: Bridge) -> None:
    number = cw.conversation()
    cw.chatwoot.agent_resolve(number)
    cw.write(number, "one more thing")
    cw.chatwoot.agent_snooze(number)
    for status in ("pending", "open"):
        cw.post(f"/conversations/{number}/toggle_status", {"status": status})
    assert lines(cw, number) == [
        "Conversation was marked resolved by Bob Agent",
        REOPENED,
        "Conversation was snoozed by Bob Agent",
        "Conversation was marked as pending by Ada Admin",
        "Conversation was reopened by Ada Admin",
    ]


def test_priority_labels_people_and_teams_leave_a_line(cw: Bridge) -> None:
    number, bob = cw.conversation(), cw.chatwoot.agent
    path = f"/conversations/{number}"
    team = cw.post("/teams", {"name": "Support"})["id"]
    for priority in ("high", "low", None):
        cw.post(f"{path}/toggle_priority", {"priority": priority})
    cw.post(f"{path}/labels", {"labels": ["a", "b"]})
    cw.post(f"{path}/labels", {"labels": ["b"]})
    cw.post(f"{path}/assignments", {"assignee_id": bob.id})
    cw.post(f"{path}/assignments", {"assignee_id": bob.id})  # changes nothing
    cw.post(f"{path}/assignments", {"assignee_id": None})
    cw.post(f"{path}/assignments", {"assignee_id": cw.chatwoot.administrator.id})
    cw.post(f"{path}/assignments", {"team_id": team})
    cw.post(f"{path}/assignments", {"team_id": 0})
    assert lines(cw, number) == [
        "Ada Admin set the priority to high",
        "Ada Admin changed the priority from high to low",
        "Ada Admin removed the priority",
        "Ada Admin added a, b",
        "Ada Admin removed a",
        "Assigned to Bob Agent by Ada Admin",
        "Conversation unassigned by Ada Admin",
        "Ada Admin self-assigned this conversation",
        "Assigned to support by Ada Admin",
        "Unassigned from support by Ada Admin",
    ]


def test_blocking_leaves_a_line_and_so_does_its_end(cw: Bridge) -> None:
    number = cw.conversation()
    cw.chatwoot.agent_blocks(number)
    cw.write(number, "nobody listens")
    cw.chatwoot.agent_unblocks(number)
    assert lines(cw, number) == [
        "Conversation was marked resolved by Bob Agent",
        "Bob Agent has muted the conversation",
        "Bob Agent has unmuted the conversation",
    ]


def test_a_line_has_a_number_counts_as_activity_and_is_no_webhook(cw: Bridge) -> None:
    number = cw.conversation()
    asked = cw.write(number, "hello")["id"]
    cw.chatwoot.agent_resolve(number)
    cw.settle()
    line = cw.chatwoot.messages(number)[-1]
    assert (line["id"], line["message_type"], "sender" in line) == (asked + 1, 2, False)
    assert cw.get(f"/conversations/{number}")["messages"][0]["id"] == line["id"]
    assert {each.body["id"] for each in cw.receiver.deliveries("message_created")} == {asked}
    spoken = cw.get(f"/conversations/{number}/messages?filter_internal_messages=true")["payload"]
    assert [each["id"] for each in spoken] == [asked]


def test_merged_contacts_make_a_storm_of_updates(cw: Bridge) -> None:
    mergee = cw.contact()
    number = cw.conversation(mergee)
    asked = [cw.write(number, text)["id"] for text in ("one", "two", "three")]
    cw.chatwoot.agent_reply(number, "not the contact's")
    base = cw.contact("base")
    cw.settle()
    cw.receiver.forget()
    cw.post("/actions/contact_merge", {"base_contact_id": base, "mergee_contact_id": mergee})
    cw.settle()
    told = [each.body for each in cw.receiver.deliveries()]
    assert {each["event"] for each in told} == {"message_updated"}
    assert sorted(each["id"] for each in told) == asked
    assert {each["sender"]["id"] for each in told} == {base}


def surveyed(cw: Bridge) -> tuple[int, dict[str, Any]]:
    """A conversation that was resolved, and the survey in it."""
    settings = {"csat_survey_enabled": True, "channel": {}}
    cw.call("PATCH", f"/inboxes/{cw.inbox}", json=settings)
    number = cw.conversation()
    cw.chatwoot.agent_resolve(number)
    survey = cw.chatwoot.messages(number)[-1]
    assert survey["content_type"] == "input_csat"
    return number, survey


def rate(cw: Bridge, number: int, message: int, **answer: Any) -> requests.Response:
    identifier = cw.get(f"/inboxes/{cw.inbox}")["inbox_identifier"]
    inbox = f"{cw.chatwoot.url}/public/api/v1/inboxes/{identifier}"
    url = f"{inbox}/contacts/{SOURCE}/conversations/{number}/messages/{message}"
    body = {"submitted_values": {"csat_survey_response": answer}}
    return requests.patch(url, json=body, timeout=5)


def test_a_survey_goes_out_as_a_link_and_takes_the_last_answer(cw: Bridge) -> None:
    number, survey = surveyed(cw)
    told = cw.receiver.wait_for_event("message_created")[0]
    assert told["content"].startswith(f"Please rate this conversation, {cw.chatwoot.url}/survey/")
    assert (told["message_type"], told["sender"]) == ("template", None)
    for answer in ({"rating": 5, "feedback_message": "good"}, {"rating": 2}):
        assert rate(cw, number, survey["id"], **answer).status_code == 200
    answers = cw.get("/csat_survey_responses")
    assert [(each["rating"], each["feedback_message"]) for each in answers] == [(2, None)]
    assert (answers[0]["message_id"], answers[0]["conversation_id"]) == (survey["id"], number)


def test_a_survey_is_made_once_and_can_be_answered_for_two_weeks(cw: Bridge) -> None:
    number, survey = surveyed(cw)
    cw.chatwoot.agent_open(number)
    cw.chatwoot.agent_resolve(number)
    kinds = [each["content_type"] for each in cw.chatwoot.messages(number)]
    assert kinds.count("input_csat") == 1
    cw.chatwoot.store.messages.get(survey["id"]).created_at -= 15 * 86400
    answer = rate(cw, number, survey["id"], rating=4)
    said = {"error": "You cannot update the CSAT survey after 14 days"}
    assert (answer.status_code, answer.json()) == (422, said)
    assert cw.get("/csat_survey_responses") == []


def test_the_first_words_are_greeted_and_no_others(cw: Bridge) -> None:
    greeting = {"greeting_enabled": True, "greeting_message": "Hi {{contact.name}}", "channel": {}}
    cw.call("PATCH", f"/inboxes/{cw.inbox}", json=greeting)
    number = cw.conversation()
    for text in ("hello", "anybody there?"):
        cw.write(number, text)
    shown = [(each["message_type"], each["content"]) for each in cw.chatwoot.messages(number)]
    assert shown == [(0, "hello"), (3, "Hi Ada L"), (0, "anybody there?")]


def test_a_bot_that_does_not_take_a_message_loses_the_conversation(cw: Bridge) -> None:
    with other_receiver() as bots:
        bot = cw.post("/agent_bots", {"name": "Robot", "outgoing_url": bots.url})["id"]
        cw.call("POST", f"/inboxes/{cw.inbox}/set_agent_bot", json={"agent_bot": bot})
        number = cw.conversation()
        assert cw.get(f"/conversations/{number}")["status"] == "pending"
        asked = cw.write(number, "hello")["id"]
        cw.settle()
        assert [each["id"] for each in bots.wait_for_event("message_created")] == [asked]
        bots.status = 500
        cw.write(number, "still there?")
        cw.settle()
    assert cw.get(f"/conversations/{number}")["status"] == "open"
    assert lines(cw, number) == [
        "Conversation was marked open by system due to an error with the agent bot."
    ]
