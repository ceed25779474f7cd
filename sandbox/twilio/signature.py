"""How Twilio signs its webhooks. https://www.twilio.com/docs/usage/webhooks/webhooks-security"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping


def sign(auth_token: str, url: str, form: Mapping[str, str]) -> str:
    """The X-Twilio-Signature of a form POST to `url` (with its query)."""
    text = url + "".join(name + form[name] for name in sorted(form))
    digest = hmac.digest(auth_token.encode(), text.encode(), "sha1")
    return base64.b64encode(digest).decode()
