"""A network that is never spoken to: the tests that use it only relay towards Chatwoot."""

from __future__ import annotations

from gateway.adapter import Adapter


class Silent(Adapter):
    """Takes no webhooks, is not polled, sends nothing."""
