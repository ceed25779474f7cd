"""The updates that wait for the bot, fetched by long polling or pushed to its webhook.

https://core.telegram.org/bots/api#getting-updates
"""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

from sandbox.telegram.errors import Refused

Json = dict[str, Any]

USUAL_KINDS = ("message", "edited_message", "callback_query", "my_chat_member")
"""A few of those that Telegram sends when `allowed_updates` was never given."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where updates are pushed to; with an empty url they wait to be fetched."""

    url: str = ""
    secret_token: str = ""
    max_connections: int = 40


class Updates:
    """One bot's queue. An update leaves it only when the bot has confirmed it."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.webhook = Webhook()
        self.allowed: list[str] = []
        self.last_error: tuple[int, str] | None = None
        self._pending: list[Json] = []
        self._last_id = 100_000_000
        self._poll = 0
        self._closed = False

    def append(self, kind: str, value: Json) -> None:
        """Queue an update, unless the bot does not want its kind."""
        with self.changed:
            if kind in (self.allowed or USUAL_KINDS):
                self._last_id += 1
                self._pending.append({"update_id": self._last_id, kind: value})
                self.changed.notify_all()

    def fetch(self, offset: int, limit: int, timeout: float) -> list[Json]:
        """Long polling: those from `offset` on, as soon as there are any; older ones are forgotten.

        A negative offset counts from the end. Raises `Refused` (409) while a webhook is set, and in
        the older of two calls that wait at the same time.
        """
        deadline = time.monotonic() + timeout
        with self.changed:
            self._refuse_beside_webhook()
            self._confirm(offset)
            self._poll += 1
            mine = self._poll
            self.changed.notify_all()
            while not self._pending and not self._closed:
                if not self.changed.wait(deadline - time.monotonic()):
                    break
                self._refuse_if_replaced(mine)
            return self._pending[:limit]

    def set_webhook(self, webhook: Webhook, allowed: list[str] | None, *, drop: bool) -> None:
        """Push to `webhook` from now on. None leaves the allowed kinds as they are."""
        with self.changed:
            self.webhook = webhook
            self.last_error = None
            if allowed is not None:
                self.allowed = allowed
            if drop:
                self._pending.clear()
            self.changed.notify_all()

    def next_push(self) -> tuple[Webhook, Json] | None:
        """Wait for an update to push; None when the stand-in stops."""
        with self.changed:
            while not self._closed:
                if self.webhook.url and self._pending:
                    return self.webhook, self._pending[0]
                self.changed.wait()
            return None

    def remove_pushed(self, update: Json) -> None:
        """The webhook has taken the update."""
        with self.changed:
            if update in self._pending:
                self._pending.remove(update)
            self.changed.notify_all()

    def wait_after_failure(self, error: str, delay: float) -> None:
        """The webhook has not taken it: remember why, and wait `delay` seconds, or for a change."""
        with self.changed:
            self.last_error = (int(time.time()), error)
            if not self._closed:
                webhook = self.webhook
                self.changed.wait_for(
                    lambda: self._closed or self.webhook is not webhook, timeout=delay
                )

    def pending(self) -> int:
        with self.changed:
            return len(self._pending)

    def open(self) -> None:
        self._closed = False

    def close(self) -> None:
        """Let go of everybody who waits."""
        with self.changed:
            self._closed = True
            self.changed.notify_all()

    def dump(self) -> Json:
        with self.changed:
            return {
                "webhook": asdict(self.webhook),
                "allowed": self.allowed,
                "pending": self._pending,
                "last_id": self._last_id,
            }

    def restore(self, saved: Json) -> None:
        self.webhook = Webhook(**saved["webhook"])
        self.allowed = saved["allowed"]
        self._pending = saved["pending"]
        self._last_id = saved["last_id"]

    def _confirm(self, offset: int) -> None:
        if offset < 0:
            self._pending = self._pending[offset:]
        elif offset > 0:
            self._pending = [one for one in self._pending if one["update_id"] >= offset]

    def _refuse_beside_webhook(self) -> None:
        if self.webhook.url:
            raise Refused(
                409,
                "Conflict: can't use getUpdates method while webhook is active; "
                "use deleteWebhook to delete the webhook first",
            )

    def _refuse_if_replaced(self, mine: int) -> None:
        if self.webhook.url:
            raise Refused(409, "Conflict: terminated by setWebhook request")
        if self._poll != mine:
            raise Refused(
                409,
                "Conflict: terminated by other getUpdates request; "
                "make sure that only one bot instance is running",
            )
