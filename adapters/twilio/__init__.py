"""SMS through Twilio: signed forms come in, messages leave through the Message resource, whose
status callbacks are the receipts. https://www.twilio.com/docs/messaging/api/message-resource
"""

from __future__ import annotations

from adapters.twilio.adapter import Twilio

__all__ = ["Twilio"]
