"""The tour's second part: conversations, messages of every kind, and what becomes of them."""

from __future__ import annotations

import json
from typing import Any

from tests.chatwoot_tour.steps import (
    AGENT,
    CONTACTS,
    MESSAGES,
    NOBODY,
    PDF,
    PNG,
    PUBLIC,
    TALK,
    TALKS,
    File,
    Step,
    begun,
    equal,
    incoming,
    outgoing,
    said,
)

_REPLY = MESSAGES + "/$reply"
_SEEN = PUBLIC + "/contacts/src-1/conversations/$talk"


_CONVERSATIONS = (
    begun("conversation made", "talk", inbox_id="$inbox", contact_id="$rosa", source_id="src-1"),
    begun("conversation made by source_id alone", source_id="src-2"),
    begun(
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
    begun(
        "conversation with a wrong source_id",
        inbox_id="$inbox",
        contact_id="$rosa",
        source_id="src-2",
    ),
    begun("conversation in an inbox that is not there", inbox_id=99999, contact_id="$rosa"),
    begun("conversation with a contact that is not there", inbox_id="$inbox", contact_id=99999),
    Step("conversation", "GET", TALK),
    Step("conversation that is not there", "GET", TALKS + "/99999"),
    Step("conversations", "GET", TALKS + "?status=all"),
    Step("conversations of a contact", "GET", CONTACTS + "/$rosa/conversations"),
    Step("conversation filter", "POST", TALKS + "/filter", equal("inbox_id", "$inbox")),
)


def _filed(title: str, body: dict[str, Any], *files: File, who: str = "administrator") -> Step:
    return Step(title, "POST", MESSAGES, body, who=who, files=files)


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
    said("message of the customer", incoming("Hello **there**\nline", source_id="gw:1"), "hello"),
    said("message of the customer, same source_id", incoming("Hello again", source_id="gw:1")),
    said("message with an echo_id", incoming("echo", echo_id="e1")),
    said(
        "message quoting by external id",
        incoming("quote", content_attributes={"in_reply_to_external_id": "gw:1"}),
    ),
    said("message empty", incoming("")),
    said("message of 150001 letters", incoming("x" * 150_001)),
    said("message with a bad type", {"content": "x", "message_type": "nonsense"}),
    said("message with a bad content_type", {"content": "x", "content_type": "nonsense"}),
    said("message with a nul", incoming("a\0b")),
    _filed(
        "message with a file",
        incoming("see", source_id="gw:2"),
        _attached("p.png", "image/png", PNG),
    ),
    _filed(
        "message with two files and no text",
        {"message_type": "incoming"},
        _attached("a.png", "image/png", PNG),
        _attached("b.pdf", "application/pdf", PDF),
    ),
    _filed(
        "message with a file of 41 MB",
        {"message_type": "incoming"},
        _attached("big.bin", "application/octet-stream", bytes(41 * 1024 * 1024)),
    ),
    *_FILES_OF_MANY_KINDS,
)

_AGENT_WRITES = (
    said("reply of the agent", outgoing("Hi **you** [site](https://example.org)"), "reply", AGENT),
    said(
        "reply quoting",
        outgoing("about that", content_attributes={"in_reply_to": "$hello"}),
        who=AGENT,
    ),
    _filed(
        "reply with a file",
        outgoing("the file"),
        _attached("price list ä.pdf", "application/pdf", PDF),
        who=AGENT,
    ),
    said("private note", outgoing("between us @Bob", private=True), who=AGENT),
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
    return said(f"reply {kind}", body, who=AGENT)


_SPECIAL_MESSAGES = (
    *(_drawn(kind, items) for kind, items in _ITEMS.items()),
    said(
        "reply input_select with a wrong item",
        {
            "content": "x",
            "content_type": "input_select",
            "content_attributes": {"items": [{"nonsense": 1}]},
        },
        who=AGENT,
    ),
    said(
        "reply with external_echo",
        outgoing(
            "typed on the phone", content_attributes={"external_echo": True}, source_id="ext-1"
        ),
    ),
    said("message of type template", {"content": "automatic", "message_type": "template"}),
    said(
        "message of type activity",
        {"content": "somebody did something", "message_type": "activity"},
    ),
    said(
        "incoming e-mail",
        incoming(
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
    Step("messages", "GET", MESSAGES),
    Step("messages after", "GET", MESSAGES + "?after=$hello"),
    Step("messages before", "GET", MESSAGES + "?before=$reply"),
    Step("message deleted", "DELETE", _REPLY, who=AGENT),
)


def _typing(title: str, status: str) -> Step:
    path = TALK + "/toggle_typing_status"
    return Step(title, "POST", path, {"typing_status": status}, who=AGENT)


_PUBLIC_SIDE = (
    _typing("typing on", "on"),
    _typing("typing off", "off"),
    Step("seen by the agent", "POST", TALK + "/update_last_seen", who=AGENT),
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


TALKING = (
    *_CONVERSATIONS,
    *_CUSTOMER_WRITES,
    *_AGENT_WRITES,
    *_SPECIAL_MESSAGES,
    *_FATES,
    *_PUBLIC_SIDE,
)
