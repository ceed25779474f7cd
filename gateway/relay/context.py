"""A conversation's context, kept in Chatwoot in case our own memory of it is lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from gateway.chatwoot.limits import attribute
from gateway.model import Inbound

CONTEXT: Final = "gateway_context"
"""The additional attribute of a conversation that holds the context it began with."""


def context_attribute(inbound: Inbound) -> str:
    """What the channel wants back with every reply, as JSON; empty if it is nothing, or longer than
    an attribute may be."""
    text = json.dumps(dict(inbound.context), ensure_ascii=False) if inbound.context else ""
    return text if text == attribute(text) else ""


def context_in(attributes: Mapping[str, str]) -> dict[str, str]:
    """The context that a conversation began with, from its additional attributes."""
    try:
        known = json.loads(attributes.get(CONTEXT, "{}"))
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in known.items()} if type(known) is dict else {}
