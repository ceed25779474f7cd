"""The answers to surveys (csat_survey_responses_controller.rb)."""

from __future__ import annotations

from sandbox.chatwoot import shapes
from sandbox.chatwoot.records import JSON, Message
from sandbox.chatwoot.routing import Access, Call, Route
from sandbox.chatwoot.times import unix

PAGE = 25


def index(call: Call) -> list[JSON]:
    """The latest answers first. An answer stands in its message; a later one replaces it."""
    mine = [each for each in call.store.messages if each.account_id == call.account.id]
    rated = [each for each in mine if each.survey_response]
    shown = [_shown(call, number, each) for number, each in enumerate(rated, start=1)]
    start = (max(1, call.parameters.number("page") or 1) - 1) * PAGE
    return shown[::-1][start : start + PAGE]


def _shown(call: Call, number: int, message: Message) -> JSON:
    conversation = call.store.conversations.get(message.conversation_id)
    contact = call.store.contacts.get(conversation.contact_id)
    return {
        "id": number,
        "rating": message.survey_response.get("rating"),
        "feedback_message": message.survey_response.get("feedback_message"),
        "csat_review_notes": None,
        "review_notes_updated_at": None,
        "account_id": message.account_id,
        "message_id": message.id,
        "contact": shapes.contact(call.store, contact),
        "conversation_id": conversation.display_id,
        "created_at": unix(message.updated_at),
    }


ROUTES = (
    Route(
        "GET",
        "/api/v1/accounts/{account}/csat_survey_responses",
        Access.ADMINISTRATOR,
        index,
    ),
)
