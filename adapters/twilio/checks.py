"""Whether Twilio knows the account. https://www.twilio.com/docs/iam/api/account"""

from __future__ import annotations

from collections.abc import Iterator

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


def check_sender(
    http: Session, api_url: str, auth: tuple[str, str], sender: str, webhook: str
) -> Iterator[Finding]:
    """Whether the number is the account's, and whether Twilio calls us for it. Of messaging
    services and short codes nothing is said.

    https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource
    """
    if not sender.startswith("+"):
        return
    url = f"{api_url}/2010-04-01/Accounts/{auth[0]}/IncomingPhoneNumbers.json"
    content = http.get(url, auth=auth, params={"PhoneNumber": sender}).json()
    found = content.get("incoming_phone_numbers") if isinstance(content, dict) else None
    numbers = [each for each in found or () if isinstance(each, dict)]
    number = next((each for each in numbers if each.get("phone_number") == sender), None)
    if number is None:
        text = f"{sender} is not a number of this account: Twilio refuses every reply"
        yield Finding.bad("sender", text, "Correct sender, or buy the number in Twilio's console.")
        return
    yield Finding.good("sender", f"{sender} is a number of the account")
    if number.get("sms_url") == webhook and not number.get("sms_application_sid"):
        yield Finding.good("network webhook", "Twilio calls this gateway")
        return
    yield Finding.note(
        "network webhook",
        "Twilio does not call this gateway for the number: messages come up to five minutes late",
        "In Twilio's console, at the number under Messaging, enter as webhook, with POST: "
        f"{webhook}",
    )
