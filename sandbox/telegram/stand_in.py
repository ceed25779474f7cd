"""The stand-in as tests and the page use it."""

from __future__ import annotations

import json
import math
import queue
import secrets
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from sandbox.faults import Fault, Faults, FaultyApplication, Kind
from sandbox.feed import Event, Feed
from sandbox.server import Server
from sandbox.state import StateFile
from sandbox.telegram.bot_api import bot_api
from sandbox.telegram.buttons import Presses, buttons_of, checked
from sandbox.telegram.errors import Refused, bad_request, too_many_requests
from sandbox.telegram.files import Files, Upload, carried, check_sent, portrait_sizes
from sandbox.telegram.markup import read, utf16_length
from sandbox.telegram.push import push_updates
from sandbox.telegram.store import Chat, Json, Store
from sandbox.telegram.updates import Updates, Webhook
from sandbox.web import wsgi

LONGEST_TEXT = 4096


class TelegramStandIn:
    """One bot on Telegram, and the phones of its customers.

    Speaks the Bot API at `{url}/bot{token}/<method>`, and hands out files below
    `{url}/file/bot{token}/`. Events of its feed: `message`, `edited`,
    `deleted`, `pressed`, `answered` (a press) and `action` (typing), each with the chat's id.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        state_file: Path | None = None,
        username: str = "support_bot",
        chat_interval: float = 0.0,
        push_delays: tuple[float, float] = (0.1, 5.0),
    ) -> None:
        """`chat_interval`: seconds that must lie between two messages of the bot to one chat, else
        429 (Telegram asks for one). `push_delays`: the first and the longest wait between two
        attempts to push an update.
        """
        bot_id = 7_000_000_000 + secrets.randbelow(10**9)
        self.token = f"{bot_id}:AA{secrets.token_urlsafe(25)}"
        self.store = Store(_bot(bot_id, username))
        self.files = Files()
        self.presses = Presses()
        self.updates = Updates()
        self.faults = Faults()
        self.feed = Feed()
        self.chat_interval = chat_interval
        self._push_delays = push_delays
        self._free_at: dict[int, float] = {}
        self._state = StateFile(state_file)
        self._saving = threading.Lock()
        self._server = Server(FaultyApplication(wsgi(bot_api(self)), self.faults), port)
        self._pusher: threading.Thread | None = None
        self._restore()

    @property
    def url(self) -> str:
        """What a bot library takes as the server's address, in front of «/bot<token>»."""
        return self._server.url

    def start(self) -> None:
        self.faults.start()
        self.updates.open()
        self._server.start()
        first, longest = self._push_delays
        self._pusher = threading.Thread(
            target=push_updates,
            args=(self.updates,),
            kwargs={"first_delay": first, "longest_delay": longest},
            name="telegram-push",
            daemon=True,
        )
        self._pusher.start()

    def stop(self) -> None:
        self.faults.stop()
        self.updates.close()
        self._server.stop()
        if self._pusher is not None:
            self._pusher.join(5)
            self._pusher = None
        self.save()

    def __enter__(self) -> TelegramStandIn:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def greet(self, chat_id: int, **profile: str) -> None:
        """Make a customer's profile known: first_name, last_name, username, language_code."""
        self.store.greet(chat_id, **profile)
        self.save()

    def customer_shows(self, chat_id: int, picture: Upload | None) -> None:
        """The customer's newest profile photo; None: they take all of theirs away."""
        if chat_id not in self.store.chats:
            self.store.greet(chat_id)
        portraits = self.store.chats[chat_id].portraits
        if picture is None:
            portraits.clear()
        else:
            portraits.insert(0, portrait_sizes(self.files.keep("photo", picture)))
        self.save()

    def portraits(self, user_id: int, offset: int, limit: int) -> Json:
        """https://core.telegram.org/bots/api#userprofilephotos. Raises `Refused` for a user whom
        the bot does not know."""
        if user_id not in self.store.chats:
            raise bad_request("user not found")
        found = self.store.chats[user_id].portraits
        return {"total_count": len(found), "photos": found[offset : offset + limit]}

    def customer_says(
        self,
        chat_id: int,
        text: str,
        *,
        entities: list[Json] | None = None,
        edit_of: int | None = None,
        reply_to: int | None = None,
    ) -> int:
        """The customer writes to the bot, or edits an earlier message. Returns its message id.

        Raises `Refused` for an edit of a message that does not exist.
        """
        if chat_id not in self.store.chats:
            self.store.greet(chat_id)
        kind, event = ("message", "message") if edit_of is None else ("edited_message", "edited")
        with self.store.lock:  # the updates are in the order of the messages
            if edit_of is None:
                user = self.store.chats[chat_id].user
                message = self.store.add(chat_id, user, _written(text, entities), reply_to=reply_to)
            else:
                message = self.store.edit(chat_id, edit_of, text, entities)
            self.updates.append(kind, message)
        self._changed(event, chat_id, message)
        return int(message["message_id"])

    def customer_sends_file(
        self,
        chat_id: int,
        upload: Upload,
        *,
        kind: str = "document",
        caption: str = "",
        reply_to: int | None = None,
    ) -> int:
        """The customer sends a file to the bot. Returns the message's id.

        `kind`: photo, document, voice, audio, video, video_note, animation or sticker.
        """
        content = carried(kind, self.files.keep(kind, upload))
        if caption:
            content |= {"caption": caption}
        return self.customer_sends(chat_id, content, reply_to=reply_to)

    def customer_sends(self, chat_id: int, content: Json, *, reply_to: int | None = None) -> int:
        """The customer sends something that is no text: `content` is what a message shows of it,
        `{"location": …}` for instance. Returns the message's id."""
        if chat_id not in self.store.chats:
            self.store.greet(chat_id)
        with self.store.lock:
            user = self.store.chats[chat_id].user
            message = self.store.add(chat_id, user, content, reply_to=reply_to)
            self.updates.append("message", message)
        self._changed("message", chat_id, message)
        return int(message["message_id"])

    def customer_presses(self, chat_id: int, message_id: int, label: str) -> str:
        """The customer presses a button below a message. Returns the id of the query.

        Raises LookupError if the message has no such button.
        """
        with self.store.lock:
            chat = self.store.chats[chat_id]
            message = chat.messages[message_id]
            data = {each["text"]: each["callback_data"] for each in buttons_of(message)}[label]
            query = self.presses.raised(chat.user, message, data)
            self.updates.append("callback_query", query)
        self._changed("pressed", chat_id, message)
        return str(query["id"])

    def bot_answers_press(self, query: str) -> None:
        """The Bot API's answerCallbackQuery: the button stops turning. Raises `Refused`."""
        chat_id, message = self.presses.answered(query)
        self._changed("answered", chat_id, message)

    def bot_changes_buttons(self, chat_id: int, message_id: int, markup: Any) -> Json:
        """The Bot API's editMessageReplyMarkup. Raises `Refused`."""
        message = self.store.mark_up(chat_id, message_id, checked(markup))
        self._changed("edited", chat_id, message)
        return message

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
        content = _written(plain, shown) | _with_buttons(markup)
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

    def _bot_adds(
        self, chat_id: int, content: Json, reply_to: int | None, reply_must_exist: bool
    ) -> Json:
        with self.store.lock:
            chat = self.store.reachable(chat_id)
            if reply_to is not None and reply_must_exist and reply_to not in chat.messages:
                raise bad_request("message to be replied not found")
            self._keep_interval(chat_id)
            message = self.store.add(chat_id, self.store.bot, content, reply_to=reply_to)
        self._changed("message", chat_id, message)
        return message

    def bot_deletes(self, chat_id: int, message_id: int) -> None:
        """The Bot API's deleteMessage. Raises `Refused`."""
        self.store.delete(chat_id, message_id)
        self._changed("deleted", chat_id, {"message_id": message_id})

    def chats(self) -> list[Json]:
        """The customers' profiles, as the Bot API shows them."""
        with self.store.lock:
            return [chat.user for chat in self.store.chats.values()]

    def messages(self, chat_id: int) -> list[Json]:
        """What both sides see in the chat, oldest first; empty for an unknown one."""
        with self.store.lock:
            chat = self.store.chats.get(chat_id, Chat({}))
            return list(chat.messages.values())

    def block(self, chat_id: int) -> None:
        """The customer blocks the bot."""
        self.store.chat(chat_id).blocked = True
        self.save()

    def unblock(self, chat_id: int) -> None:
        self.store.chat(chat_id).blocked = False
        self.save()

    def throttle(self, retry_after: int, *, times: int | None = 1) -> None:
        """Answer the next messages of the bot with 429 and `retry_after` seconds."""
        self.refuse(429, f"Too Many Requests: retry after {retry_after}", retry_after, times=times)

    def refuse(
        self,
        code: int,
        description: str,
        retry_after: int | None = None,
        *,
        method: str = "sendMessage",
        times: int | None = 1,
    ) -> None:
        """Answer the next calls of a method with an error in the Bot API's words."""
        refusal = Refused(code, description, retry_after=retry_after)
        self.faults.add(
            Fault(
                Kind.STATUS,
                path=f"/bot*/{method}",
                times=times,
                status=code,
                body=json.dumps(refusal.answer()),
                content_type="application/json",
            )
        )

    def subscribe(self) -> queue.Queue[Event]:
        """A queue of everything that changes from now on."""
        return self.feed.subscribe()

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

    def _restore(self) -> None:
        if saved := self._state.load():
            self.token = saved["token"]
            self.store.restore(saved["store"])
            self.files.restore(saved.get("files", []))
            self.updates.restore(saved["updates"])

    def _changed(self, event: str, chat_id: int, message: Json) -> None:
        self.save()
        self.feed.publish({"type": event, "chat": chat_id, "message": message})

    def _keep_interval(self, chat_id: int) -> None:
        now = time.monotonic()
        if (wait := self._free_at.get(chat_id, now) - now) > 0:
            raise too_many_requests(math.ceil(wait))
        self._free_at[chat_id] = now + self.chat_interval


def _written(text: str, entities: list[Json] | None) -> Json:
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
