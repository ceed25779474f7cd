"""A mailbox: read by IMAP (RFC 3501, IDLE as in RFC 2177), answered by SMTP, threads kept.

Each thread is a conversation of its own. Plain text and files both ways.
"""

from __future__ import annotations

from adapters.email.adapter import Email

__all__ = ["Email"]
