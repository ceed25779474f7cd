"""The tour: what is asked of a Chatwoot, in this order, from an empty account to its last bot.

The titles are those of the recordings.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.chatwoot_tour.steps import (
    ACCOUNT,
    AGENT,
    BOT,
    NOBODY,
    PUBLIC,
    STRANGER,
    File,
    Step,
)

_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAEklEQVR4nGP4z8CAB+GTG8HSALfKY52fTcuYAAAA"
    "AElFTkSuQmCC"
)
_PDF = b"%PDF-1.4 x"
_WEBP = b"RIFF\x1a\0\0\0WEBPVP8L"
_CONTACTS = ACCOUNT + "/contacts"
_TALKS = ACCOUNT + "/conversations"
_TALK = _TALKS + "/$talk"
_MESSAGES = _TALK + "/messages"
_REPLY = _MESSAGES + "/$reply"
_SEEN = PUBLIC + "/contacts/src-1/conversations/$talk"


def _api_inbox(name: str, webhook: str) -> dict[str, Any]:
    return {"name": name, "channel": {"type": "api", "webhook_url": webhook}}


def _equal(key: str, value: Any) -> dict[str, Any]:
    condition = {"attribute_key": key, "filter_operator": "equal_to", "values": [value]}
    return {"payload": [{**condition, "query_operator": None}]}


def _incoming(content: str, **more: Any) -> dict[str, Any]:
    return {"content": content, "message_type": "incoming", **more}


def _outgoing(content: str, **more: Any) -> dict[str, Any]:
    return {"content": content, "message_type": "outgoing", **more}


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


def _made_contact(title: str, keep: str = "", **fields: Any) -> Step:
    place = {keep: "payload.contact.id"} if keep else {}
    return Step(title, "POST", _CONTACTS, fields, keep=place)


def _picture(title: str, name: str, kind: str, data: bytes) -> Step:
    file = File("avatar", name, kind, data)
    return Step(title, "PUT", _CONTACTS + "/$rosa", {}, files=(file,))


_PEOPLE = (
    _made_contact(
        "contact made",
        "rosa",
        inbox_id="$inbox",
        source_id="src-1",
        name="Rosa Luz",
        identifier="telegram:111",
        additional_attributes={"social_telegram_user_id": "111"},
        custom_attributes={"plan": "gold"},
    ),
    _made_contact(
        "contact, same identifier", inbox_id="$inbox", name="Twin", identifier="telegram:111"
    ),
    _made_contact("contact, bad phone", name="Bad", phone_number="12ab"),
    _made_contact("contact, bad e-mail", name="Bad", email="no-at-sign"),
    _made_contact(
        "contact with a phone and an e-mail",
        "pia",
        name="Pia",
        phone_number="+15550001234",
        email="Pia@Example.net",
    ),
    _made_contact("contact, same phone", name="Pia two", phone_number="+15550001234"),
    _made_contact("contact, same e-mail in other letters", name="Pia two", email="PIA@example.net"),
    Step("contact", "GET", _CONTACTS + "/$rosa"),
    Step("contact that is not there", "GET", _CONTACTS + "/99999"),
    Step("contact search", "GET", _CONTACTS + "/search?q=Pia"),
    Step("contact search by phone", "GET", _CONTACTS + "/search?q=%2B15550001234"),
    Step(
        "contact filter by identifier",
        "POST",
        _CONTACTS + "/filter",
        _equal("identifier", "telegram:111"),
    ),
    Step(
        "contact filter by phone",
        "POST",
        _CONTACTS + "/filter",
        _equal("phone_number", "+15550001234"),
    ),
    Step(
        "contact changed",
        "PUT",
        _CONTACTS + "/$rosa",
        {"name": "Rosa Luz-Maier", "custom_attributes": {"city": "Wien"}},
    ),
    Step(
        "contact changed to another's phone",
        "PUT",
        _CONTACTS + "/$rosa",
        {"phone_number": "+15550001234"},
    ),
    _picture("contact picture", "me.png", "image/png", _PNG),
    _picture("contact picture, webp", "me.webp", "image/webp", _WEBP),
    _picture("contact picture, a text", "me.txt", "text/plain", b"hello"),
)


def _placed(title: str, contact: str, source: str) -> Step:
    body = {"inbox_id": "$inbox", "source_id": source}
    return Step(title, "POST", f"{_CONTACTS}/${contact}/contact_inboxes", body)


_PLACES = (
    Step("contactable inboxes", "GET", _CONTACTS + "/$pia/contactable_inboxes"),
    _placed("contact put into the inbox", "pia", "src-2"),
    _placed("contact put into the inbox, same source_id", "rosa", "src-2"),
    _placed("contact put into the inbox again, other source_id", "pia", "src-3"),
)


def _begun(title: str, keep: str = "", **fields: Any) -> Step:
    return Step(title, "POST", _TALKS, fields, keep={keep: "id"} if keep else {})


_CONVERSATIONS = (
    _begun("conversation made", "talk", inbox_id="$inbox", contact_id="$rosa", source_id="src-1"),
    _begun("conversation made by source_id alone", source_id="src-2"),
    _begun(
        "conversation made with everything",
        inbox_id="$inbox",
        contact_id="$pia",
        source_id="src-2",
        status="pending",
        assignee_id="$bob",
        additional_attributes={"a": "b"},
        custom_attributes={"plan": "gold"},
        message={"content": "begun"},
    ),
    _begun(
        "conversation with a wrong source_id",
        inbox_id="$inbox",
        contact_id="$rosa",
        source_id="src-2",
    ),
    _begun("conversation in an inbox that is not there", inbox_id=99999, contact_id="$rosa"),
    _begun("conversation with a contact that is not there", inbox_id="$inbox", contact_id=99999),
    Step("conversation", "GET", _TALK),
    Step("conversation that is not there", "GET", _TALKS + "/99999"),
    Step("conversations", "GET", _TALKS + "?status=all"),
    Step("conversations of a contact", "GET", _CONTACTS + "/$rosa/conversations"),
    Step("conversation filter", "POST", _TALKS + "/filter", _equal("inbox_id", "$inbox")),
)


def _said(title: str, body: dict[str, Any], keep: str = "", who: str = "administrator") -> Step:
    return Step(title, "POST", _MESSAGES, body, who=who, keep={keep: "id"} if keep else {})


def _filed(title: str, body: dict[str, Any], *files: File, who: str = "administrator") -> Step:
    return Step(title, "POST", _MESSAGES, body, who=who, files=files)


def _attached(name: str, kind: str, data: bytes) -> File:
    return File("attachments[]", name, kind, data)


_FILES_OF_MANY_KINDS = tuple(
    _filed(
        f"message with a file {kind}",
        {"message_type": "incoming"},
        _attached(name, kind, b"some bytes of it"),
    )
    for kind, name in (
        ("audio/ogg", "v.ogg"),
        ("video/mp4", "v.mp4"),
        ("text/vcard", "c.vcf"),
        ("image/svg+xml", "s.svg"),
        ("application/x-msdownload", "e.exe"),
        ("text/html", "h.html"),
        ("image/heic", "h.heic"),
        ("application/octet-stream", "noname"),
    )
)

_CUSTOMER_WRITES = (
    _said("message of the customer", _incoming("Hello **there**\nline", source_id="gw:1"), "hello"),
    _said("message of the customer, same source_id", _incoming("Hello again", source_id="gw:1")),
    _said("message with an echo_id", _incoming("echo", echo_id="e1")),
    _said(
        "message quoting by external id",
        _incoming("quote", content_attributes={"in_reply_to_external_id": "gw:1"}),
    ),
    _said("message empty", _incoming("")),
    _said("message of 150001 letters", _incoming("x" * 150_001)),
    _said("message with a bad type", {"content": "x", "message_type": "nonsense"}),
    _said("message with a bad content_type", {"content": "x", "content_type": "nonsense"}),
    _said("message with a nul", _incoming("a\0b")),
    _filed(
        "message with a file",
        _incoming("see", source_id="gw:2"),
        _attached("p.png", "image/png", _PNG),
    ),
    _filed(
        "message with two files and no text",
        {"message_type": "incoming"},
        _attached("a.png", "image/png", _PNG),
        _attached("b.pdf", "application/pdf", _PDF),
    ),
    _filed(
        "message with a file of 41 MB",
        {"message_type": "incoming"},
        _attached("big.bin", "application/octet-stream", bytes(41 * 1024 * 1024)),
    ),
    *_FILES_OF_MANY_KINDS,
)

_AGENT_WRITES = (
    _said(
        "reply of the agent", _outgoing("Hi **you** [site](https://example.org)"), "reply", AGENT
    ),
    _said(
        "reply quoting",
        _outgoing("about that", content_attributes={"in_reply_to": "$hello"}),
        who=AGENT,
    ),
    _filed(
        "reply with a file",
        _outgoing("the file"),
        _attached("price list ä.pdf", "application/pdf", _PDF),
        who=AGENT,
    ),
    _said("private note", _outgoing("between us @Bob", private=True), who=AGENT),
)

_LINK = {"type": "link", "text": "Open", "uri": "https://example.org"}
_ITEMS: dict[str, list[dict[str, Any]]] = {
    "input_select": [{"title": "Small", "value": "s"}],
    "cards": [{"title": "Card", "description": "d", "media_url": "", "actions": [_LINK]}],
    "form": [{"name": "email", "label": "Email", "type": "email", "placeholder": "x"}],
    "article": [{"title": "How", "description": "long", "link": "https://example.org/how"}],
    "input_email": [],
    "input_csat": [],
    "input_text": [],
    "sticker": [],
    "incoming_email": [],
}
_MAIL = {
    "subject": "Invoice",
    "from": ["a@example.net"],
    "to": ["shop@example.net"],
    "cc": ["c@example.net"],
    "html_content": {"full": "<p>Hi <b>x</b></p>", "reply": "<p>Hi <b>x</b></p>", "quoted": ""},
    "text_content": {"full": "Hi x", "reply": "Hi x", "quoted": ""},
    "message_id": "<m1@x>",
    "date": "2026-11-28T10:00:00Z",
    "multipart": True,
    "number_of_attachments": 0,
}


def _drawn(kind: str, items: list[dict[str, Any]]) -> Step:
    attributes = {"items": items} if items else {}
    body = {"content": f"a {kind}", "content_type": kind, "content_attributes": attributes}
    return _said(f"reply {kind}", body, who=AGENT)


_SPECIAL_MESSAGES = (
    *(_drawn(kind, items) for kind, items in _ITEMS.items()),
    _said(
        "reply input_select with a wrong item",
        {
            "content": "x",
            "content_type": "input_select",
            "content_attributes": {"items": [{"nonsense": 1}]},
        },
        who=AGENT,
    ),
    _said(
        "reply with external_echo",
        _outgoing(
            "typed on the phone", content_attributes={"external_echo": True}, source_id="ext-1"
        ),
    ),
    _said("message of type template", {"content": "automatic", "message_type": "template"}),
    _said(
        "message of type activity",
        {"content": "somebody did something", "message_type": "activity"},
    ),
    _said(
        "incoming e-mail",
        _incoming(
            "plain",
            content_type="incoming_email",
            source_id="<m1@x>",
            content_attributes={"email": _MAIL},
        ),
    ),
)


def _patched(body: dict[str, Any]) -> Step:
    return Step(f"message patched {json.dumps(body)}", "PATCH", _REPLY, body)


_FATES = (
    _patched({"status": "delivered"}),
    _patched({"status": "read"}),
    _patched({"status": "sent"}),
    _patched({"status": "failed", "external_error": "The phone is off"}),
    _patched({"status": "sent", "external_error": None}),
    _patched({"status": "nonsense"}),
    _patched({"content": "changed"}),
    _patched({"content_attributes": {"x": 1}}),
    _patched({"source_id": "new"}),
    Step("message patched by an agent", "PATCH", _REPLY, {"status": "delivered"}, who=AGENT),
    Step("message retried, not failed", "POST", _REPLY + "/retry", who=AGENT),
    Step("message failed", "PATCH", _REPLY, {"status": "failed", "external_error": "off"}),
    Step("message retried, failed", "POST", _REPLY + "/retry", who=AGENT),
    Step("message translated", "POST", _REPLY + "/translate", {"target_language": "de"}, who=AGENT),
    Step("messages", "GET", _MESSAGES),
    Step("messages after", "GET", _MESSAGES + "?after=$hello"),
    Step("messages before", "GET", _MESSAGES + "?before=$reply"),
    Step("message deleted", "DELETE", _REPLY, who=AGENT),
)


def _typing(title: str, status: str) -> Step:
    path = _TALK + "/toggle_typing_status"
    return Step(title, "POST", path, {"typing_status": status}, who=AGENT)


_PUBLIC_SIDE = (
    _typing("typing on", "on"),
    _typing("typing off", "off"),
    Step("seen by the agent", "POST", _TALK + "/update_last_seen", who=AGENT),
    Step("public inbox", "GET", PUBLIC, who=NOBODY),
    Step("public contact", "GET", PUBLIC + "/contacts/src-1", who=NOBODY),
    Step("public conversations", "GET", PUBLIC + "/contacts/src-1/conversations", who=NOBODY),
    Step("public messages", "GET", _SEEN + "/messages", who=NOBODY),
    Step(
        "public message",
        "POST",
        _SEEN + "/messages",
        {"content": "from the public side", "echo_id": "e2"},
        who=NOBODY,
    ),
    Step("public typing on", "POST", _SEEN + "/toggle_typing", {"typing_status": "on"}, who=NOBODY),
    Step("public seen", "POST", _SEEN + "/update_last_seen", who=NOBODY),
    Step(
        "public seen, conversation of another source_id",
        "POST",
        PUBLIC + "/contacts/src-2/conversations/$talk/update_last_seen",
        who=NOBODY,
    ),
)


def _status(title: str, **body: Any) -> Step:
    return Step(title, "POST", _TALK + "/toggle_status", body, who=AGENT)


_CARE = (
    _status("status resolved", status="resolved"),
    _said("message into the resolved conversation", _incoming("once more")),
    _status("status snoozed", status="snoozed", snoozed_until=2_000_000_000),
    _status("status pending", status="pending"),
    _status("status open", status="open"),
    _status("status toggled without a name"),
    _status("status of nonsense", status="nonsense"),
    Step("priority", "POST", _TALK + "/toggle_priority", {"priority": "high"}, who=AGENT),
    Step(
        "label made",
        "POST",
        ACCOUNT + "/labels",
        {"title": "telegram", "color": "#1f93ff", "show_on_sidebar": True},
    ),
    Step("labels set", "POST", _TALK + "/labels", {"labels": ["telegram", "not-made"]}),
    Step("labels", "GET", _TALK + "/labels"),
    Step("team made", "POST", ACCOUNT + "/teams", {"name": "support"}, keep={"team": "id"}),
    Step("team members", "POST", ACCOUNT + "/teams/$team/team_members", {"user_ids": ["$bob"]}),
    Step("assigned to a team", "POST", _TALK + "/assignments", {"team_id": "$team"}),
    Step("assigned to an agent", "POST", _TALK + "/assignments", {"assignee_id": "$bob"}),
    Step(
        "custom attributes",
        "POST",
        _TALK + "/custom_attributes",
        {"custom_attributes": {"tier": "gold"}},
    ),
    Step(
        "custom attributes again",
        "POST",
        _TALK + "/custom_attributes",
        {"custom_attributes": {"other": "x"}},
    ),
    Step("conversation changed", "PATCH", _TALK, {"priority": "low"}),
    Step("muted", "POST", _TALK + "/mute", who=AGENT),
    _said("message of a blocked contact", _incoming("blocked words")),
    Step("unmuted", "POST", _TALK + "/unmute", who=AGENT),
)

_THIRD = _TALKS + "/$third_talk"
_SURVEY = PUBLIC + "/contacts/src-9/conversations/$third_talk/messages/$survey"


def _rated(title: str, **answer: Any) -> Step:
    body = {"submitted_values": {"csat_survey_response": answer}}
    return Step(title, "PATCH", _SURVEY, body, who=NOBODY)


_GREETING = {
    "greeting_enabled": True,
    "greeting_message": "Welcome to *us* {{contact.name}}",
    "csat_survey_enabled": True,
    "channel": {},
}

_SURVEYS = (
    Step("greeting and survey on", "PATCH", ACCOUNT + "/inboxes/$inbox", _GREETING),
    _made_contact("contact three", "third", inbox_id="$inbox", source_id="src-9", name="Third"),
    _begun(
        "conversation three",
        "third_talk",
        inbox_id="$inbox",
        contact_id="$third",
        source_id="src-9",
    ),
    Step("first message, greeted", "POST", _THIRD + "/messages", _incoming("hi")),
    Step("reply before the survey", "POST", _THIRD + "/messages", _outgoing("hi you"), who=AGENT),
    Step(
        "resolved, surveyed",
        "POST",
        _THIRD + "/toggle_status",
        {"status": "resolved"},
        who=AGENT,
        keep_told={"survey": "input_csat"},
    ),
    _rated("survey answered by the public side", rating=4, feedback_message="good"),
    _rated("survey answered again", rating=1),
    Step("survey answers", "GET", ACCOUNT + "/csat_survey_responses"),
    Step(
        "greeting and survey off",
        "PATCH",
        ACCOUNT + "/inboxes/$inbox",
        {"greeting_enabled": False, "csat_survey_enabled": False, "channel": {}},
    ),
)


def _refused(status: int) -> tuple[Step, Step]:
    text = f"answered {status}"
    return (
        Step(
            f"reply while the webhook answers {status}",
            "POST",
            _MESSAGES,
            _outgoing(text),
            who=AGENT,
            receiver_answers=status,
        ),
        Step(f"and the message after {status}", "GET", _MESSAGES, only=text),
    )


_REFUSALS = tuple(step for status in (400, 404, 410, 429, 500, 503) for step in _refused(status))

_FAREWELLS = (
    Step(
        "contacts merged",
        "POST",
        ACCOUNT + "/actions/contact_merge",
        {"base_contact_id": "$pia", "mergee_contact_id": "$rosa"},
    ),
    Step("contact gone by the merge", "GET", _CONTACTS + "/$rosa"),
    Step("contact deleted", "DELETE", _CONTACTS + "/$third"),
    Step(
        "message into a deleted contact's conversation",
        "POST",
        _THIRD + "/messages",
        _incoming("late"),
    ),
    Step("conversation deleted", "DELETE", _TALK),
    _said("message into a deleted conversation", _incoming("late")),
)

_BOTTED = _TALKS + "/$bot_talk"

_BOTS = (
    Step(
        "agent bot made",
        "POST",
        ACCOUNT + "/agent_bots",
        {"name": "Bot", "outgoing_url": "$bot_hook"},
        keep={"bot": "id", "token of bot": "access_token"},
    ),
    Step("agent bot set", "POST", ACCOUNT + "/inboxes/$inbox/set_agent_bot", {"agent_bot": "$bot"}),
    Step("bot: profile", "GET", "/api/v1/profile", who=BOT),
    _begun(
        "conversation after the bot",
        "bot_talk",
        inbox_id="$inbox",
        contact_id="$pia",
        source_id="src-2",
    ),
    Step("bot: message", "POST", _BOTTED + "/messages", {"content": "from the bot"}, who=BOT),
    Step(
        "bot: incoming message",
        "POST",
        _BOTTED + "/messages",
        _incoming("from the customer"),
        who=BOT,
    ),
    Step("bot: conversation", "GET", _BOTTED, who=BOT),
    Step("bot: status open", "POST", _BOTTED + "/toggle_status", {"status": "open"}, who=BOT),
    Step(
        "bot: typing", "POST", _BOTTED + "/toggle_typing_status", {"typing_status": "on"}, who=BOT
    ),
    Step("bot: labels", "POST", _BOTTED + "/labels", {"labels": ["x"]}, who=BOT),
    Step("bot: contacts", "GET", _CONTACTS + "/search?q=Pia", who=BOT),
    Step("bot: contact made", "POST", _CONTACTS, {"name": "by bot"}, who=BOT),
    Step(
        "bot: message patched", "PATCH", _BOTTED + "/messages/1", {"status": "delivered"}, who=BOT
    ),
)

ITINERARY = (
    *_ARRIVAL,
    *_INBOXES,
    *_WEBHOOKS,
    *_PEOPLE,
    *_PLACES,
    *_CONVERSATIONS,
    *_CUSTOMER_WRITES,
    *_AGENT_WRITES,
    *_SPECIAL_MESSAGES,
    *_FATES,
    *_PUBLIC_SIDE,
    *_CARE,
    *_SURVEYS,
    *_REFUSALS,
    *_FAREWELLS,
    *_BOTS,
)
