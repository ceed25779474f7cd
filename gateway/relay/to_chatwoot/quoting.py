"""What a customer's message answers: shown by threading, or by a line of what is quoted.

Chatwoot threads only within one conversation, and drops a reference to another without a word
(`app/services/messages/in_reply_to_message_builder.rb`). After a resolved conversation the next one
is new, so what the customer quotes is often not in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.lanes import Ledger, ids
from gateway.model import Inbound

LONGEST_QUOTE = 200
"""Characters of the quoted text that are shown."""

_SIGNS = re.compile(r"[\\`*_~\[\]<&]|^[#+>=-]")
_NUMBERED = re.compile(r"^(\d+)([.)])")


@dataclass(frozen=True, slots=True)
class Reference:
    """How a message shows what it answers."""

    attributes: Mapping[str, int | str] = field(default_factory=dict)
    """Chatwoot's own reference, which threads the message."""
    quoted: str = ""
    """What the text begins with instead, as a quotation."""


def find_reference(ledger: Ledger, channel: str, message: Inbound, conversation: int) -> Reference:
    """How `message` shows in `conversation` what it answers: looked up in the ledger."""
    if not message.reply_to:
        return Reference(quoted=message.quoted)
    reply = ledger.reply_of(channel, message.reply_to)
    answered = reply or ids.inbound_id(channel, message.reply_to)
    shown = ledger.conversation_of(answered)
    if shown == str(conversation) or not (shown or message.quoted):
        return Reference(_attributes(channel, message.reply_to, reply))
    return Reference(quoted=message.quoted)


def with_quotation(quoted: str, text: str) -> str:
    """`text`, below a line with the beginning of `quoted`, unless that is empty."""
    line = _shortened(" ".join(quoted.split()))
    if not line:
        return text
    literal = _NUMBERED.sub(r"\1\\\2", _SIGNS.sub(r"\\\g<0>", line))
    return "\n\n".join(filter(None, (f"> {literal}", text)))


def _attributes(channel: str, external_id: str, reply: str) -> dict[str, int | str]:
    """To an agent's message by its id there, which has no source id; to the customer's by ours."""
    if reply:
        return {"in_reply_to": ids.reply_number(reply)}
    return {"in_reply_to_external_id": ids.source_id(channel, external_id)}


def _shortened(line: str) -> str:
    if len(line) <= LONGEST_QUOTE:
        return line
    space = line.rfind(" ", LONGEST_QUOTE // 2, LONGEST_QUOTE)
    return line[: space if space > 0 else LONGEST_QUOTE - 1] + "…"
