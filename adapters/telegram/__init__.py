"""Telegram bots, through python-telegram-bot's `Bot`: https://core.telegram.org/bots/api.

By webhook with a secret header, or by long polling for whoever has no public address. Never by the
library's own `Updater`: it confirms updates to Telegram while they sit only in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field, SecretStr
from telegram import Bot, Message, MessageEntity, ReplyParameters, Update, User

from adapters.telegram.bot import MISREAD, BotLine, EntitiesRefused
from adapters.telegram.entities import as_entities, as_markdown
from gateway.adapter import Adapter, ChannelConfig, Site, same
from gateway.errors import Forbidden, Malformed, Permanent
from gateway.model import (
    Batch,
    Capabilities,
    Inbound,
    Part,
    Person,
    Rate,
    Sent,
    Style,
    WebRequest,
)

ALLOWED_UPDATES = (Update.MESSAGE, Update.EDITED_MESSAGE)
LONG_POLL = 20


class Telegram(Adapter):
    class Config(ChannelConfig):
        token: SecretStr = Field(description="the bot's token, from @BotFather")
        mode: Literal["webhook", "polling"] = Field(
            default="webhook", description="polling needs no public address"
        )
        max_connections: int = Field(
            default=1,
            ge=1,
            le=100,
            description="webhook calls that Telegram makes at once; with more than one, two quick "
            "messages of a customer may change places",
        )
        api_url: str = Field(
            default="https://api.telegram.org", description="or that of a local Bot API server"
        )

    config: Config
    capabilities = Capabilities(
        text_limit=4096,
        text_unit="utf16",
        styles=frozenset(Style),
        # https://core.telegram.org/bots/faq: about 30 messages a second over all chats, one a
        # second in one chat, «short bursts» beyond that are let through.
        rate=Rate(30, burst=30),
        peer_rate=Rate(1, burst=3),
    )

    def __init__(self, config: ChannelConfig, site: Site) -> None:
        super().__init__(config, site)
        self._line = BotLine(
            self.config.token.get_secret_value(),
            self.config.api_url,
            site.runtime,
            deadline=self.deadline,
        )

    def verify(self, request: WebRequest) -> None:
        if not same(self.site.secret, request.headers.get("x-telegram-bot-api-secret-token", "")):
            raise Forbidden("X-Telegram-Bot-Api-Secret-Token is missing or wrong")

    def parse(self, request: WebRequest) -> Iterator[Inbound]:
        payload = request.json()
        try:
            yield from _read(Update.de_json(payload, None))
        except MISREAD as error:
            raise Malformed(f"not an update of Telegram's: {type(error).__name__}") from error

    def poll(self, cursor: str | None) -> Batch:
        """The cursor is the offset to ask from: Telegram forgets what lies before it."""
        updates = self._line.ask(
            lambda bot: bot.get_updates(
                offset=int(cursor) if cursor else None,
                timeout=LONG_POLL,
                allowed_updates=ALLOWED_UPDATES,
            ),
            waiting=LONG_POLL,
        )
        items = tuple(item for update in updates for item in _read(update))
        return Batch(items, str(updates[-1].update_id + 1) if updates else cursor or "")

    def send(self, part: Part) -> Sent:
        try:
            message = self._send(part, as_entities(part.text, part.spans))
        except EntitiesRefused:
            message = self._send(part, [])
        return Sent(f"{message.chat_id}:{message.message_id}")

    def _send(self, part: Part, entities: list[MessageEntity]) -> Message:
        async def work(bot: Bot) -> Message:
            return await bot.send_message(
                part.peer,
                part.text,
                entities=entities or None,
                reply_parameters=_reply(part.reply_to),
            )

        return self._line.write(work)

    def delete(self, peer: str, external_id: str) -> None:
        """Telegram lets a bot take a message back for 48 hours."""
        try:
            self._line.write(lambda bot: bot.delete_message(peer, _message_id(external_id)))
        except Permanent as error:
            if "not found" not in error.reason:
                raise

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
            self._line.write(lambda bot: bot.delete_webhook(drop_pending_updates=False))
            return f"@{self._line.ready().username}: long polling"
        self._line.write(
            lambda bot: bot.set_webhook(
                self.site.webhook_url,
                secret_token=self.site.secret,
                allowed_updates=ALLOWED_UPDATES,
                max_connections=self.config.max_connections,
                drop_pending_updates=False,
            )
        )
        return f"@{self._line.ready().username}: webhook set"

    def close(self) -> None:
        self._line.close()
        super().close()


def _read(update: Update) -> Iterator[Inbound]:
    if update.message is not None:
        yield from _inbound(update.message)
    elif update.edited_message is not None:
        yield from _edited(update.edited_message)


def _inbound(message: Message) -> Iterator[Inbound]:
    """Text from private chats. The id is the message's, not the update's: a replay under a new
    update id is still a repetition."""
    text = message.text or message.caption
    if message.chat.type != "private" or not text:
        return
    if not (isinstance(message.chat.id, int) and isinstance(message.message_id, int)):
        raise TypeError("ids are numbers")
    answered, sender = message.reply_to_message, message.from_user
    yield Inbound(
        id=f"{message.chat.id}:{message.message_id}",
        peer=str(message.chat.id),
        text=as_markdown(text, message.entities or message.caption_entities).replace("\0", ""),
        person=_person(sender) if sender else Person(),
        reply_to=f"{message.chat.id}:{answered.message_id}" if answered else "",
        sent_at=message.date.timestamp(),
        attributes=_attributes(sender) if sender else {},
    )


def _edited(message: Message) -> Iterator[Inbound]:
    """Chatwoot cannot change a message, so an edit is a new one that answers the original."""
    for original in _inbound(message):
        at = message.edit_date or message.date
        yield replace(
            original,
            id=f"{original.id}:edit:{int(at.timestamp())}",
            text=f"✏️ {original.text}",
            reply_to=original.id,
            sent_at=at.timestamp(),
        )


def _person(user: User) -> Person:
    return Person(
        name=user.full_name, username=user.username or "", language=user.language_code or ""
    )


def _attributes(user: User) -> dict[str, str]:
    """Under the names that Chatwoot's own Telegram channel uses."""
    told: dict[str, Any] = {
        "social_telegram_user_id": user.id,
        "social_telegram_user_name": user.username,
        "username": user.username,
        "language_code": user.language_code,
    }
    return {name: str(value) for name, value in told.items() if value}


def _message_id(external_id: str) -> int:
    """From «chat:message», or «chat:message:edit:time»."""
    return int(external_id.split(":")[1])


def _reply(reply_to: str) -> ReplyParameters | None:
    if not reply_to:
        return None
    return ReplyParameters(_message_id(reply_to), allow_sending_without_reply=True)
