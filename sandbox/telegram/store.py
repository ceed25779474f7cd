"""What Telegram's servers know: the bot, its chats, and the messages in them.

Users, chats and messages are kept in the shape in which the Bot API shows them
(https://core.telegram.org/bots/api#message): there is then no second shape that could drift.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from sandbox.telegram.errors import Refused, bad_request

Json = dict[str, Any]


@dataclass(slots=True)
class Chat:
    """A private chat between the bot and one customer, whose ids are the same."""

    user: Json
    blocked: bool = False
    messages: dict[int, Json] = field(default_factory=dict)
    portraits: list[list[Json]] = field(default_factory=list)
    """Profile photos, the newest first, each in several sizes."""

    @property
    def shown(self) -> Json:
        """The chat as a message shows it: the user without what only a user has."""
        names = ("id", "first_name", "last_name", "username")
        return {name: self.user[name] for name in names if name in self.user} | {"type": "private"}


class Store:
    """All chats of one bot. Every method may be called from any thread."""

    def __init__(self, bot: Json) -> None:
        self.bot = bot
        self.lock = threading.RLock()
        self.chats: dict[int, Chat] = {}
        self._last_message_id = 0

    def greet(self, chat_id: int, **profile: str) -> None:
        """A customer with this profile (first_name, last_name, username, language_code)."""
        with self.lock:
            known = self.chats[chat_id].user if chat_id in self.chats else {}
            default = {"id": chat_id, "is_bot": False, "first_name": f"Customer {chat_id}"}
            user = default | known | {name: text for name, text in profile.items() if text}
            self.chats.setdefault(chat_id, Chat(user)).user = user

    def chat(self, chat_id: int) -> Chat:
        """Raises `Refused` for a customer who never wrote to the bot."""
        try:
            return self.chats[chat_id]
        except KeyError:
            raise bad_request("chat not found") from None

    def add(
        self,
        chat_id: int,
        sender: Json,
        content: Json,
        *,
        reply_to: int | None = None,
    ) -> Json:
        """Put a message into the chat and return it. `content`: its text, or file and caption."""
        with self.lock:
            chat = self.chat(chat_id)
            self._last_message_id += 1
            message: Json = {
                "message_id": self._last_message_id,
                "from": sender,
                "chat": chat.shown,
                "date": int(time.time()),
                **content,
            }
            if reply_to is not None and reply_to in chat.messages:
                original = chat.messages[reply_to]
                # Telegram shows one level only: the original without its own original.
                message["reply_to_message"] = {
                    name: value for name, value in original.items() if name != "reply_to_message"
                }
            chat.messages[self._last_message_id] = message
            return message

    def edit(self, chat_id: int, message_id: int, text: str, entities: list[Json] | None) -> Json:
        """Change a message and return it as it is now. Raises `Refused` if it does not exist."""
        with self.lock:
            messages = self.chat(chat_id).messages
            if message_id not in messages:
                raise bad_request("message to edit not found")
            edited = messages[message_id] | {"text": text, "edit_date": int(time.time())}
            edited.pop("entities", None)
            if entities:
                edited["entities"] = entities
            messages[message_id] = edited
            return edited

    def mark_up(self, chat_id: int, message_id: int, markup: Json | None) -> Json:
        """Give a message of the bot other buttons, or none, and return it. Raises `Refused`.

        https://core.telegram.org/bots/api#editmessagereplymarkup
        """
        with self.lock:
            messages = self.chat(chat_id).messages
            if message_id not in messages:
                raise bad_request("message to edit not found")
            message = messages[message_id]
            if message["from"] != self.bot:
                raise bad_request("message can't be edited")
            if message.get("reply_markup") == markup:
                raise bad_request(
                    "message is not modified: specified new message content and reply markup are "
                    "exactly the same as a current content and reply markup of the message"
                )
            edited = {name: value for name, value in message.items() if name != "reply_markup"}
            messages[message_id] = edited | ({"reply_markup": markup} if markup else {})
            return messages[message_id]

    def delete(self, chat_id: int, message_id: int) -> None:
        """Raises `Refused` if the message does not exist, or is older than 48 hours.

        https://core.telegram.org/bots/api#deletemessage
        """
        with self.lock:
            messages = self.chat(chat_id).messages
            if message_id not in messages:
                raise bad_request("message to delete not found")
            if time.time() - messages[message_id]["date"] > 48 * 3600:
                raise bad_request("message can't be deleted")
            del messages[message_id]

    def reachable(self, chat_id: int) -> Chat:
        """The chat, if the bot may write there. Raises `Refused` if the customer blocked it."""
        chat = self.chat(chat_id)
        if chat.blocked:
            raise Refused(403, "Forbidden: bot was blocked by the user")
        return chat

    def dump(self) -> Json:
        """Everything, as JSON."""
        with self.lock:
            return {
                "bot": self.bot,
                "last_message_id": self._last_message_id,
                "chats": [
                    {
                        "user": chat.user,
                        "blocked": chat.blocked,
                        "messages": list(chat.messages.values()),
                        "portraits": chat.portraits,
                    }
                    for chat in self.chats.values()
                ],
            }

    def restore(self, saved: Json) -> None:
        """Take back what `dump` gave."""
        self.bot = saved["bot"]
        self._last_message_id = saved["last_message_id"]
        for chat in saved["chats"]:
            messages = {message["message_id"]: message for message in chat["messages"]}
            self.chats[chat["user"]["id"]] = Chat(
                chat["user"], chat["blocked"], messages, chat.get("portraits", [])
            )
