"""Files, both ways: which file a message carries, and by which method a file is sent.

https://core.telegram.org/bots/api#sending-files
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Sequence
from typing import IO

from telegram import (
    Bot,
    InlineKeyboardMarkup,
    InputFile,
    Message,
    MessageEntity,
    PhotoSize,
    ReplyParameters,
    Sticker,
)

from gateway.model import Attachment, File, FileLimits, Portrait

LARGEST_FETCHED = 20_000_000
"""Bytes. https://core.telegram.org/bots/api#getfile"""
LARGEST_PHOTO = 10_000_000
PORTRAIT = 640
"""Pixels: as large as Telegram shows a profile photo; Chatwoot shows less than half of that."""
LIMITS = FileLimits(largest=50_000_000, per_part=1, caption=1024)

CARRIERS = (
    # An animation is told of as a document too, under the same id: it is looked for first.
    ("animation", "video/mp4"),
    ("document", "application/octet-stream"),
    ("video", "video/mp4"),
    ("video_note", "video/mp4"),
    ("voice", "audio/ogg"),
    ("audio", "audio/mpeg"),
)
"""The fields of a message that carry a file, and its type where Telegram does not tell."""
EXTENSIONS = {"audio/ogg": ".ogg", "audio/mpeg": ".mp3", "audio/mp4": ".m4a", "video/mp4": ".mp4"}

KINDS = {
    "image/jpeg": "photo",
    "image/png": "photo",
    "image/webp": "photo",
    "image/gif": "animation",
    "video/mp4": "video",
    "audio/ogg": "voice",
    "audio/opus": "voice",
    "audio/mpeg": "audio",
    "audio/mp4": "audio",
}
"""Content type → what a customer's phone shows it as. Everything else is a document."""


def attachments(message: Message) -> tuple[Attachment, ...]:
    """The file that came with a message, if any: a message carries at most one.

    Raises TypeError if it is not described as Telegram does.
    """
    return tuple(_attachments(message))


def _attachments(message: Message) -> Iterator[Attachment]:
    if message.photo:
        largest = message.photo[-1]  # the sizes are in ascending order
        yield _attachment(largest.file_id, "photo.jpg", "image/jpeg", largest.file_size)
    elif message.sticker:
        name, kind = _sticker(message.sticker)
        yield _attachment(message.sticker.file_id, name, kind, message.sticker.file_size)
    else:
        for field, usual in CARRIERS:
            if carried := getattr(message, field):
                kind = getattr(carried, "mime_type", None) or usual
                name = getattr(carried, "file_name", None) or _named(field, kind)
                yield _attachment(carried.file_id, name, kind, carried.file_size)
                return


def _sticker(sticker: Sticker) -> tuple[str, str]:
    """https://core.telegram.org/stickers"""
    if sticker.is_animated:
        return "sticker.tgs", "application/x-tgsticker"
    if sticker.is_video:
        return "sticker.webm", "video/webm"
    return "sticker.webp", "image/webp"


def _named(field: str, kind: str) -> str:
    extension = EXTENSIONS.get(kind) or mimetypes.guess_extension(kind) or ""
    return field.replace("_", "-") + extension


def _attachment(file_id: object, name: object, kind: object, size: object) -> Attachment:
    if not (isinstance(file_id, str) and isinstance(name, str) and isinstance(kind, str)):
        raise TypeError("a file's id, name and type are texts")
    if not file_id or not isinstance(size, int | None):
        raise TypeError("a file has an id, and its size is a number")
    return Attachment(file_id, name, kind, size)


def portrait_of(sizes: Sequence[PhotoSize]) -> Portrait:
    """A profile photo, in the largest of its sizes that is not larger than `PORTRAIT` pixels.

    A file's id may differ each time it is told; the unique one is the picture's for ever.
    Raises TypeError or ValueError if it is not described as Telegram does.
    """
    size = max(sizes, key=lambda size: size.width * (size.width <= PORTRAIT))
    picture = _attachment(size.file_id, "portrait.jpg", "image/jpeg", size.file_size)
    return Portrait(str(size.file_unique_id), picture)


def kind_of(file: File) -> str:
    """How a file is sent: «photo», «document», «voice» …: the name of its method and its field."""
    kind = KINDS.get(file.content_type.partition(";")[0].strip().lower(), "document")
    return "document" if kind == "photo" and file.size > LARGEST_PHOTO else kind


async def send_file(
    bot: Bot,
    peer: str,
    content: IO[bytes],
    *,
    kind: str,
    name: str,
    caption: str,
    entities: list[MessageEntity],
    reply: ReplyParameters | None,
    keyboard: InlineKeyboardMarkup | None,
) -> Message:
    """Send the file as its kind. Its bytes go from `content` to Telegram, not through memory."""
    content.seek(0)
    upload = InputFile(content, filename=name, read_file_handle=False)
    send = getattr(bot, f"send_{kind}")
    message: Message = await send(
        peer,
        upload,
        caption=caption or None,
        caption_entities=entities or None,
        reply_parameters=reply,
        reply_markup=keyboard,
    )
    return message
