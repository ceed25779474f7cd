"""What the check made in Chatwoot, and taking it away again. Nothing else is touched."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Self

from live.chatwoot import Desk, Refused


class Traces:
    """Takes away, when it ends, every inbox and webhook that was not there when it began, and the
    contacts with conversations in those inboxes."""

    def __init__(self, desk: Desk, gateway_url: str) -> None:
        self._desk = desk
        self._gateway_url = gateway_url
        self._inboxes_before: set[int] = set()

    def __enter__(self) -> Self:
        self._inboxes_before = {int(each["id"]) for each in self._desk.inboxes()}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        made = [
            each
            for each in self._desk.inboxes()
            if int(each["id"]) not in self._inboxes_before and str(each["name"]).startswith("live ")
        ]
        for inbox in made:
            self._take_away_inbox(int(inbox["id"]))
        for webhook in self._desk.webhooks():
            if str(webhook["url"]).startswith(self._gateway_url):
                with contextlib.suppress(Refused):
                    self._desk.call("DELETE", f"/webhooks/{webhook['id']}")

    def _take_away_inbox(self, inbox: int) -> None:
        conversations = list(self._desk.conversations_in(inbox))
        for conversation in conversations:
            with contextlib.suppress(Refused):
                self._desk.call("DELETE", f"/conversations/{conversation['id']}")
        for contact in {int(each["meta"]["sender"]["id"]) for each in conversations}:
            with contextlib.suppress(Refused):  # merged, or taken away with another inbox
                self._desk.delete_contact(contact)
        with contextlib.suppress(Refused):
            self._desk.call("DELETE", f"/inboxes/{inbox}")
