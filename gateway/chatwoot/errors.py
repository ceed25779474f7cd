"""What Chatwoot's answers mean, where that is more than their status says."""

from __future__ import annotations

from gateway.errors import Permanent, Retry, ServerTrouble


class Missing(Permanent):
    """The contact, conversation, inbox or message is not there (any more).

    Contacts are merged and conversations deleted without a webhook: whoever remembered an id looks
    it up again before giving a customer's message up.
    """


class NotAllowed(Retry):
    """The token is good, but its user may not do this. Passes once somebody mends the rights."""


class Invalid(Permanent):
    """Chatwoot's validation refuses a value. `attributes`: which fields, in Chatwoot's names."""

    def __init__(self, reason: str, *, attributes: tuple[str, ...] = (), detail: str = "") -> None:
        super().__init__(reason, detail=detail)
        self.attributes = attributes


class SurveyRefused(Permanent):
    """Chatwoot refuses this answer: the survey is too old, or was deleted."""


class TooMuch(Permanent):
    """The web server before Chatwoot does not take as much at once."""


class AddressTaken(Retry):
    """The source id belongs to a contact already: somebody was faster. Look it up again."""


class Stumbled(ServerTrouble):
    """Chatwoot refused a message, or failed at it, and may have stored it all the same: what
    follows from a message comes after its commit (`app/models/message.rb`), and whatever goes wrong
    there is answered like a refusal. Look before posting it again."""
