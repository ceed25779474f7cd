"""What Twilio's error codes mean to an agent. https://www.twilio.com/docs/api/errors"""

from __future__ import annotations

from gateway.errors import DeliveryError, PeerGone, Permanent, Throttled
from gateway.http import Answer

REASONS = {
    "21211": "This is not a valid phone number",
    "21408": "The Twilio account may not send to this country",
    "21608": "A Twilio trial account sends only to verified numbers",
    "21610": "The customer has opted out. They must send START before you can write to them",
    "21612": "There is no route from our number to this one",
    "21614": "This number cannot receive SMS: perhaps it is a landline",
    "30003": "The phone is switched off or out of reach",
    "30004": "The customer, or their carrier, blocks our number",
    "30005": "The number does not exist or is no longer in use",
    "30006": "The number is a landline, or its carrier takes no SMS",
    "30007": "The carrier filtered the message as unwanted",
}


def reason(code: str, status: str) -> str:
    """Why a message that Twilio had taken did not arrive."""
    return REASONS.get(code, f"The message was not delivered (Twilio: {code or status})")


def meaning(answer: Answer) -> DeliveryError | None:
    """What a refusal means; None: judge by its status."""
    match answer.json_or_none():
        case {"code": 21610}:
            return PeerGone(REASONS["21610"])
        case {"code": 20429 | 14107 | 21611}:
            return Throttled("Too many messages at once", after=answer.retry_after)
        case {"code": int(code), "message": str(text)} if answer.status in {400, 404}:
            return Permanent(REASONS.get(str(code), f"Twilio: {text}"), detail=str(code))
    return None
