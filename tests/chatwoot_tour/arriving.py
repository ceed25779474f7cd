"""The tour's first part: the account, an inbox, a webhook, people and their places."""

from __future__ import annotations

from typing import Any

from tests.chatwoot_tour.steps import (
    ACCOUNT,
    AGENT,
    CONTACTS,
    NOBODY,
    PNG,
    STRANGER,
    File,
    Step,
    equal,
    made_contact,
)

_WEBP = b"RIFF\x1a\0\0\0WEBPVP8L"


def _api_inbox(name: str, webhook: str) -> dict[str, Any]:
    return {"name": name, "channel": {"type": "api", "webhook_url": webhook}}


_ARRIVAL = (
    Step("version", "GET", "/api"),
    Step("profile", "GET", "/api/v1/profile"),
    Step("profile, wrong token", "GET", "/api/v1/profile", who=STRANGER),
    Step("profile, no token", "GET", "/api/v1/profile", who=NOBODY),
    Step("account", "GET", ACCOUNT),
    Step("account of somebody else", "GET", "/api/v1/accounts/99999/inboxes"),
    Step("agents", "GET", ACCOUNT + "/agents"),
)

_INBOXES = (
    Step(
        "inbox made",
        "POST",
        ACCOUNT + "/inboxes",
        _api_inbox("Shop chat", "$inbox_hook"),
        keep={"inbox": "id", "identifier": "inbox_identifier"},
    ),
    Step("inbox made by an agent", "POST", ACCOUNT + "/inboxes", _api_inbox("x", ""), who=AGENT),
    Step("inbox made with a bad address", "POST", ACCOUNT + "/inboxes", _api_inbox("x", "ftp://x")),
    Step("inboxes", "GET", ACCOUNT + "/inboxes"),
    Step("inboxes as an agent who is in none", "GET", ACCOUNT + "/inboxes", who=AGENT),
    Step("inbox", "GET", ACCOUNT + "/inboxes/$inbox"),
    Step("inbox that is not there", "GET", ACCOUNT + "/inboxes/99999"),
    Step(
        "inbox members set",
        "POST",
        ACCOUNT + "/inbox_members",
        {"inbox_id": "$inbox", "user_ids": ["$bob"]},
    ),
    Step("inbox members", "GET", ACCOUNT + "/inbox_members/$inbox"),
    Step("inbox as an agent", "GET", ACCOUNT + "/inboxes/$inbox", who=AGENT),
)


def _webhook(title: str, url: str, *subscriptions: str) -> Step:
    webhook = {"url": url, "subscriptions": list(subscriptions)}
    return Step(title, "POST", ACCOUNT + "/webhooks", {"webhook": webhook})


_WEBHOOKS = (
    _webhook(
        "account webhook made",
        "$account_hook",
        "contact_created",
        "contact_updated",
        "conversation_created",
        "conversation_status_changed",
        "conversation_updated",
        "message_created",
        "message_updated",
        "conversation_typing_on",
        "conversation_typing_off",
    ),
    Step("account webhooks", "GET", ACCOUNT + "/webhooks"),
    _webhook("account webhook, unknown subscription", "$other_hook", "nonsense"),
    _webhook("account webhook, same address", "$account_hook", "contact_updated"),
)


def _picture(title: str, name: str, kind: str, data: bytes) -> Step:
    file = File("avatar", name, kind, data)
    return Step(title, "PUT", CONTACTS + "/$rosa", {}, files=(file,))


_PEOPLE = (
    made_contact(
        "contact made",
        "rosa",
        inbox_id="$inbox",
        source_id="src-1",
        name="Rosa Luz",
        identifier="telegram:111",
        additional_attributes={"social_telegram_user_id": "111"},
        custom_attributes={"plan": "gold"},
    ),
    made_contact(
        "contact, same identifier", inbox_id="$inbox", name="Twin", identifier="telegram:111"
    ),
    made_contact("contact, bad phone", name="Bad", phone_number="12ab"),
    made_contact("contact, bad e-mail", name="Bad", email="no-at-sign"),
    made_contact(
        "contact with a phone and an e-mail",
        "pia",
        name="Pia",
        phone_number="+15550001234",
        email="Pia@Example.net",
    ),
    made_contact("contact, same phone", name="Pia two", phone_number="+15550001234"),
    made_contact("contact, same e-mail in other letters", name="Pia two", email="PIA@example.net"),
    Step("contact", "GET", CONTACTS + "/$rosa"),
    Step("contact that is not there", "GET", CONTACTS + "/99999"),
    Step("contact search", "GET", CONTACTS + "/search?q=Pia"),
    Step("contact search by phone", "GET", CONTACTS + "/search?q=%2B15550001234"),
    Step(
        "contact filter by identifier",
        "POST",
        CONTACTS + "/filter",
        equal("identifier", "telegram:111"),
    ),
    Step(
        "contact filter by phone",
        "POST",
        CONTACTS + "/filter",
        equal("phone_number", "+15550001234"),
    ),
    Step(
        "contact changed",
        "PUT",
        CONTACTS + "/$rosa",
        {"name": "Rosa Luz-Maier", "custom_attributes": {"city": "Wien"}},
    ),
    Step(
        "contact changed to another's phone",
        "PUT",
        CONTACTS + "/$rosa",
        {"phone_number": "+15550001234"},
    ),
    _picture("contact picture", "me.png", "image/png", PNG),
    _picture("contact picture, webp", "me.webp", "image/webp", _WEBP),
    _picture("contact picture, a text", "me.txt", "text/plain", b"hello"),
)


def _placed(title: str, contact: str, source: str) -> Step:
    body = {"inbox_id": "$inbox", "source_id": source}
    return Step(title, "POST", f"{CONTACTS}/${contact}/contact_inboxes", body)


_PLACES = (
    Step("contactable inboxes", "GET", CONTACTS + "/$pia/contactable_inboxes"),
    _placed("contact put into the inbox", "pia", "src-2"),
    _placed("contact put into the inbox, same source_id", "rosa", "src-2"),
    _placed("contact put into the inbox again, other source_id", "pia", "src-3"),
)


ARRIVING = (
    *_ARRIVAL,
    *_INBOXES,
    *_WEBHOOKS,
    *_PEOPLE,
    *_PLACES,
)
