"""The bot: what the Bot API's methods do, and where everything is kept."""

from __future__ import annotations

import math
import secrets
import threading
import time
from pathlib import Path
from typing import Any

from sandbox.feed import Feed
from sandbox.state import StateFile
from sandbox.telegram.buttons import Presses, checked
from sandbox.telegram.errors import bad_request, too_many_requests
from sandbox.telegram.files import Files, Upload, carried, check_sent
from sandbox.telegram.markup import read, utf16_length
from sandbox.telegram.store import Json, Store
from sandbox.telegram.updates import Updates, Webhook

LONGEST_TEXT = 4096


class Bot:
    """One bot, its chats, and the updates that wait for it."""

    def __init__(self, *, state_file: Path | None, username: str, chat_interval: float) -> None:
        bot_id = 7_000_000_000 + secrets.randbelow(10**9)
        self.token = f"{bot_id}:AA{secrets.token_urlsafe(25)}"
        self.store = Store(_bot(bot_id, username))
        self.files = Files()
        self.presses = Presses()
        self.updates = Updates()
        self.feed = Feed()
        self.chat_interval = chat_interval
        self._free_at: dict[int, float] = {}
        self._state = StateFile(state_file)
        self._saving = threading.Lock()
        self._restore()

    def portraits(self, user_id: int, offset: int, limit: int) -> Json:
        """https://core.telegram.org/bots/api#userprofilephotos. Raises `Refused` for a user whom
        the bot does not know."""
        if user_id not in self.store.chats:
            raise bad_request("user not found")
        found = self.store.chats[user_id].portraits
        return {"total_count": len(found), "photos": found[offset : offset + limit]}

    def bot_says(
        self,
        chat_id: int,
        text: str,
        *,
        parse_mode: str = "",
        entities: list[Json] | None = None,
        markup: Any = None,
        reply_to: int | None = None,
        reply_must_exist: bool = True,
    ) -> Json:
        """The Bot API's sendMessage. Raises `Refused`."""
        if not text:
            raise bad_request("message text is empty")
        plain, shown = read(text, parse_mode, entities)
        plain = plain.rstrip()
        if not plain.strip():
            raise bad_request("text must be non-empty")
        if utf16_length(plain) > LONGEST_TEXT:
            raise bad_request("message is too long")
        content = written(plain, shown) | _with_buttons(markup)
        return self._bot_adds(chat_id, content, reply_to, reply_must_exist)

    def bot_sends_file(
        self,
        chat_id: int,
        kind: str,
        upload: Upload,
        *,
        caption: str = "",
        entities: list[Json] | None = None,
        markup: Any = None,
        reply_to: int | None = None,
        reply_must_exist: bool = True,
    ) -> Json:
        """The Bot API's sendPhoto, sendDocument and so on. Raises `Refused`."""
        check_sent(kind, upload, caption)
        plain, shown = read(caption, "", entities)
        content = carried(kind, self.files.keep(kind, upload))
        if plain:
            content |= {"caption": plain}
        if shown:
            content |= {"caption_entities": shown}
        content |= _with_buttons(markup)
        return self._bot_adds(chat_id, content, reply_to, reply_must_exist)

    def bot_deletes(self, chat_id: int, message_id: int) -> None:
        """The Bot API's deleteMessage. Raises `Refused`."""
        self.store.delete(chat_id, message_id)
        self._save_and_tell("deleted", chat_id, {"message_id": message_id})

    def bot_answers_press(self, query: str) -> None:
        """The Bot API's answerCallbackQuery: the button stops turning. Raises `Refused`."""
        chat_id, message = self.presses.answer_query(query)
        self._save_and_tell("answered", chat_id, message)

    def bot_changes_buttons(self, chat_id: int, message_id: int, markup: Any) -> Json:
        """The Bot API's editMessageReplyMarkup. Raises `Refused`."""
        message = self.store.mark_up(chat_id, message_id, checked(markup))
        self._save_and_tell("edited", chat_id, message)
        return message

    def set_webhook(self, webhook: Webhook, allowed: list[str] | None, *, drop: bool) -> None:
        self.updates.set_webhook(webhook, allowed, drop=drop)
        self.save()

    def webhook_info(self) -> Json:
        """https://core.telegram.org/bots/api#webhookinfo"""
        webhook = self.updates.webhook
        info: Json = {
            "url": webhook.url,
            "has_custom_certificate": False,
            "pending_update_count": self.updates.pending(),
        }
        if webhook.url:
            info |= {"max_connections": webhook.max_connections, "ip_address": "127.0.0.1"}
        if self.updates.allowed:
            info["allowed_updates"] = self.updates.allowed
        if self.updates.last_error is not None:
            info["last_error_date"], info["last_error_message"] = self.updates.last_error
        return info

    def save(self) -> None:
        """Write the state to its file, if there is one."""
        if not self._state.keeps:
            return
        with self._saving:
            self._state.save(
                {
                    "token": self.token,
                    "store": self.store.dump(),
                    "files": self.files.dump(),
                    "updates": self.updates.dump(),
                }
            )

    def _bot_adds(
        self, chat_id: int, content: Json, reply_to: int | None, reply_must_exist: bool
    ) -> Json:
        with self.store.lock:
            chat = self.store.reachable(chat_id)
            if reply_to is not None and reply_must_exist and reply_to not in chat.messages:
                raise bad_request("message to be replied not found")
            self._keep_interval(chat_id)
            message = self.store.add(chat_id, self.store.bot, content, reply_to=reply_to)
        self._save_and_tell("message", chat_id, message)
        return message

    def _restore(self) -> None:
        if saved := self._state.load():
            self.token = saved["token"]
            self.store.restore(saved["store"])
            self.files.restore(saved.get("files", []))
            self.updates.restore(saved["updates"])

    def _save_and_tell(self, event: str, chat_id: int, message: Json) -> None:
        self.save()
        self.feed.publish({"type": event, "chat": chat_id, "message": message})

    def _keep_interval(self, chat_id: int) -> None:
        now = time.monotonic()
        if (wait := self._free_at.get(chat_id, now) - now) > 0:
            raise too_many_requests(math.ceil(wait))
        self._free_at[chat_id] = now + self.chat_interval


def written(text: str, entities: list[Json] | None) -> Json:
    return {"text": text, "entities": entities} if entities else {"text": text}


def _with_buttons(markup: Any) -> Json:
    """What a message shows of its keyboard. Raises `Refused`."""
    keyboard = checked(markup)
    return {"reply_markup": keyboard} if keyboard else {}


def _bot(bot_id: int, username: str) -> dict[str, Any]:
    """https://core.telegram.org/bots/api#getme"""
    return {
        "id": bot_id,
        "is_bot": True,
        "first_name": "Support",
        "username": username,
        "can_join_groups": True,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
    }
