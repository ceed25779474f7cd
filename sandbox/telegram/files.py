"""Files on Telegram's servers, and how a message shows the one that it carries.

https://core.telegram.org/bots/api#file, https://core.telegram.org/bots/api#sending-files
"""

from __future__ import annotations

import base64
import secrets
import threading
from dataclasses import asdict, dataclass
from typing import Any

from sandbox.telegram.errors import bad_request

Json = dict[str, Any]

LARGEST_FETCHED = 20_000_000
"""Bytes of a file that a bot may fetch. https://core.telegram.org/bots/api#getfile"""
LARGEST_SENT = {"photo": 10_000_000}
LARGEST_OTHER = 50_000_000
LONGEST_CAPTION = 1024
PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"RIFF", b"GIF8", b"BM")
FOLDERS = {"photo": "photos", "voice": "voice", "video": "videos", "audio": "music"}


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way to the servers. An empty name: the phone gave none."""

    data: bytes
    name: str = ""
    content_type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Kept:
    """A file on the servers."""

    id: str
    path: str
    name: str
    content_type: str
    size: int
    data: str
    """In base64."""

    @property
    def content(self) -> bytes:
        return base64.b64decode(self.data)

    @property
    def told(self) -> Json:
        """What every kind of file shows."""
        return {"file_id": self.id, "file_unique_id": self.id[-12:], "file_size": self.size}


class Files:
    """All files that went through one bot. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, Kept] = {}

    def keep(self, kind: str, upload: Upload) -> Kept:
        with self._lock:
            number = len(self._kept)
            end = upload.name.rpartition(".")[2] or upload.content_type.rpartition("/")[2]
            kept = Kept(
                id=f"AgAD{secrets.token_urlsafe(24)}",
                path=f"{FOLDERS.get(kind, 'documents')}/file_{number}.{end}",
                name=upload.name,
                content_type=upload.content_type,
                size=len(upload.data),
                data=base64.b64encode(upload.data).decode(),
            )
            self._kept[kept.id] = kept
            return kept

    def find(self, file_id: str) -> Kept:
        """Raises KeyError for an unknown id."""
        return self._kept[file_id]

    def describe(self, file_id: str) -> Json:
        """The Bot API's getFile. Raises `Refused`."""
        kept = self._kept.get(file_id)
        if kept is None:
            raise bad_request("invalid file_id")
        if kept.size > LARGEST_FETCHED:
            raise bad_request("file is too big")
        return {**kept.told, "file_path": kept.path}

    def at(self, path: str) -> Kept | None:
        """The file that getFile gave this path."""
        with self._lock:
            return next((kept for kept in self._kept.values() if kept.path == path), None)

    def dump(self) -> list[Json]:
        with self._lock:
            return [asdict(kept) for kept in self._kept.values()]

    def restore(self, saved: list[Json]) -> None:
        self._kept = {one["id"]: Kept(**one) for one in saved}


def check_sent(kind: str, upload: Upload, caption: str) -> None:
    """Raises `Refused` for what the Bot API does not take."""
    if len(caption.encode("utf-16-le")) // 2 > LONGEST_CAPTION:
        raise bad_request("message caption is too long")
    if not upload.data:
        raise bad_request("file must be non-empty")
    if len(upload.data) > LARGEST_SENT.get(kind, LARGEST_OTHER):
        raise bad_request(f"file of size {len(upload.data)} bytes is too big for a {kind}")
    if kind == "photo" and not upload.data.startswith(PICTURES):
        raise bad_request("IMAGE_PROCESS_FAILED")


SHOWN: dict[str, Json] = {
    "animation": {"width": 320, "height": 240, "duration": 2},
    "audio": {"duration": 30},
    "document": {},
    "sticker": {
        "width": 512,
        "height": 512,
        "type": "regular",
        "emoji": "👍",
        "is_animated": False,
        "is_video": False,
    },
    "video": {"width": 640, "height": 360, "duration": 4},
    "video_note": {"length": 240, "duration": 4},
    "voice": {"duration": 3},
}
"""Kind → what it shows beside name, type and size. Of a photo there are several sizes."""
UNNAMED = frozenset({"sticker", "video_note", "voice"})
UNTYPED = frozenset({"sticker", "video_note"})


def carried(kind: str, kept: Kept) -> Json:
    """The field, or fields, of a message that carries `kept`."""
    if kind == "photo":
        small = {"file_id": f"{kept.id}-small", "file_unique_id": "small", "file_size": 900}
        sizes = [small | {"width": 90, "height": 67}, kept.told | {"width": 800, "height": 600}]
        return {"photo": sizes}
    shown = kept.told | SHOWN[kind]
    if kept.name and kind not in UNNAMED:
        shown |= {"file_name": kept.name}
    if kind not in UNTYPED:
        shown |= {"mime_type": kept.content_type}
    # An animation is shown as a document too, for bots that are older than animations.
    return {kind: shown, "document": shown} if kind == "animation" else {kind: shown}


def portrait_sizes(kept: Kept) -> list[Json]:
    """A profile photo as the Bot API shows it: square, in ascending sizes."""
    small = {"file_id": f"{kept.id}-small", "file_unique_id": f"{kept.id[-12:]}s"}
    return [small | {"width": 160, "height": 160}, kept.told | {"width": 640, "height": 640}]


def file_in(message: Json) -> tuple[str, str] | None:
    """Kind and id of the file that a message carries."""
    if photo := message.get("photo"):
        return "photo", photo[-1]["file_id"]
    for kind in ("animation", "document", "video", "video_note", "voice", "audio", "sticker"):
        if kind in message:
            return kind, message[kind]["file_id"]
    return None
