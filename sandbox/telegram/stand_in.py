"""The stand-in as tests and the page use it."""

from __future__ import annotations

import json
import queue
import threading
from pathlib import Path
from types import TracebackType

from sandbox.faults import Fault, Faults, FaultyApplication, Kind
from sandbox.feed import Event
from sandbox.server import Server
from sandbox.telegram.bot import Bot, written
from sandbox.telegram.bot_api import bot_api
from sandbox.telegram.buttons import buttons_of
from sandbox.telegram.errors import Refused
from sandbox.telegram.files import Upload, carried, portrait_sizes
from sandbox.telegram.push import push_updates
from sandbox.telegram.store import Chat, Json
from sandbox.web import wsgi


class TelegramStandIn(Bot):
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
        super().__init__(state_file=state_file, username=username, chat_interval=chat_interval)
        self.faults = Faults()
        self._push_delays = push_delays
        self._server = Server(FaultyApplication(wsgi(bot_api(self)), self.faults), port)
        self._pusher: threading.Thread | None = None

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
                message = self.store.add(chat_id, user, written(text, entities), reply_to=reply_to)
            else:
                message = self.store.edit(chat_id, edit_of, text, entities)
            self.updates.append(kind, message)
        self._save_and_tell(event, chat_id, message)
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
        """The customer sends something other than text: `content` is what a message shows of it,
        `{"location": …}` for instance. Returns the message's id."""
        if chat_id not in self.store.chats:
            self.store.greet(chat_id)
        with self.store.lock:
            user = self.store.chats[chat_id].user
            message = self.store.add(chat_id, user, content, reply_to=reply_to)
            self.updates.append("message", message)
        self._save_and_tell("message", chat_id, message)
        return int(message["message_id"])

    def customer_presses(self, chat_id: int, message_id: int, label: str) -> str:
        """The customer presses a button below a message. Returns the id of the query.

        Raises LookupError if the message has no such button.
        """
        with self.store.lock:
            chat = self.store.chats[chat_id]
            message = chat.messages[message_id]
            data = {each["text"]: each["callback_data"] for each in buttons_of(message)}[label]
            query = self.presses.raise_query(chat.user, message, data)
            self.updates.append("callback_query", query)
        self._save_and_tell("pressed", chat_id, message)
        return str(query["id"])

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
