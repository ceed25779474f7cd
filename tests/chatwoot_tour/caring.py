"""The tour's third part: statuses, teams, surveys, refused webhooks, farewells and bots."""

from __future__ import annotations

from typing import Any

from tests.chatwoot_tour.steps import (
    ACCOUNT,
    AGENT,
    BOT,
    CONTACTS,
    MESSAGES,
    NOBODY,
    PUBLIC,
    TALK,
    TALKS,
    Step,
    begun,
    incoming,
    made_contact,
    outgoing,
    said,
)


def _status(title: str, **body: Any) -> Step:
    return Step(title, "POST", TALK + "/toggle_status", body, who=AGENT)


_CARE = (
    _status("status resolved", status="resolved"),
    said("message into the resolved conversation", incoming("once more")),
    _status("status snoozed", status="snoozed", snoozed_until=2_000_000_000),
    _status("status pending", status="pending"),
    _status("status open", status="open"),
    _status("status toggled without a name"),
    _status("status of nonsense", status="nonsense"),
    Step("priority", "POST", TALK + "/toggle_priority", {"priority": "high"}, who=AGENT),
    Step(
        "label made",
        "POST",
        ACCOUNT + "/labels",
        {"title": "telegram", "color": "#1f93ff", "show_on_sidebar": True},
    ),
    Step("labels set", "POST", TALK + "/labels", {"labels": ["telegram", "not-made"]}),
    Step("labels", "GET", TALK + "/labels"),
    Step("team made", "POST", ACCOUNT + "/teams", {"name": "support"}, keep={"team": "id"}),
    Step("team members", "POST", ACCOUNT + "/teams/$team/team_members", {"user_ids": ["$bob"]}),
    Step("assigned to a team", "POST", TALK + "/assignments", {"team_id": "$team"}),
    Step("assigned to an agent", "POST", TALK + "/assignments", {"assignee_id": "$bob"}),
    Step(
        "custom attributes",
        "POST",
        TALK + "/custom_attributes",
        {"custom_attributes": {"tier": "gold"}},
    ),
    Step(
        "custom attributes again",
        "POST",
        TALK + "/custom_attributes",
        {"custom_attributes": {"other": "x"}},
    ),
    Step("conversation changed", "PATCH", TALK, {"priority": "low"}),
    Step("muted", "POST", TALK + "/mute", who=AGENT),
    said("message of a blocked contact", incoming("blocked words")),
    Step("unmuted", "POST", TALK + "/unmute", who=AGENT),
)

_THIRD = TALKS + "/$third_talk"
_SURVEY = PUBLIC + "/contacts/src-9/conversations/$third_talk/messages/$survey"


def _rated(title: str, **answer: Any) -> Step:
    body = {"submitted_values": {"csat_survey_response": answer}}
    return Step(title, "PATCH", _SURVEY, body, who=NOBODY)


_GREETING = {
    "greeting_enabled": True,
    "greeting_message": "Welcome to *us* {{contact.name}}",
    "csat_survey_enabled": True,
    "channel": {},
}

_SURVEYS = (
    Step("greeting and survey on", "PATCH", ACCOUNT + "/inboxes/$inbox", _GREETING),
    made_contact("contact three", "third", inbox_id="$inbox", source_id="src-9", name="Third"),
    begun(
        "conversation three",
        "third_talk",
        inbox_id="$inbox",
        contact_id="$third",
        source_id="src-9",
    ),
    Step("first message, greeted", "POST", _THIRD + "/messages", incoming("hi")),
    Step("reply before the survey", "POST", _THIRD + "/messages", outgoing("hi you"), who=AGENT),
    Step(
        "resolved, surveyed",
        "POST",
        _THIRD + "/toggle_status",
        {"status": "resolved"},
        who=AGENT,
        keep_told={"survey": "input_csat"},
    ),
    _rated("survey answered by the public side", rating=4, feedback_message="good"),
    _rated("survey answered again", rating=1),
    Step("survey answers", "GET", ACCOUNT + "/csat_survey_responses"),
    Step(
        "greeting and survey off",
        "PATCH",
        ACCOUNT + "/inboxes/$inbox",
        {"greeting_enabled": False, "csat_survey_enabled": False, "channel": {}},
    ),
)


def _refused(status: int) -> tuple[Step, Step]:
    text = f"answered {status}"
    return (
        Step(
            f"reply while the webhook answers {status}",
            "POST",
            MESSAGES,
            outgoing(text),
            who=AGENT,
            receiver_answers=status,
        ),
        Step(f"and the message after {status}", "GET", MESSAGES, only=text),
    )


_REFUSALS = tuple(step for status in (400, 404, 410, 429, 500, 503) for step in _refused(status))

_FAREWELLS = (
    Step(
        "contacts merged",
        "POST",
        ACCOUNT + "/actions/contact_merge",
        {"base_contact_id": "$pia", "mergee_contact_id": "$rosa"},
    ),
    Step("contact gone by the merge", "GET", CONTACTS + "/$rosa"),
    Step("contact deleted", "DELETE", CONTACTS + "/$third"),
    Step(
        "message into a deleted contact's conversation",
        "POST",
        _THIRD + "/messages",
        incoming("late"),
    ),
    Step("conversation deleted", "DELETE", TALK),
    said("message into a deleted conversation", incoming("late")),
)

_BOTTED = TALKS + "/$bot_talk"

_BOTS = (
    Step(
        "agent bot made",
        "POST",
        ACCOUNT + "/agent_bots",
        {"name": "Bot", "outgoing_url": "$bot_hook"},
        keep={"bot": "id", "token of bot": "access_token"},
    ),
    Step("agent bot set", "POST", ACCOUNT + "/inboxes/$inbox/set_agent_bot", {"agent_bot": "$bot"}),
    Step("bot: profile", "GET", "/api/v1/profile", who=BOT),
    begun(
        "conversation after the bot",
        "bot_talk",
        inbox_id="$inbox",
        contact_id="$pia",
        source_id="src-2",
    ),
    Step("bot: message", "POST", _BOTTED + "/messages", {"content": "from the bot"}, who=BOT),
    Step(
        "bot: incoming message",
        "POST",
        _BOTTED + "/messages",
        incoming("from the customer"),
        who=BOT,
    ),
    Step("bot: conversation", "GET", _BOTTED, who=BOT),
    Step("bot: status open", "POST", _BOTTED + "/toggle_status", {"status": "open"}, who=BOT),
    Step(
        "bot: typing", "POST", _BOTTED + "/toggle_typing_status", {"typing_status": "on"}, who=BOT
    ),
    Step("bot: labels", "POST", _BOTTED + "/labels", {"labels": ["x"]}, who=BOT),
    Step("bot: contacts", "GET", CONTACTS + "/search?q=Pia", who=BOT),
    Step("bot: contact made", "POST", CONTACTS, {"name": "by bot"}, who=BOT),
    Step(
        "bot: message patched", "PATCH", _BOTTED + "/messages/1", {"status": "delivered"}, who=BOT
    ),
)


CARING = (
    *_CARE,
    *_SURVEYS,
    *_REFUSALS,
    *_FAREWELLS,
    *_BOTS,
)
