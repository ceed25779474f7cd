"""What customers wrote, asked for afterwards: a webhook is called once, unless told otherwise.

https://www.twilio.com/docs/messaging/api/message-resource (its list),
https://www.twilio.com/docs/messaging/api/media-resource
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from adapters.twilio.files import attachment
from adapters.twilio.incoming import message
from gateway.http import Session
from gateway.model import Attachment, Inbound

PAGE_SIZE, MOST_PAGES = 1000, 50
"""The most that Twilio lists at once; and an end, should its pages have none."""


@dataclass(frozen=True, slots=True)
class History:
    """The messages of one account."""

    http: Session
    api_url: str
    account_sid: str
    auth: tuple[str, str]

    def fetch_received(self, by: str, since: float) -> Iterator[Inbound]:
        """What came to a number, or through a messaging service, since then; oldest first."""
        found = [told for told in self._fetch_listed(by, since) if _is_to(told, by)]
        for told in reversed(found):
            if (sent_at := _sent_at(told)) >= since:
                sid, sender, body = (str(told.get(name) or "") for name in ("sid", "from", "body"))
                if sid and sender:
                    yield message(sid, sender, body, self._fetch_files(told), sent_at)

    def _fetch_listed(self, by: str, since: float) -> Iterator[dict[str, Any]]:
        """Newest first. Twilio takes whole days only, in UTC."""
        asked = {"DateSent>": f"{datetime.fromtimestamp(since, UTC):%Y-%m-%d}"}
        to = {} if by.startswith("MG") else {"To": by}
        own = f"/2010-04-01/Accounts/{self.account_sid}/Messages.json"
        params: dict[str, Any] = {**asked, **to, "PageSize": PAGE_SIZE}
        page = self._get(own, params=params)
        for _ in range(MOST_PAGES):
            yield from page["messages"]
            if not (following := page.get("next_page_uri")):
                return
            page = self._get(following)

    def _fetch_files(self, told: dict[str, Any]) -> tuple[Attachment, ...]:
        if told.get("num_media") in {None, "", "0"}:
            return ()
        listed = self._get(told["subresource_uris"]["media"])["media_list"]
        return tuple(
            attachment(
                number, self.api_url + each["uri"].removesuffix(".json"), each["content_type"]
            )
            for number, each in enumerate(listed)
        )

    def _get(self, path: str, **options: Any) -> Any:
        answer = self.http.get(self.api_url + path, auth=self.auth, **options)
        content = answer.json()
        if not isinstance(content, dict):
            raise answer.nonsense("it is not a list of messages")
        return content


def _is_to(told: dict[str, Any], by: str) -> bool:
    to = told.get("messaging_service_sid") if by.startswith("MG") else told.get("to")
    return bool(told.get("direction") == "inbound" and to == by)


def _sent_at(told: dict[str, Any]) -> float:
    return parsedate_to_datetime(told.get("date_sent") or told["date_created"]).timestamp()
