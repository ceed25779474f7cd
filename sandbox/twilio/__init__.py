"""A stand-in for Twilio's messaging API: one account with its numbers, and the phones out there."""

from sandbox.twilio.account import CallbackOrder
from sandbox.twilio.stand_in import TwilioStandIn

__all__ = ["CallbackOrder", "TwilioStandIn"]
