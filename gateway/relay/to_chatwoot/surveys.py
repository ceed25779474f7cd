"""Customers' answers to surveys: they go into Chatwoot's reports, and reopen no conversation."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.errors import Missing, SurveyRefused
from gateway.chatwoot.surveys import rating_pressed, rating_written
from gateway.chatwoot.values import Inbox
from gateway.config import Channel
from gateway.lanes import Ledger, Taken, ids
from gateway.lanes.route import Survey
from gateway.model import Inbound
from gateway.relay.cached import Cached

FEEDBACK = 60.0
"""Seconds after a rating within which words that answer the survey belong to it."""


@dataclass(frozen=True, slots=True)
class SurveyAnswer:
    """What a customer's message says to a survey."""

    survey: Survey
    """With the rating as it is from now on."""
    words: str = ""
    """What they add to it."""
    again: bool = False
    """They have answered it before."""


@dataclass(frozen=True, slots=True)
class Surveys:
    """Tells answers from messages, and Chatwoot of the answers of one channel."""

    channel: Channel
    chatwoot: Chatwoot
    inbox: Cached[Inbox]
    ledger: Ledger

    def answer_in(self, taken: Taken, message: Inbound) -> SurveyAnswer | None:
        """What a message says to a survey; None for an ordinary message."""
        known, pressed = taken.route.survey, rating_pressed(message.text)
        if not self.channel.config.survey or message.attachments or not (known or pressed):
            return None
        answered, at = self._answered(message), _moment(taken, message)
        if pressed and (survey := self._survey_below(answered, known, message)) is not None:
            return _rated(survey, pressed, at)
        if known is None:
            return None
        points_at_it = ids.reply_id(self.channel.name, known.message) == answered
        if rating := rating_written(message.text):
            is_meant = points_at_it or (known.open and not message.reply_to)
            return _rated(known, rating, at) if is_meant else None
        if points_at_it and known.rating and at - known.rated_at <= FEEDBACK and message.text:
            return SurveyAnswer(known, message.text, again=True)
        return None

    def submit(self, answer: SurveyAnswer) -> bool:
        """Tell Chatwoot. False if it does not take the answer. Doing so twice changes nothing.

        Raises a `DeliveryError` if it cannot be asked.
        """
        survey = answer.survey
        try:
            said = self._said_before(answer)
            words = said if said.endswith(answer.words) else f"{said}\n{answer.words}".strip()
            self.chatwoot.answer_survey(
                self.inbox.get(),
                survey.source,
                survey.conversation,
                survey.message,
                rating=survey.rating,
                feedback=words,
            )
        except (Missing, SurveyRefused):
            return False
        return True

    def _said_before(self, answer: SurveyAnswer) -> str:
        """An answer replaces the one before as a whole: the words of that one stay with it."""
        if not answer.again:
            return ""
        survey = answer.survey
        return self.chatwoot.message(survey.conversation, survey.message).feedback

    def _answered(self, message: Inbound) -> str:
        """The id of the reply that a message answers; empty if it answers none."""
        if not message.reply_to:
            return ""
        return self.ledger.reply_of(self.channel.name, message.reply_to)

    def _survey_below(self, reply: str, known: Survey | None, message: Inbound) -> Survey | None:
        """The survey whose button was pressed, which may be an older one than that we know of."""
        if known is not None and ids.reply_id(self.channel.name, known.message) == reply:
            return known
        conversation = self.ledger.conversation_of(reply) if reply else ""
        if not conversation:
            return None
        return Survey(ids.reply_number(reply), int(conversation), message.peer)


def _rated(survey: Survey, rating: int, at: float) -> SurveyAnswer:
    return SurveyAnswer(replace(survey, rating=rating, rated_at=at), again=survey.rating > 0)


def _moment(taken: Taken, message: Inbound) -> float:
    """When it was written, or else accepted, in Unix seconds."""
    return time.time() - taken.age if message.sent_at is None else message.sent_at
