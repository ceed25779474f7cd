"""A mailbox: read by IMAP (RFC 3501, IDLE as in RFC 2177), answered by SMTP, threads kept.

Each thread is a conversation of its own. Plain text and files both ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adapters.email.adapter import Email

__all__ = ["Email"]


def __getattr__(name: str) -> Any:
    # The child that reads mails imports this package for `incoming`: what the adapter needs besides
    # would double its memory.
    if name == "Email":
        from adapters.email.adapter import Email  # noqa: PLC0415 - see above

        return Email
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
