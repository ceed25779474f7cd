"""What the errors of python-telegram-bot mean."""

from __future__ import annotations

from datetime import timedelta

import httpx
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)

from gateway.errors import (
    BadCredentials,
    DeliveryError,
    PeerGone,
    Permanent,
    Retry,
    Throttled,
    Uncertain,
    Unreachable,
)

NEVER_WRITTEN = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)

MISREAD = (AttributeError, LookupError, OSError, OverflowError, TypeError, ValueError)
"""What the library raises when it reads something of another shape than Telegram's."""


class EntitiesRefused(Permanent):
    """Telegram could not make sense of the styling: the plain text may still pass."""


class KindRefused(Permanent):
    """Telegram does not take the file as this kind; as a document it may still pass."""


class Answered(TelegramError):
    """An answer that the library has no error for, with what it means."""

    def __init__(self, means: DeliveryError) -> None:
        super().__init__(means.reason)
        self.means = means


def meaning_of(error: TelegramError, text: str) -> DeliveryError:
    """The gateway's error for one of the library's; `text` is what may be shown of it.

    `BadRequest` and `TimedOut` are kinds of `NetworkError` there, so the order matters.
    """
    match error:
        case Answered():
            return error.means
        case RetryAfter():
            wait = error.retry_after
            after = wait.total_seconds() if isinstance(wait, timedelta) else float(wait)
            return Throttled("Telegram asks to slow down", after=after, scope="lane", detail=text)
        case Forbidden():
            return PeerGone(_why_gone(text), detail=text)
        case InvalidToken():
            return BadCredentials("Telegram does not accept the bot's token", detail=text)
        case _:
            return _less_common(error, text)


def _less_common(error: TelegramError, text: str) -> DeliveryError:
    match error:
        case ChatMigrated():
            return Permanent("The chat was moved and has a new id", detail=text)
        case BadRequest():
            return _refusal(text.lower())(f"Telegram rejects this: {error.message}", detail=text)
        case Conflict():
            return Retry("Another program or a webhook receives this bot's messages", detail=text)
        case NetworkError() if isinstance(error.__cause__, NEVER_WRITTEN):
            return Unreachable("Telegram cannot be reached", detail=text)
        case NetworkError() if error.__cause__ is None:
            return Permanent(f"Telegram rejects this: {error.message}", detail=text)
        case _:
            return Uncertain("The connection to Telegram was lost", detail=text)


def _refusal(text: str) -> type[Permanent]:
    if "entit" in text:
        return EntitiesRefused
    kinds = ("photo", "image_process", "voice_messages_forbidden")
    return KindRefused if any(kind in text for kind in kinds) else Permanent


def _why_gone(text: str) -> str:
    lowered = text.lower()
    if "blocked" in lowered:
        return "The customer has blocked the bot"
    if "deactivated" in lowered:
        return "The customer has closed their Telegram account"
    return "The customer can no longer be reached through this bot"
