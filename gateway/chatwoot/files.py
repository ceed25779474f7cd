"""Files of agents' messages, as Chatwoot tells of them (`app/models/attachment.rb`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.chatwoot.fields import Fields
from gateway.files.names import content_type_of, name_in, safe_name

MOST_FILES: Final = 15
"""Attachments of one message (`app/models/message.rb`)."""


@dataclass(frozen=True, slots=True)
class LinkedFile:
    """A file that lies with Chatwoot."""

    url: str
    """Whoever knows it may fetch it; it does not expire."""
    name: str
    """Safe, never empty."""
    content_type: str = ""
    size: int | None = None
    """In bytes."""
    kind: str = ""
    """«image», «audio», «video» or «file», by the type that the agent's browser declared."""


def files_in(fields: Fields) -> tuple[LinkedFile, ...]:
    """The files of a message. Contact cards and locations have no file, so they are not among them.

    Before 4.13.0 Chatwoot tells neither type nor ending: the last part of the address is the
    file's name.
    """
    told = fields.optional_objects("attachments")
    return tuple(_file(each) for each in told if each.optional_text("data_url"))


def _file(fields: Fields) -> LinkedFile:
    url, kind = fields.text("data_url"), fields.optional_text("file_type")
    told = fields.optional_text("content_type")
    name = name_in(url)
    content_type = content_type_of(name, told, kind)
    return LinkedFile(
        url=url,
        name=safe_name(name, content_type),
        content_type=content_type,
        size=fields.optional_integer("file_size"),
        kind=kind,
    )
