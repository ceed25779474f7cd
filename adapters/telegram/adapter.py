"""The adapter: what Telegram can do, and how each call of the gateway's is made there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Literal

from pydantic import Field, SecretStr
from telegram import Update
from telegram.constants import ChatAction

from adapters.telegram import buttons
from adapters.telegram.bot import Bot, BotConnection
from adapters.telegram.checks import webhook_finding
from adapters.telegram.errors import MISREAD
from adapters.telegram.files import LARGEST_FETCHED, LIMITS, portrait_of
from adapters.telegram.incoming import NAMED, read_update
from adapters.telegram.outgoing import message_id, send
from gateway.adapter import Adapter, ChannelConfig, Finding, Site, WebAddress, same
from gateway.errors import Forbidden, Malformed, Permanent
from gateway.model import (
    Addressee,
    Attachment,
    Batch,
    Capabilities,
    Inbound,
    Part,
    Place,
    Portrait,
    Rate,
    Sent,
    Style,
    Unread,
    WebRequest,
)

ALLOWED_UPDATES = (Update.MESSAGE, Update.EDITED_MESSAGE, Update.CALLBACK_QUERY)
LONG_POLL = 20


class Telegram(Adapter):
    class Config(ChannelConfig):
        token: SecretStr = Field(description="the bot's token, from @BotFather")
        mode: Literal["webhook", "polling"] = Field(
            default="webhook", description="webhook or polling, which needs no public address"
        )
        max_connections: int = Field(
            default=1,
            ge=1,
            le=100,
            description="webhook calls that Telegram makes at once; with more than one, two quick "
            "messages of a customer may change places",
        )
        api_url: WebAddress = Field(
            default="https://api.telegram.org", description="or that of a local Bot API server"
        )

    config: Config
    account_settings = ("token",)
    verifies_headers = True
    capabilities = Capabilities(
        text_limit=4096,
        text_unit="utf16",
        styles=frozenset(Style),
        files=LIMITS,
        buttons=buttons.LIMITS,
        # https://core.telegram.org/bots/faq: about 30 messages a second over all chats, one a
        # second in one chat, «short bursts» beyond that are let through.
        rate=Rate(30, burst=30),
        peer_rate=Rate(1, burst=3),
    )

    def __init__(self, config: ChannelConfig, site: Site) -> None:
        super().__init__(config, site)
        self._bot = BotConnection(
            self.config.token.get_secret_value(),
            self.config.api_url,
            site.runtime,
            deadline=self.deadline,
        )

    def verify(self, request: WebRequest) -> None:
        if not same(self.site.secret, request.headers.get("x-telegram-bot-api-secret-token", "")):
            raise Forbidden("X-Telegram-Bot-Api-Secret-Token is missing or wrong")

    def parse(self, request: WebRequest) -> Iterator[Unread]:
        update = request.json()
        if not isinstance(update, dict) or type(update.get("update_id")) is not int:
            raise Malformed("not an update of Telegram's: it has no update_id")
        yield _unread(update)

    def poll(self, cursor: str | None) -> Batch:
        """The cursor is the offset to ask from: Telegram forgets what lies before it."""
        updates = self._bot.ask(
            lambda bot: bot.unread_updates(
                int(cursor) if cursor else None, LONG_POLL, ALLOWED_UPDATES
            ),
            waiting=LONG_POLL,
        )
        items = tuple(_unread(update) for update in updates)
        return Batch(items, str(updates[-1]["update_id"] + 1) if updates else cursor or "")

    def read(self, unread: Unread) -> Iterator[Inbound]:
        try:
            yield from read_update(Update.de_json(json.loads(unread.content), None))
        except MISREAD as error:
            raise Malformed(f"not an update of Telegram's: {type(error).__name__}") from error

    def address(self, to: Addressee) -> str:
        """A private chat has the number of its user. Only who wrote to the bot can be written to:
        https://core.telegram.org/bots/features#what-features-do-bots-have."""
        for known in (to.attributes.get("social_telegram_user_id", ""), to.identifier):
            if (number := known.removeprefix(NAMED)).isdecimal() and number.isascii():
                return number
        raise Permanent(
            "The customer must write to the bot first; if they did, put their Telegram user id "
            "(a number) into the contact's identifier, then press Retry"
        )

    def send(self, part: Part) -> Sent:
        return send(self._bot, part)

    def open(self, attachment: Attachment) -> Iterator[bytes]:
        if (attachment.size or 0) > LARGEST_FETCHED:
            megabytes = round((attachment.size or 0) / 1e6)
            raise Permanent(
                f"The file has {megabytes} MB; Telegram lets bots download at most 20 MB"
            )
        return self._bot.download(attachment.id, self.http)

    def portrait(self, place: Place) -> Portrait | None:
        """https://core.telegram.org/bots/api#getuserprofilephotos; the newest comes first."""

        async def work(bot: Bot) -> Portrait | None:
            shown = await bot.get_user_profile_photos(int(place.peer), limit=1)
            return portrait_of(shown.photos[0]) if shown.photos else None

        return self._bot.ask(work)

    def delete(self, place: Place, external_id: str) -> None:
        """Telegram lets a bot take a message back for 48 hours."""
        try:
            self._bot.write(lambda bot: bot.delete_message(place.peer, message_id(external_id)))
        except Permanent as error:
            if "not found" not in error.reason:
                raise

    def show_typing(self, place: Place) -> None:
        """Telegram takes the sign away after five seconds, or when a message comes."""
        self._bot.write(lambda bot: bot.send_chat_action(place.peer, ChatAction.TYPING))

    def acknowledge_press(self, message: Inbound) -> None:
        """The button turns until its press is answered, in every case
        (https://core.telegram.org/bots/api#callbackquery). The pressed one alone stays, marked:
        Telegram shows the customer nowhere else what they chose."""
        query, _, data = message.press.partition(" ")
        with suppress(Permanent):  # Telegram takes no answer that comes late
            self._bot.write(lambda bot: bot.answer_callback_query(query))
        self._bot.write(
            lambda bot: bot.edit_message_reply_markup(
                message.peer,
                message_id(message.reply_to),
                reply_markup=buttons.chosen(data, message.text),
            )
        )

    @property
    def polls(self) -> bool:
        return self.config.mode == "polling"

    @property
    def takes_webhooks(self) -> bool:
        return self.config.mode == "webhook"

    def connect(self) -> str:
        """At every start, not only when the address differs: the secret that Telegram holds cannot
        be read back, so there is no other way to be sure of it."""
        if self.config.mode == "polling":
            self._bot.write(lambda bot: bot.delete_webhook(drop_pending_updates=False))
            return f"@{self._bot.start().username}: long polling"
        self._bot.write(
            lambda bot: bot.set_webhook(
                self.site.webhook_url,
                secret_token=self.site.secret,
                allowed_updates=ALLOWED_UPDATES,
                max_connections=self.config.max_connections,
                drop_pending_updates=False,
            )
        )
        return f"@{self._bot.start().username}: webhook set"

    def check(self) -> Iterator[Finding]:
        """https://core.telegram.org/bots/api#getwebhookinfo tells of the last push that failed."""
        name = self._bot.start().username
        yield Finding.good("token", f"it belongs to @{name}")
        info = self._bot.ask(lambda bot: bot.get_webhook_info())
        yield webhook_finding(info, self.site.webhook_url if self.takes_webhooks else "")

    def close(self) -> None:
        self._bot.close()
        super().close()


def _unread(update: Mapping[str, Any]) -> Unread:
    return Unread(f"update:{update['update_id']}", json.dumps(update))
