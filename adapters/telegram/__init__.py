"""Telegram bots, through python-telegram-bot's `Bot`: https://core.telegram.org/bots/api.

By webhook with a secret header, or by long polling for whoever has no public address. Never by the
library's own `Updater`: it confirms updates to Telegram while they sit only in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from pydantic import Field, SecretStr
from telegram import (
    Bot,
    CallbackQuery,
    MaybeInaccessibleMessage,
    Message,
    MessageEntity,
    ReplyParameters,
    Update,
    User,
)
from telegram.constants import ChatAction

from adapters.telegram import buttons
from adapters.telegram.bot import MISREAD, BotLine, EntitiesRefused, KindRefused
from adapters.telegram.checks import webhook_finding
from adapters.telegram.entities import as_entities, as_markdown
from adapters.telegram.files import (
    LARGEST_FETCHED,
    LIMITS,
    attachments,
    kind_of,
    portrait_of,
    send_file,
)
from adapters.telegram.kinds import as_line
from gateway.adapter import Adapter, ChannelConfig, Finding, Site, WebAddress, same
from gateway.errors import Forbidden, Malformed, Permanent
from gateway.model import (
    Addressee,
    Attachment,
    Batch,
    Capabilities,
    File,
    Inbound,
    Part,
    Person,
    Portrait,
    Rate,
    Sent,
    Style,
    WebRequest,
)

ALLOWED_UPDATES = (Update.MESSAGE, Update.EDITED_MESSAGE, Update.CALLBACK_QUERY)
LONG_POLL = 20
NAMED = "telegram:"
"""What stands before a user's number in a contact's identifier."""


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
        try:
            message = self._send(part, as_entities(part.text, part.spans))
        except EntitiesRefused:
            message = self._send(part, [])
        return Sent(f"{message.chat_id}:{message.message_id}")

    def _send(self, part: Part, entities: list[MessageEntity]) -> Message:
        if part.files:
            return self._send_file(part, part.files[0], entities)

        async def work(bot: Bot) -> Message:
            return await bot.send_message(
                part.peer,
                part.text,
                entities=entities or None,
                reply_parameters=_reply(part.reply_to),
                reply_markup=buttons.keyboard(part.buttons),
            )

        return self._line.write(work)

    def _send_file(self, part: Part, file: File, entities: list[MessageEntity]) -> Message:
        with file.path.open("rb") as content:
            send = partial(
                send_file,
                peer=part.peer,
                content=content,
                name=file.name,
                caption=part.text,
                entities=entities,
                reply=_reply(part.reply_to),
                keyboard=buttons.keyboard(part.buttons),
            )
            try:
                return self._line.write(partial(send, kind=kind_of(file)), size=file.size)
            except KindRefused:
                # A picture too narrow for a photo, a customer who wants no voice messages.
                return self._line.write(partial(send, kind="document"), size=file.size)

    def open(self, attachment: Attachment) -> Iterator[bytes]:
        if (attachment.size or 0) > LARGEST_FETCHED:
            megabytes = round((attachment.size or 0) / 1e6)
            raise Permanent(f"The file has {megabytes} MB; Telegram gives bots only up to 20 MB")
        return self._line.download(attachment.id, self.http)

    def portrait(self, peer: str) -> Portrait | None:
        """https://core.telegram.org/bots/api#getuserprofilephotos; the newest comes first."""

        async def work(bot: Bot) -> Portrait | None:
            shown = await bot.get_user_profile_photos(int(peer), limit=1)
            return portrait_of(shown.photos[0]) if shown.photos else None

        return self._line.ask(work)

    def delete(self, peer: str, external_id: str) -> None:
        """Telegram lets a bot take a message back for 48 hours."""
        try:
            self._line.write(lambda bot: bot.delete_message(peer, _message_id(external_id)))
        except Permanent as error:
            if "not found" not in error.reason:
                raise

    def typing(self, peer: str) -> None:
        """Telegram takes the sign away after five seconds, or when a message comes."""
        self._line.write(lambda bot: bot.send_chat_action(peer, ChatAction.TYPING))

    def pressed(self, message: Inbound) -> None:
        """The button turns until its press is answered, in every case
        (https://core.telegram.org/bots/api#callbackquery). The pressed one alone stays, marked:
        Telegram shows the customer nowhere else what they chose."""
        query, _, data = message.press.partition(" ")
        with suppress(Permanent):  # Telegram takes no answer that comes late
            self._line.write(lambda bot: bot.answer_callback_query(query))
        self._line.write(
            lambda bot: bot.edit_message_reply_markup(
                message.peer,
                _message_id(message.reply_to),
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

    def check(self) -> Iterator[Finding]:
        """https://core.telegram.org/bots/api#getwebhookinfo tells of the last push that failed."""
        name = self._line.ready().username
        yield Finding.good("token", f"it is that of @{name}")
        info = self._line.ask(lambda bot: bot.get_webhook_info())
        yield webhook_finding(info, self.site.webhook_url if self.takes_webhooks else "")

    def close(self) -> None:
        self._line.close()
        super().close()


def _read(update: Update) -> Iterator[Inbound]:
    if update.message is not None:
        yield from _inbound(update.message)
    # A live location is «edited» every few seconds, for hours.
    elif update.edited_message is not None and update.edited_message.location is None:
        yield from _edited(update.edited_message)
    elif update.callback_query is not None:
        yield from _chosen(update.callback_query)


def _inbound(message: Message) -> Iterator[Inbound]:
    """What came in a private chat. The id is the message's, not the update's: a replay under a new
    update id is still a repetition."""
    files, text = attachments(message), _text(message)
    if message.chat.type != "private" or not (text or files):
        return
    answered, sender = message.reply_to_message, message.from_user
    yield Inbound(
        id=_name(message),
        peer=str(message.chat.id),
        text=text,
        person=_person(sender, message.chat.id) if sender else Person(),
        reply_to=f"{message.chat.id}:{answered.message_id}" if answered else "",
        quoted=_quoted(message),
        attachments=files,
        sent_at=message.date.timestamp(),
        attributes=_attributes(sender) if sender else {},
    )


def _text(message: Message) -> str:
    if written := message.text or message.caption:
        text = as_markdown(written, message.entities or message.caption_entities)
    else:
        text = as_line(message)
    return text


def _quoted(message: Message) -> str:
    """What the customer marked in the message that they answer, or all of that; of one in another
    chat, only what they marked (https://core.telegram.org/bots/api#externalreplyinfo)."""
    return message.quote.text if message.quote is not None else _words(message.reply_to_message)


def _words(answered: MaybeInaccessibleMessage | None) -> str:
    """What a message says, without its styling; of a file, its name."""
    if not isinstance(answered, Message):
        return ""
    written = answered.text or answered.caption or as_line(answered)
    return written or ", ".join(f"[{file.name}]" for file in attachments(answered))


def _edited(message: Message) -> Iterator[Inbound]:
    """Chatwoot cannot change a message, so an edit is a new one that answers the original."""
    for original in _inbound(message):
        at = message.edit_date or message.date
        yield replace(
            original,
            id=f"{original.id}:edit:{int(at.timestamp())}",
            text=f"✏️ {original.text}",
            reply_to=original.id,
            quoted="",
            sent_at=at.timestamp(),
        )


def _chosen(query: CallbackQuery) -> Iterator[Inbound]:
    """A button that was pressed below a message of the bot. The id is the button's, not the
    press's: whoever taps twice has answered once."""
    asked, label = query.message, buttons.label_of(query)
    if asked is None or asked.chat.type != "private" or not label:
        return
    question = _name(asked)
    yield Inbound(
        id=f"{question}:button:{buttons.number_of(query)}",
        peer=str(asked.chat.id),
        text=label,
        person=_person(query.from_user, asked.chat.id),
        reply_to=question,
        quoted=_words(asked),
        attributes=_attributes(query.from_user),
        press=f"{query.id} {query.data}",
    )


def _person(user: User, chat_id: int) -> Person:
    """A private chat has the number of its user."""
    # The library checks no types: a name that is none must not wait in a lane for ever.
    told = (user.full_name, user.username, user.language_code)
    name, username, language = (str(value or "") for value in told)
    return Person(name=name, username=username, language=language, identifier=f"{NAMED}{chat_id}")


def _attributes(user: User) -> dict[str, str]:
    """Under the names that Chatwoot's own Telegram channel uses."""
    told: dict[str, Any] = {
        "social_telegram_user_id": user.id,
        "social_telegram_user_name": user.username,
        "username": user.username,
        "language_code": user.language_code,
    }
    return {name: str(value) for name, value in told.items() if value}


def _name(message: MaybeInaccessibleMessage) -> str:
    """Raises TypeError if its ids are none of Telegram's."""
    chat, number = message.chat.id, message.message_id
    if not (isinstance(chat, int) and isinstance(number, int)):
        raise TypeError("ids are numbers")
    return f"{chat}:{number}"


def _message_id(external_id: str) -> int:
    """From «chat:message», or «chat:message:edit:time»."""
    return int(external_id.split(":")[1])


def _reply(reply_to: str) -> ReplyParameters | None:
    if not reply_to:
        return None
    return ReplyParameters(_message_id(reply_to), allow_sending_without_reply=True)
