"""What a refusal means at one address only, where it means more than its status says."""

from __future__ import annotations

from typing import Final

from gateway.chatwoot.api import invalid_error, reason_in, refused_fields
from gateway.chatwoot.errors import AddressTaken, Stumbled, SurveyRefused, TooMuch
from gateway.errors import DeliveryError, Throttled
from gateway.http import Answer, meaning

FLOOD_PAUSE: Final = 10.0
"""Seconds to wait after a refused message: Chatwoot's flood limit counts the last minute."""


def source_id_taken(answer: Answer) -> DeliveryError | None:
    """A source id that is in use breaks a database index there, which Chatwoot answers with 500."""
    if answer.status != 500:
        return None
    return AddressTaken(
        "The address already belongs to a contact in Chatwoot", detail=f"{answer.method} 500"
    )


def conversation_refused(answer: Answer) -> DeliveryError | None:
    """Without `attributes` it is not a validation: the source id now belongs to another contact."""
    if answer.status != 422 or refused_fields(answer):
        return None
    return AddressTaken(
        "The address now belongs to another contact in Chatwoot", detail=reason_in(answer)
    )


def message_refused(answer: Answer) -> DeliveryError | None:
    """Chatwoot answers 422 to whatever goes wrong here, its flood limit and passing faults too, and
    500 if it cannot show what it has stored."""
    if answer.status == 413:
        return TooMuch("more than the web server in front of Chatwoot accepts", detail="POST 413")
    if answer.status == 500:
        failed = meaning(answer)
        return Stumbled(
            failed.reason, after=answer.retry_after, scope="destination", detail=failed.detail
        )
    if answer.status != 422:
        return None
    refused = invalid_error(answer)
    return Stumbled(refused.reason, after=FLOOD_PAUSE, detail=refused.detail)


def survey_refused(answer: Answer) -> DeliveryError | None:
    """Whatever Chatwoot objects to (`public/api/v1/inboxes/messages_controller.rb`), 500 included,
    it will not take later either."""
    if not 400 <= answer.status <= 500 or answer.status in {401, 408, 429}:
        return None
    detail = f"{answer.method} {answer.status}: {reason_in(answer)}"
    return SurveyRefused("Chatwoot does not take this answer to a survey", detail=detail)


def status_refused(answer: Answer) -> DeliveryError | None:
    """The flood limit is a validation of the message as a whole, checked on updates too."""
    if answer.status != 422 or refused_fields(answer) != ("base",):
        return None
    return Throttled("Too many messages in this conversation", after=60.0, scope="lane")
