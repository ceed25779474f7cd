"""Why Chatwoot could not call the gateway.

It writes so on the message that the call was about, as `external_error`, and marks it as failed
(lib/webhooks/trigger.rb). The words are those of Ruby and its libraries, in every language.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class FailedCall:
    """What is wrong, and what to do about it. Two cures: mend the way, or do without it."""

    cause: str
    cure: str


LISTEN: Final = (
    'Or do without it: write events = "websocket" in [chatwoot.NAME], and run `python -m gateway '
    "setup`."
)

_PRIVATE = FailedCall(
    "Chatwoot refuses to call the gateway, because public_url is a private address",
    "Set SAFE_FETCH_ALLOW_PRIVATE_NETWORK=true in Chatwoot's environment, and restart its web and "
    f"worker processes. {LISTEN}",
)
_UNREACHABLE = FailedCall(
    "Chatwoot cannot reach the gateway at public_url",
    "Make public_url lead to the gateway from the machine or container in which Chatwoot's worker "
    f"runs (127.0.0.1 there is not this machine). {LISTEN}",
)
_DISTRUSTED = FailedCall(
    "Chatwoot does not trust the certificate at public_url",
    f"Give public_url a certificate that is valid for its name, with its whole chain. {LISTEN}",
)
_ANSWERED = FailedCall(
    "Chatwoot's calls to public_url are answered by something else than the gateway, or refused",
    "Make the web server or tunnel at public_url pass /chatwoot on to the gateway, and run `python "
    f"-m gateway setup`. {LISTEN}",
)

_WORDS: Final = (
    (re.compile(r"Hostname '.*' has no public ip addresses"), _PRIVATE),
    (re.compile(r"Failed to open TCP connection to .*"), _UNREACHABLE),
    (re.compile(r"Timed out connecting to server"), _UNREACHABLE),
    (re.compile(r"SSL_connect .*|.*certificate verify failed.*"), _DISTRUSTED),
    (re.compile(r"(30[1278]|40[134]|50[24]) [A-Z][A-Za-z ]*"), _ANSWERED),
)


def explain(external_error: str) -> FailedCall | None:
    """What Chatwoot's words mean; None if they tell of no call that failed, or of a slow one."""
    words = external_error.strip()
    return next((meant for pattern, meant in _WORDS if pattern.fullmatch(words)), None)
