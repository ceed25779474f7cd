"""What an agent and an administrator do, over Chatwoot's application API and nothing else.

Plain requests on purpose: the gateway's own client is part of what is examined.
https://developers.chatwoot.com/api-reference
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import requests

JSON = dict[str, Any]
File = tuple[str, bytes, str]
"""Name, content, content type."""

INCOMING, OUTGOING, ACTIVITY, TEMPLATE = 0, 1, 2, 3
"""`message_type` as the API writes it."""
PATIENCE = 30.0


class Refused(Exception):
    """Chatwoot refused a call. The text names the call and Chatwoot's answer."""


class NotThere(Refused):
    """What was asked for does not exist."""


class Desk:
    """One account, with the token of an administrator who is one of its agents."""

    def __init__(self, url: str, account: int, token: str) -> None:
        self.url = url.rstrip("/")
        self.account = account
        self.token = token
        self._session = requests.Session()
        self._session.headers["api_access_token"] = token

    def close(self) -> None:
        self._session.close()

    def call(self, method: str, path: str, **more: Any) -> Any:
        """The answer's JSON; None for an empty answer. `path` is below the account.

        Raises `Refused`."""
        url = f"{self.url}/api/v1/accounts/{self.account}{path}"
        try:
            answer = self._session.request(method, url, timeout=PATIENCE, **more)
        except requests.RequestException as error:
            raise Refused(f"{method} {path}: {type(error).__name__}") from error
        if answer.status_code == requests.codes.not_found:
            raise NotThere(f"{method} {path}: {answer.status_code}")
        if not answer.ok:
            raise Refused(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        return answer.json() if answer.content.strip() else None

    def version(self) -> str:
        """The release. Raises `Refused`."""
        try:
            answer = self._session.get(f"{self.url}/api", timeout=PATIENCE)
            return str(answer.json()["version"])
        except (requests.RequestException, ValueError, KeyError) as error:
            raise Refused(f"GET /api: {type(error).__name__}") from error

    def count_conversations(self) -> int:
        """How many the account has, whatever their status."""
        told = self.call("GET", "/conversations", params={"status": "all"})
        return int(told["data"]["meta"]["all_count"])

    # Conversations

    def conversations_in(self, inbox: int) -> Iterator[JSON]:
        """All of an inbox, page by page."""
        page = 1
        while True:
            params: dict[str, str | int] = {"inbox_id": inbox, "status": "all", "page": page}
            found = self.call("GET", "/conversations", params=params)["data"]["payload"]
            if not found:
                return
            yield from found
            page += 1

    def conversations_of(self, contact: int) -> list[JSON]:
        """A contact's, oldest first."""
        found = self.call("GET", f"/contacts/{contact}/conversations")["payload"]
        return sorted(found, key=lambda each: int(each["id"]))

    def conversation(self, number: int) -> JSON:
        found: JSON = self.call("GET", f"/conversations/{number}")
        return found

    def messages(self, conversation: int) -> list[JSON]:
        """The newest of a conversation, oldest first."""
        found: list[JSON] = self.call("GET", f"/conversations/{conversation}/messages")["payload"]
        return found

    def message(self, conversation: int, number: int) -> JSON:
        """Raises LookupError."""
        for each in self.messages(conversation):
            if each["id"] == number:
                return each
        raise LookupError(number)

    def begin(self, contact: int, inbox: int, text: str) -> int:
        """An agent begins a conversation. Returns its number."""
        body = {"contact_id": contact, "inbox_id": inbox, "message": {"content": text}}
        return int(self.call("POST", "/conversations", json=body)["id"])

    def reply(self, conversation: int, text: str, **more: Any) -> int:
        """Returns the message's number. `more`: `private`, `content_attributes` …"""
        body = {"content": text, "message_type": "outgoing", **more}
        return int(self.call("POST", f"/conversations/{conversation}/messages", json=body)["id"])

    def reply_with(self, conversation: int, text: str, files: Sequence[File]) -> int:
        """A reply with files. Returns the message's number."""
        path = f"/conversations/{conversation}/messages"
        parts = [("attachments[]", file) for file in files]
        form = {"content": text, "message_type": "outgoing"}
        return int(self.call("POST", path, data=form, files=parts)["id"])

    def delete_message(self, conversation: int, number: int) -> None:
        self.call("DELETE", f"/conversations/{conversation}/messages/{number}")

    def retry(self, conversation: int, number: int) -> None:
        """Press Retry."""
        self.call("POST", f"/conversations/{conversation}/messages/{number}/retry")

    def set_status(self, conversation: int, status: Literal["open", "resolved"]) -> None:
        path = f"/conversations/{conversation}/toggle_status"
        self.call("POST", path, json={"status": status})

    def type(self, conversation: int) -> None:
        path = f"/conversations/{conversation}/toggle_typing_status"
        self.call("POST", path, json={"typing_status": "on"})

    # Contacts

    def find_contact(self, inbox: int, address: str) -> JSON | None:
        """The contact with this `source_id` in the inbox."""
        body = {"inbox_id": inbox, "source_id": address}
        try:
            found: JSON = self.call("POST", "/contact_inboxes/filter", json=body)
        except NotThere:
            return None
        return found

    def create_contact(self, **known: str) -> int:
        return int(self.call("POST", "/contacts", json=known)["payload"]["contact"]["id"])

    def update_contact(self, contact: int, **changed: Any) -> None:
        self.call("PATCH", f"/contacts/{contact}", json=changed)

    def merge(self, kept: int, merged: int) -> None:
        body = {"base_contact_id": kept, "mergee_contact_id": merged}
        self.call("POST", "/actions/contact_merge", json=body)

    def delete_contact(self, contact: int) -> None:
        self.call("DELETE", f"/contacts/{contact}")

    # What an administrator sees

    def inboxes(self) -> list[JSON]:
        found: list[JSON] = self.call("GET", "/inboxes")["payload"]
        return found

    def webhooks(self) -> list[JSON]:
        found: list[JSON] = self.call("GET", "/webhooks")["payload"]["webhooks"]
        return found
