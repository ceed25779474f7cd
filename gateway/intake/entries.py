"""Messages and replies as the entries of their lanes."""

from __future__ import annotations

import time

from gateway.chatwoot.events import MessageDeleted, Reply
from gateway.config import Channel
from gateway.lanes import Brake, Entry, bodies, ids
from gateway.model import Inbound

MINUTE = 60.0


def inbound_entry(channel: Channel, message: Inbound) -> Entry:
    return Entry(
        id=ids.inbound_id(channel.name, message.id),
        lane=ids.inbound_lane(channel.name, message.peer, message.thread),
        destination=ids.chatwoot_destination(channel.account.name),
        kind="in",
        body=bodies.write(message),
        brake=None if _is_late(message) else _brake(channel, message.peer, MINUTE),
        written=message.sent_at,
    )


def _is_late(message: Inbound) -> bool:
    """A backlog from the time when the network or we were away is not a flood."""
    return message.sent_at is not None and time.time() - message.sent_at > MINUTE


def _brake(channel: Channel, peer: str, window: float) -> Brake | None:
    most = channel.config.brake
    return Brake(ids.brake(channel.name, peer), most, window) if most else None


def retry_check_entry(channel: Channel, reply: Reply) -> Entry:
    """The entry of a look at Chatwoot: did an agent press Retry below this reply?"""
    return Entry(
        id=ids.look_id(ids.reply_id(channel.name, reply.message)),
        lane=ids.status_lane(channel.name, reply.conversation),
        destination=ids.chatwoot_destination(channel.account.name),
        kind="check_retry",
        body=bodies.write(reply),
    )


def reply_entry(channel: Channel, reply: Reply) -> Entry:
    """The entry of a reply that waits to be sent."""
    return Entry(
        id=ids.reply_id(channel.name, reply.message),
        lane=ids.reply_lane(channel.name, reply.conversation),
        destination=ids.channel_destination(channel.name),
        kind="out",
        body=bodies.write(reply),
        settle=channel.config.settle,
        order=reply.message * ids.OPERATIONS,
        # Two machines that answer each other need not be quick to go on for ever.
        brake=_brake(channel, reply.peer, 10 * MINUTE) if reply.automatic else None,
        status_destination=ids.chatwoot_destination(channel.account.name),
    )


def deletion_entry(channel: Channel, event: MessageDeleted) -> Entry:
    """The entry that takes back a reply which an agent deleted."""
    return Entry(
        id=f"{ids.reply_id(channel.name, event.id)}:delete",
        lane=ids.reply_lane(channel.name, event.conversation),
        destination=ids.channel_destination(channel.name),
        kind="delete",
        body=bodies.write(bodies.Deletion(event.peer)),
        order=event.id * ids.OPERATIONS + 1,
        status_destination=ids.chatwoot_destination(channel.account.name),
    )
