"""A customer's Telegram."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.page.devices.device import JSON
from sandbox.page.files import PICTURES, PageFile, link
from sandbox.people import Customer
from sandbox.telegram import TelegramStandIn
from sandbox.telegram.buttons import buttons_of
from sandbox.telegram.files import Upload, file_in


class TelegramApp:
    """Refusing means blocking the bot."""

    def __init__(self, telegram: TelegramStandIn) -> None:
        self.address = f"@{telegram.store.bot['username']}"
        self._telegram = telegram

    def welcome(self, customer: Customer) -> None:
        first, _, last = customer.name.partition(" ")
        self._telegram.greet(
            int(customer.id),
            first_name=first,
            last_name=last,
            username=first.lower(),
            language_code="en",
        )

    def messages(self, customer: Customer) -> list[JSON]:
        return [
            {
                "id": str(message["message_id"]),
                "mine": not message["from"]["is_bot"],
                "text": message.get("text", message.get("caption", "")),
                "entities": message.get("entities", message.get("caption_entities", [])),
                "files": self._files(message),
                "at": message["date"],
                "edited": "edit_date" in message,
                "quoted": message.get("reply_to_message", {}).get("text", ""),
                "buttons": self._buttons(int(customer.id), message),
            }
            for message in self._telegram.messages(int(customer.id))
        ]

    def _buttons(self, chat: int, message: JSON) -> list[JSON]:
        turns = self._telegram.presses.turns
        return [
            {
                "label": button["text"],
                "turns": turns(chat, message["message_id"], button["callback_data"]),
            }
            for button in buttons_of(message)
        ]

    def write(
        self,
        customer: Customer,
        text: str,
        subject: str,
        files: Sequence[PageFile] = (),
        quoted: str = "",
    ) -> None:
        """A file is a message of its own, with the text as its caption."""
        reply_to = int(quoted) if quoted.isdecimal() else None
        if not files:
            self._telegram.customer_says(int(customer.id), text, reply_to=reply_to)
        for file in files:
            kind = "photo" if file.content_type in PICTURES else "document"
            name = "" if kind == "photo" else file.name
            upload = Upload(file.data, name, file.content_type)
            self._telegram.customer_sends_file(
                int(customer.id), upload, kind=kind, caption=text, reply_to=reply_to
            )

    def file(self, file_id: str) -> PageFile:
        kept = self._telegram.files.find(file_id)
        return PageFile(kept.name, kept.content_type, kept.content)

    def _files(self, message: JSON) -> list[JSON]:
        if (found := file_in(message)) is None:
            return []
        kind, file_id = found
        kept = self._telegram.files.find(file_id)
        return [link("telegram", kept.id, kept.name or kind, kept.content_type)]

    def unreachable(self, customer: Customer) -> bool:
        return self._telegram.store.chat(int(customer.id)).blocked

    def refuse(self, customer: Customer) -> None:
        self._telegram.block(int(customer.id))

    def accept(self, customer: Customer) -> None:
        self._telegram.unblock(int(customer.id))
