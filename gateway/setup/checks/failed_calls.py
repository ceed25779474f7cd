"""Whether Chatwoot's calls reach the gateway, as `doctor` reads it from Chatwoot's own words."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Final

import redis

from gateway.adapter import Finding
from gateway.chatwoot.client import Chatwoot
from gateway.chatwoot.errors import Missing
from gateway.chatwoot.failed_calls import explain
from gateway.chatwoot.values import Message, MessageType
from gateway.config import Channel
from gateway.lanes import KeyValues
from gateway.lanes.failed_calls import NotedCall, noted_call
from gateway.storage.connections import connect

CHECK: Final = "calls"
LATELY: Final = 3600
"""Seconds."""
CONVERSATIONS: Final = 5
NEWEST: Final = 50
"""How far below the newest message of a conversation is read. Ids count over all conversations."""
PENDING: Final = 10.0
"""Seconds in which a call may still be under way."""
CALLED_WITH: Final = frozenset({MessageType.INCOMING, MessageType.OUTGOING, MessageType.TEMPLATE})


def look_at_calls(channel: Channel, chatwoot: Chatwoot, redis_url: str) -> Iterator[Finding]:
    """Nothing if all is well, or nothing is known. Raises a `DeliveryError`."""
    if not channel.is_called_by_chatwoot:
        return
    shown = max(_messages(channel, chatwoot), key=lambda message: message.id, default=None)
    failed = _noted(channel, redis_url)
    if shown is not None and (failed is None or shown.id > failed.message):
        failed = NotedCall(shown.id, _error(shown), shown.created_at)
    if failed is not None and (meant := explain(failed.why)) is not None:
        at = datetime.fromtimestamp(failed.written_at, UTC)
        text = f"{meant.cause}. At {at:%Y-%m-%d %H:%M} UTC it said: {failed.why}"
        yield Finding.bad(CHECK, text, meant.cure)


def _messages(channel: Channel, chatwoot: Chatwoot) -> Iterator[Message]:
    """The newest with which Chatwoot has called us, or tried to."""
    conversations = chatwoot.recently_updated(channel.config.inbox, LATELY)
    newest_first = sorted(conversations, key=lambda each: -each.newest_message)
    for conversation in islice(newest_first, CONVERSATIONS):
        after = max(0, conversation.newest_message - NEWEST)
        with contextlib.suppress(Missing):
            for message in chatwoot.messages_after(conversation.id, after):
                done = message.created_at < time.time() - PENDING
                if done and message.message_type in CALLED_WITH:
                    yield message


def _error(message: Message) -> str:
    return message.external_error if message.status == "failed" else ""


def _noted(channel: Channel, redis_url: str) -> NotedCall | None:
    """What the clock has noticed."""
    if not redis_url:
        return None
    with contextlib.closing(connect(redis_url, connections=1, retries=0)) as client:
        try:
            return noted_call(KeyValues(client), channel.name)
        except (redis.RedisError, OSError):  # a line of its own tells of that
            return None
