"""Finding replies whose webhook never reached us. Chatwoot sends each webhook once, and once only.

Every minute the conversations of an inbox that changed lately are asked for, and outgoing messages
that we have never seen are stored as if their webhook had come. The ledger refuses what it knows.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from uuid import uuid4

import redis

from gateway import logs, naming
from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.events import AgentMessage
from gateway.chatwoot.missed import as_event
from gateway.chatwoot.values import Conversation, Message
from gateway.config import Channel, Settings
from gateway.errors import DeliveryError
from gateway.high_water import Mark, keep_mark, mark_of
from gateway.intake import Intake
from gateway.lanes import Lanes

LAG = 300.0
"""Ids are given before they are committed: a younger one may be seen first, an older one minutes
later. So nothing that is younger than this is taken for the last of its kind."""
FIRST_LOOK = 24 * 3600.0
"""How far back the very first look goes, only to learn which ids are there already."""
LONGEST_LOOK = 7 * 24 * 3600.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Looks after one channel."""

    channel: Channel
    chatwoot: Chatwoot
    lanes: Lanes
    intake: Intake

    def look(self) -> int:
        """Store what was missed. Returns how many replies that were.

        Raises a `DeliveryError` if Chatwoot cannot be asked, redis.RedisError if nothing can be
        stored; then the next look goes back as far.
        """
        now = time.time()
        mark = mark_of(self.lanes, self.channel.name)
        if mark is None:
            self._first_contact(now)
            return 0
        seconds = min(LONGEST_LOOK, now - mark.looked + LAG)
        found = list(self._replies(mark, round(seconds)))
        recovered = sum(self._store(event, status, now) for event, status in found)
        settled = [event.id for event, _ in found if event.created_at < now - LAG]
        newest = max([mark.message, *settled])
        keep_mark(self.lanes, self.channel.name, replace(mark, message=newest, looked=now))
        if recovered:
            logs.event(log, "recovered", channel=self.channel.name, replies=recovered)
        return recovered

    def _replies(self, mark: Mark, seconds: int) -> Iterator[tuple[AgentMessage, str]]:
        """Each reply with the status that Chatwoot shows for it."""
        for conversation in self.chatwoot.recently_updated(self.channel.config.inbox, seconds):
            for message in self.chatwoot.messages_after(conversation.id, mark.message):
                if (event := _reply(conversation, message)) and event.created_at >= mark.since:
                    yield event, message.status

    def _store(self, event: AgentMessage, status: str, now: float) -> bool:
        # Its age counts from when it was written: too old a reply is failed rather than sent.
        age = max(0.0, now - event.created_at)
        new = self.intake.recover(self.channel, event, age=age, shown=status)
        if status == "failed" and not new:
            # Chatwoot may have marked it by itself, and the webhook that said so was lost as well.
            self.lanes.redden(naming.reply_id(self.channel.name, event.id))
        return new

    def _first_contact(self, now: float) -> None:
        known = self.chatwoot.recently_updated(self.channel.config.inbox, round(FIRST_LOOK))
        newest = max((conversation.newest_message for conversation in known), default=0)
        # Chatwoot tells whole seconds only.
        mark = Mark(message=newest, since=math.floor(now), looked=now)
        keep_mark(self.lanes, self.channel.name, mark)
        logs.event(
            log,
            "first_contact",
            level=logging.WARNING,
            channel=self.channel.name,
            after_message=newest,
            text="replies written before now are not looked at",
        )


class Rounds:
    """Every channel in turn, once a minute or as set; of several clocks only one goes."""

    def __init__(self, settings: Settings, lanes: Lanes, intake: Intake) -> None:
        chatwoots = {
            name: Chatwoot(account.api_url, account.account, account.token)
            for name, account in settings.accounts.items()
        }
        self._every = settings.gateway.reconcile_every
        self._lanes = lanes
        self._token = uuid4().hex
        self._reconcilers = [
            Reconciler(channel, chatwoots[channel.account.name], lanes, intake)
            for channel in settings.channels.values()
        ]

    def run(self, stop: threading.Event) -> None:
        """Look at once, then again and again, until `stop`."""
        while not stop.is_set():
            for reconciler in self._reconcilers:
                self._look(reconciler)
            stop.wait(self._every)

    def let_go(self) -> None:
        """Let the next clock look as soon as it starts: replies wait for it."""
        with suppress(redis.RedisError):
            for reconciler in self._reconcilers:
                self._lanes.let_go(f"reconciler:{reconciler.channel.name}", self._token)

    def _look(self, reconciler: Reconciler) -> None:
        name = reconciler.channel.name
        try:
            if self._lanes.hold(f"reconciler:{name}", self._token, seconds=self._every * 1.5):
                reconciler.look()
        except (DeliveryError, redis.RedisError) as error:
            logs.event(log, "not_reconciled", level=logging.WARNING, channel=name, why=str(error))


def _reply(conversation: Conversation, message: Message) -> AgentMessage | None:
    event = as_event(conversation, message)
    return event if isinstance(event, AgentMessage) else None
