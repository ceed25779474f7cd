"""From an update of Telegram's to the customer's message: https://core.telegram.org/bots/api#update"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from telegram import CallbackQuery, MaybeInaccessibleMessage, Message, Update, User

from adapters.telegram import buttons
from adapters.telegram.entities import as_markdown
from adapters.telegram.files import attachments
from adapters.telegram.kinds import as_line
from gateway.model import Inbound, Person

NAMED = "telegram:"
"""What stands before a user's number in a contact's identifier."""


def read_update(update: Update) -> Iterator[Inbound]:
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
        id=name_of(message),
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
    question = name_of(asked)
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
    # The library does not check types: a name of a wrong type must not block a lane for ever.
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


def name_of(message: MaybeInaccessibleMessage) -> str:
    """Raises TypeError if its ids are not numbers."""
    chat, number = message.chat.id, message.message_id
    if not (isinstance(chat, int) and isinstance(number, int)):
        raise TypeError("ids are numbers")
    return f"{chat}:{number}"
