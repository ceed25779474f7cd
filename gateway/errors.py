"""What can go wrong, by meaning. The relay decides from the class, never from a status code.

Every error has a `reason`: one sentence for the agent who reads it beside a red message. What only
an engineer needs goes into `detail`, which is logged (redacted) and never shown.
"""

from __future__ import annotations

from typing import Literal

from gateway.storable import storable

Scope = Literal["lane", "destination"]


class DeliveryError(Exception):
    """A delivery did not succeed. Raise one of the subclasses."""

    def __init__(self, reason: str, *, detail: str = "") -> None:
        self.reason = storable(str(reason))
        self.detail = storable(str(detail))
        super().__init__(self.reason)


class Permanent(DeliveryError):
    """It will never work: bury the message and tell the agent why."""


class PeerGone(Permanent):
    """The customer cannot be reached here any more: blocked the bot, opted out, account closed."""


class Retry(DeliveryError):
    """It certainly did not arrive, and may work later. `after`: seconds, if the network said."""

    def __init__(self, reason: str, *, after: float | None = None, detail: str = "") -> None:
        super().__init__(reason, detail=detail)
        self.after = after


class Unreachable(Retry):
    """Nobody answered: connection refused, host unknown, or no connection within the time."""


class SpeaksPlainHttp(Unreachable):
    """The address says https, and the port speaks http."""


class ServerTrouble(Retry):
    """The other side answered that it is itself in trouble (a 5xx, a page instead of an answer).

    `scope`: whether that may be about what it was asked («lane»), or about all («destination»),
    if it says the same to several conversations.
    """

    def __init__(
        self, reason: str, *, after: float | None = None, scope: Scope = "lane", detail: str = ""
    ) -> None:
        super().__init__(reason, after=after, detail=detail)
        self.scope: Scope = scope


class Throttled(Retry):
    """Too fast. `scope` says what must wait: this conversation («lane») or all («destination»)."""

    def __init__(
        self,
        reason: str,
        *,
        after: float | None = None,
        scope: Scope = "destination",
        detail: str = "",
    ) -> None:
        super().__init__(reason, after=after, detail=detail)
        self.scope: Scope = scope


class BadCredentials(DeliveryError):
    """The token or password is refused: nothing will pass before somebody mends it."""


class Uncertain(DeliveryError):
    """The request was written and no answer came: it may or may not have arrived."""


class LeaseLost(Exception):
    """The lane belongs to another worker now: stop, write nothing more to the outside."""


class Rejected(Exception):
    """A request from outside that is refused. The text says what and why, for its sender."""


class Forbidden(Rejected):
    """A webhook's signature or secret is missing or wrong. Becomes a 403; nothing is stored."""


class Malformed(Rejected):
    """Not what this network sends. Becomes a 400, logged once; nothing is stored."""
