"""From a part of a reply to a call of Telegram's, in the form that it takes."""

from __future__ import annotations

from functools import partial

from telegram import Bot, Message, MessageEntity, ReplyParameters

from adapters.telegram import buttons
from adapters.telegram.bot import BotConnection
from adapters.telegram.entities import as_entities
from adapters.telegram.errors import EntitiesRefused, KindRefused
from adapters.telegram.files import kind_of, send_file
from gateway.errors import Uncertain
from gateway.model import File, Part, Sent


def send(bot: BotConnection, part: Part) -> Sent:
    """Send it, as plain text if Telegram does not take its styling."""
    try:
        message = _send(bot, part, as_entities(part.text, part.spans))
    except EntitiesRefused:
        message = _send(bot, part, [])
    if str(message.chat_id) != part.peer:
        raise Uncertain("Telegram answered about another chat", detail=f"chat {message.chat_id}")
    return Sent(f"{message.chat_id}:{message.message_id}")


def message_id(external_id: str) -> int:
    """From «chat:message», or «chat:message:edit:time»."""
    return int(external_id.split(":")[1])


def _send(connection: BotConnection, part: Part, entities: list[MessageEntity]) -> Message:
    if part.files:
        return _send_file(connection, part, part.files[0], entities)

    async def work(bot: Bot) -> Message:
        return await bot.send_message(
            part.peer,
            part.text,
            entities=entities or None,
            reply_parameters=_reply(part.reply_to),
            reply_markup=buttons.keyboard(part.buttons),
        )

    return connection.write(work)


def _send_file(
    connection: BotConnection, part: Part, file: File, entities: list[MessageEntity]
) -> Message:
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
            return connection.write(partial(send, kind=kind_of(file)), size=file.size)
        except KindRefused:
            # A picture too narrow for a photo, a customer who wants no voice messages.
            return connection.write(partial(send, kind="document"), size=file.size)


def _reply(reply_to: str) -> ReplyParameters | None:
    if not reply_to:
        return None
    return ReplyParameters(message_id(reply_to), allow_sending_without_reply=True)
