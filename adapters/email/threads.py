"""Which thread a mail belongs to, by the ids in its headers (RFC 5322, 3.6.4).

Our own Message-IDs carry the thread's token: whatever a mail program keeps of the references, one
of ours names the thread. They depend on nothing but the part, so a mail sent twice arrives once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

MESSAGE_ID = re.compile(r"<[^<>\s]{1,250}>")
TOKEN = re.compile(r"[0-9a-f]{16}")
KEPT_REFERENCES = 20
"""How many of the newest references are kept, beside the first."""


def token_of(text: str) -> str:
    return sha256(text.encode(errors="replace")).hexdigest()[:16]


def message_ids(header: str) -> list[str]:
    return MESSAGE_ID.findall(header)


def shortened(references: Sequence[str]) -> list[str]:
    """The first reference, which names the thread, and the newest ones; each once."""
    unique = list(dict.fromkeys(references))
    return unique if len(unique) <= KEPT_REFERENCES + 1 else [unique[0], *unique[-KEPT_REFERENCES:]]


@dataclass(frozen=True, slots=True)
class OwnIds:
    """The Message-IDs of one mailbox: `<thread.part@domain>`."""

    domain: str

    @classmethod
    def of(cls, address: str) -> OwnIds:
        return cls(address.rpartition("@")[2].lower())

    def make(self, thread: str, part_id: str) -> str:
        """The id for a part. Without a thread, the part begins one."""
        if not TOKEN.fullmatch(thread):
            thread = token_of(thread or part_id)
        return f"<{thread}.{token_of(part_id)}@{self.domain}>"

    def thread_in(self, message_id: str) -> str:
        """The thread that one of our ids names; empty if it is not ours."""
        ours = rf"<({TOKEN.pattern})\.{TOKEN.pattern}@{re.escape(self.domain)}>"
        found = re.fullmatch(ours, message_id, re.IGNORECASE)
        return found[1].lower() if found else ""

    def thread_of(
        self, message_id: str, references: Sequence[str], in_reply_to: Sequence[str]
    ) -> str:
        """The thread of a mail that came in."""
        for known in (*reversed(in_reply_to), *reversed(references)):
            if thread := self.thread_in(known):
                return thread
        return token_of(next(iter((*references, *in_reply_to, message_id))))
