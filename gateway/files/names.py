"""Names and types of files that strangers sent: fit for a disk, a form and a customer's eyes."""

from __future__ import annotations

import mimetypes
import unicodedata
from typing import Final
from urllib.parse import unquote, urlsplit

LONGEST_NAME: Final = 120
"""In characters; file systems take 255 bytes, of which a character may need four."""
UNKNOWN_TYPE: Final = "application/octet-stream"

_RESERVED = frozenset(
    ["CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))]
)
"""Names of devices on Windows, whatever their ending: an agent could not save such a file."""
_FORBIDDEN = frozenset('/\\:*?"<>|%')
"""Separators of paths, and what breaks the name in a form, on a disk or in an address."""


def safe_name(name: str, content_type: str = "") -> str:
    """`name` without paths, control characters and excess length; never empty.

    A name without anything usable becomes «file», with the ending of `content_type`.
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join("_" if _unfit(character) else character for character in last)
    stem, dot, ending = kept.strip(" ._").rpartition(".")
    if not dot:
        stem, ending = ending, ""
    if not stem:
        return "file" + (mimetypes.guess_extension(content_type) or "")
    if stem.partition(".")[0].rstrip().upper() in _RESERVED:
        stem = f"_{stem}"
    room = LONGEST_NAME - len(ending) - 1
    if len(ending) > LONGEST_NAME // 4:
        stem, ending, room = f"{stem}{dot}{ending}", "", LONGEST_NAME
    return stem[:room].rstrip(" .") + (f".{ending}" if ending else "")


def name_in(url: str) -> str:
    """The name that an address ends in, decoded; empty if it has none."""
    return unquote(urlsplit(url).path.rpartition("/")[2])


def content_type_of(name: str, told: str = "", kind: str = "") -> str:
    """The type of a file: as told, else by its name.

    `kind` is «image», «audio», «video» or anything else. It wins over what name or server say: the
    voice note of a browser is WebM, which both take for a video.
    """
    plain = told.partition(";")[0].strip().lower()
    if "/" not in plain or plain == UNKNOWN_TYPE:
        plain = mimetypes.guess_type(name)[0] or UNKNOWN_TYPE
    main, _, sub = plain.partition("/")
    if kind == "audio" and main == "video":
        return f"audio/{sub}"
    return plain


def _unfit(character: str) -> bool:
    return character in _FORBIDDEN or unicodedata.category(character) in {
        "Cc",
        "Cf",
        "Cs",
        "Zl",
        "Zp",
    }
