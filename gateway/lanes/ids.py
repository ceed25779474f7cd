"""The names under which messages, lanes and destinations are known, each made in one place."""

from __future__ import annotations

import hashlib

from gateway.lanes import Lane

OPERATIONS = 16
"""Places in a lane for each reply: itself, and what is done to it later (a deletion)."""

LONGEST_NAME = 200

SHARE = "~share"


def inbound_id(channel: str, external_id: str) -> str:
    """The id of a customer's message: the same network id gives the same name, so it is one."""
    return f"i:{channel}:{short_name(external_id)}"


def unread_id(channel: str, name: str) -> str:
    """The id of what was set aside, by the network's name of it."""
    return f"u:{channel}:{short_name(name)}"


def reply_id(channel: str, message: int) -> str:
    """The id of an agent's reply, from Chatwoot's message id."""
    return f"o:{channel}:{message}"


def reply_number(name: str) -> int:
    """Chatwoot's message id, from the id of a reply."""
    return int(name.rsplit(":", 1)[1])


def look_id(reply: str) -> str:
    """The id of a look at Chatwoot: did an agent press Retry below this reply?"""
    return f"r:{reply}"


def part_id(reply: str, number: int) -> str:
    """The id of one part of a reply: what a network gets as our own id."""
    return f"{reply}#{number}"


def source_id(channel: str, external_id: str, share: int = 1) -> str:
    """What Chatwoot keeps with a customer's message: how we find it again, and know our own.

    `share`: which of the messages that it became there.
    """
    further = f"{SHARE}{share}" if share > 1 else ""
    return f"gw:{channel}:{external_id}{further}"


def external_id(channel: str, source: str) -> str:
    """The network's id in a source id that we gave; empty if we did not give it."""
    prefix = f"gw:{channel}:"
    whole, _, share = source.rpartition(SHARE)
    whole = whole if share.isdecimal() else source
    return whole.removeprefix(prefix) if whole.startswith(prefix) else ""


def inbound_lane(channel: str, peer: str, thread: str = "") -> Lane:
    """The lane of a customer's messages, or of one of their threads.

    Its name is stored with each of its messages, in several places: of a long address or thread it
    has a digest. The message's body has the whole of both.
    """
    name = short_name(peer)
    return Lane("in", channel, f"{name}/{short_name(thread)}" if thread else name)


def brake(channel: str, peer: str) -> str:
    """Whose messages are counted together: all of a customer's, in whatever thread."""
    return f"{channel}:{short_name(peer)}"


def reply_lane(channel: str, conversation: int) -> Lane:
    return Lane("out", channel, str(conversation))


def status_lane(channel: str, conversation: int) -> Lane:
    return Lane("status", channel, str(conversation))


def channel_destination(channel: str) -> str:
    return f"channel/{channel}"


def chatwoot_destination(account: str) -> str:
    return f"chatwoot/{account}"


def short_name(text: str) -> str:
    """`text` itself, or a digest of it if it is longer than a name should be."""
    if len(text) <= LONGEST_NAME:
        return text
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
