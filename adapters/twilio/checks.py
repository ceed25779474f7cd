"""Whether Twilio knows the account. https://www.twilio.com/docs/iam/api/account"""

from __future__ import annotations

from gateway.adapter import Finding
from gateway.http import Session


def check_account(http: Session, api_url: str, sid: str, token: str) -> Finding:
    """The Auth Token is tried even where an API key sends: webhooks are signed with it."""
    url = f"{api_url}/2010-04-01/Accounts/{sid}.json"
    status = http.get(url, auth=(sid, token)).field("status")
    if status == "active":
        return Finding.good("account", "the account and its Auth Token are valid")
    wrong = f"Twilio says that the account is {status}"
    return Finding.bad("account", wrong, "See https://console.twilio.com.")
