"""A network that is never spoken to: the bench only relays towards Chatwoot."""

from __future__ import annotations

from gateway.adapter import Adapter


class Nothing(Adapter):
    """Takes no webhooks, is not polled, sends nothing."""
