"""Notices in a look that Chatwoot cannot call the gateway: its own words stand on the messages."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from gateway.chatwoot.failed_calls import explain
from gateway.chatwoot.values import Message, MessageType
from gateway.config import Channel
from gateway.lanes import KeyValues
from gateway.lanes.failed_calls import NotedCall, forget_call, note_call, noted_call
from gateway.observability import logs

log = logging.getLogger(__name__)


@dataclass(slots=True)
class FailedCalls:
    """What one look at a channel finds. Make another for the next."""

    channel: Channel
    values: KeyValues
    _failed: Message | None = field(init=False, default=None)
    _heard: int = field(init=False, default=0)

    def see_reply(self, message: Message, *, was_missed: bool) -> None:
        """A reply, of which we had been told or not."""
        if was_missed:
            self.see(message)
        elif message.status != "failed":
            self._heard = max(self._heard, message.id)

    def see(self, message: Message) -> None:
        """A message that Chatwoot told, or tried to tell, us of."""
        if message.status == "failed" and explain(message.external_error) is not None:
            newest = self._failed.id if self._failed else 0
            self._failed = message if message.id > newest else self._failed

    def conclude(self) -> None:
        """Warn if calls fail, once for each message that tells so; forget it when one has reached
        us. Raises redis.RedisError."""
        noted = noted_call(self.values, self.channel.name)
        known = noted.message if noted else 0
        if self._failed is not None and self._failed.id > max(known, self._heard):
            self._warn(self._failed)
        elif self._heard > known > 0:
            forget_call(self.values, self.channel.name)

    def _warn(self, message: Message) -> None:
        call = NotedCall(message.id, message.external_error, message.created_at)
        note_call(self.values, self.channel.name, call)
        if (meant := explain(message.external_error)) is not None:
            logs.event(
                log,
                "not_called",
                level=logging.WARNING,
                channel=self.channel.name,
                message=message.id,
                why=f"{meant.cause}: {message.external_error}",
                cure=meant.cure,
            )


def is_customers(message: Message) -> bool:
    """Chatwoot calls with these as well, and marks them just so."""
    return message.message_type is MessageType.INCOMING
