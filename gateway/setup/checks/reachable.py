"""Says why Chatwoot does not answer at the address in the settings."""

from __future__ import annotations

from gateway.adapter import Finding
from gateway.config import ChatwootAccount
from gateway.errors import DeliveryError, SpeaksPlainHttp, Unreachable


def explain_silence(account: ChatwootAccount, error: DeliveryError) -> Finding:
    """`error`: what the question for its release ended with."""
    key = "internal_url" if account.internal_url else "url"
    here = f"[chatwoot.{account.name}] {key}"
    if isinstance(error, SpeaksPlainHttp):
        plain = account.api_url.replace("https://", "http://", 1)
        cure = f'Write {here} = "{plain}", or the address at which https is spoken.'
        return Finding.bad("reachable", error.reason, cure)
    if isinstance(error, Unreachable):
        cure = f"Check that {account.api_url} is right, and that Chatwoot runs."
        return Finding.bad("reachable", error.reason, cure)
    text = f"{account.api_url} answers, but not as Chatwoot does: {error.reason}"
    cure = (
        f"Correct {here}: the address of the dashboard as far as the host, without /app and what "
        "follows."
    )
    return Finding.bad("reachable", text, cure)
