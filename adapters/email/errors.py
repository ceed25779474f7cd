"""What the refusals of mail servers mean."""

from __future__ import annotations

import smtplib

from imap_tools.errors import MailboxLoginError

from gateway.errors import (
    BadCredentials,
    DeliveryError,
    Permanent,
    Retry,
    ServerTrouble,
    Unreachable,
)


def login_meaning(error: MailboxLoginError, host: str) -> BadCredentials | ServerTrouble:
    if b"[UNAVAILABLE]" in b"".join(x for x in error.command_result[1] if isinstance(x, bytes)):
        return ServerTrouble(f"{host} cannot check passwords at the moment")
    return BadCredentials(f"{host} rejects the mailbox's user name or password")


def smtp_meaning(error: smtplib.SMTPException, host: str) -> DeliveryError:
    match error:
        case smtplib.SMTPAuthenticationError() if error.smtp_code >= 500:
            return BadCredentials(f"{host} rejects the user name or password")
        case smtplib.SMTPResponseException():
            return _refusal(error)
        case smtplib.SMTPServerDisconnected():
            return Unreachable(f"{host} closed the connection", detail=str(error))
        case smtplib.SMTPNotSupportedError():
            return BadCredentials(f"{host} does not support login or encryption", detail=str(error))
        case _:
            return Retry(f"{host} does not answer like a mail server", detail=str(error))


def _refusal(error: smtplib.SMTPResponseException) -> DeliveryError:
    said = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else ""
    reason = f"The mail server says: {error.smtp_code} {' '.join(said.split())[:300]}"
    return Retry(reason) if error.smtp_code < 500 else Permanent(reason)
