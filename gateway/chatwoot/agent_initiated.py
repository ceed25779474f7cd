"""Conversations that an agent begins.

In an API inbox where the contact has no address yet, Chatwoot makes one up: a random UUID
(`app/services/contacts/contactable_inboxes_service.rb`). It says nothing of where to write to, but
it is Chatwoot's name for the conversation's other side, and stays.
"""

from __future__ import annotations

import re
from hashlib import sha256

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_made_up(source_id: str) -> bool:
    """Whether Chatwoot made the address up: then the contact's own must be found."""
    return _UUID.fullmatch(source_id) is not None


def thread_of(source_id: str) -> str:
    """The thread of a conversation with a made-up address: 16 hex digits, always the same.

    A digest, since whoever knows the address itself could speak for the customer at Chatwoot's
    public API, and threads are seen by the customer.
    """
    return sha256(source_id.encode()).hexdigest()[:16]
