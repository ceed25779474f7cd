"""How the conversations of one channel begin: what its settings say they shall be given.

Chatwoot takes most of it with the conversation itself; labels and priority cost a call each. None
of it may ever hold up what the customer wrote: what cannot be had is left out, and logged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from gateway.chatwoot.admin import Agent, Team
from gateway.chatwoot.api import Json
from gateway.chatwoot.assignees import agent_called, team_called
from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.conversation_defaults import ConversationDefaults
from gateway.chatwoot.errors import Invalid
from gateway.chatwoot.values import Conversation
from gateway.config import Channel
from gateway.errors import DeliveryError, Permanent, Throttled, Uncertain, Unreachable
from gateway.lanes import Taken
from gateway.model import Inbound
from gateway.observability import logs
from gateway.relay.cached import Cached
from gateway.relay.context import CONTEXT, context_attribute
from gateway.relay.to_chatwoot.exactly_once import Announcer, Attempt, last_step

TRIES = 4
"""Attempts at a message after which it goes on without its conversation's labels or priority."""
NOT_THERE = "Chatwoot does not have it. Run `python -m gateway doctor`"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NewConversations:
    """Makes the conversations of one channel."""

    channel: Channel
    chatwoot: Chatwoot
    teams: Cached[tuple[Team, ...]]
    agents: Cached[tuple[Agent, ...]]

    def create(self, attempt: Announcer, contact_id: int, inbound: Inbound) -> Conversation:
        """Make a conversation for a message. Raises a `DeliveryError`."""
        attempt.announce("conversation")
        inbox, attributes = self.channel.config.inbox, _attributes(inbound)
        given = self._resolve_defaults()
        try:
            return self.chatwoot.create_conversation(
                inbox, contact_id, inbound.peer, attributes, given
            )
        except Invalid as refused:
            if not given:
                raise
            self._log_without(", ".join(given), str(refused))
            return self.chatwoot.create_conversation(inbox, contact_id, inbound.peer, attributes)

    def complete(self, attempt: Attempt, conversation: Conversation) -> None:
        """Give a conversation that was made what Chatwoot takes only afterwards.

        Can be repeated: what has come on meanwhile, from an agent or a rule, stays. (Chatwoot can
        only replace labels. A rule that labels in the moment between our two calls is overwritten.)
        Raises a `DeliveryError` if it may work soon.
        """
        defaults, number = self._defaults, conversation.id
        if set(defaults.labels) - set(conversation.labels):
            labels = dict.fromkeys((*conversation.labels, *defaults.labels))
            attempt.announce(f"labels:{number}")
            self._put_on(attempt, "labels", lambda: self.chatwoot.set_labels(number, labels))
        if defaults.priority and not conversation.priority:
            attempt.announce(f"priority:{number}")
            self._put_on(
                attempt, "priority", lambda: self.chatwoot.set_priority(number, defaults.priority)
            )

    @property
    def _defaults(self) -> ConversationDefaults:
        return self.channel.config.conversation_defaults

    def _resolve_defaults(self) -> dict[str, Json]:
        defaults = self._defaults
        given: dict[str, Json | None] = {
            "status": defaults.status,
            "team_id": self._resolve("team", defaults.team, self._find_team),
            "assignee_id": self._resolve("assignee", defaults.assignee, self._find_agent),
            "custom_attributes": dict(defaults.custom_attributes) or None,
        }
        return {name: value for name, value in given.items() if value is not None}

    def _find_team(self, wanted: int | str) -> Team | None:
        return team_called(self.teams.get(), wanted)

    def _find_agent(self, wanted: int | str) -> Agent | None:
        return agent_called(self.agents.get(), wanted)

    def _resolve(
        self, what: str, wanted: int | str | None, find: Callable[[int | str], Team | Agent | None]
    ) -> int | None:
        if wanted is None:
            return None
        try:
            found, why = find(wanted), NOT_THERE
        except (Unreachable, Throttled):
            raise  # nothing else would pass now either
        except DeliveryError as error:
            found, why = None, str(error)
        if found is None:
            self._log_without(what, why)
            return None
        return found.id

    def _put_on(self, attempt: Attempt, what: str, call: Callable[[], object]) -> None:
        try:
            call()
        except DeliveryError as error:
            if isinstance(error, Permanent) or attempt.taken.attempts >= TRIES:
                self._log_without(what, str(error))
            elif isinstance(error, Uncertain):
                # It can be done twice, and the message itself is not on its way yet.
                raise Unreachable(error.reason, detail=error.detail) from error
            else:
                raise

    def _log_without(self, what: str, why: str) -> None:
        logs.event(
            log,
            "conversation_incomplete",
            level=logging.WARNING,
            channel=self.channel.name,
            without=what,
            why=why,
        )


def is_incomplete(taken: Taken, conversation: Conversation) -> bool:
    """Whether an earlier attempt at the message ended after it made this conversation, and before
    that was complete.

    Where that attempt was is known from what it announced last. If it was making a conversation,
    none that fits was there: the one that is found now is it.
    """
    step, _, number = last_step(taken).partition(":")
    return step == "conversation" or (
        step in {"labels", "priority"} and number == str(conversation.id)
    )


def _attributes(inbound: Inbound) -> dict[str, str]:
    """The additional attributes of a conversation that begins with the message."""
    attributes = {
        "thread": inbound.thread,
        "mail_subject": inbound.context.get("subject", ""),
        CONTEXT: context_attribute(inbound),
    }
    return {key: value for key, value in attributes.items() if value}
