"""Files on the page: what both sides send, and how the browser gets them to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest

LARGEST_UPLOAD = 20 * 1024 * 1024
PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""What a browser may show here. Anything else that a customer sends could run as a script."""


@dataclass(frozen=True, slots=True)
class PageFile:
    name: str
    content_type: str
    data: bytes


FindFile = Callable[[str], PageFile]
"""Finds a file by its id. Raises LookupError if it does not exist."""


def link(place: str, file_id: str, name: str, content_type: str) -> dict[str, Any]:
    """A file as a message on the page shows it. `place` is a channel, or «desk»."""
    return {
        "name": name or "file",
        "url": f"/files/{place}/{quote(file_id, safe='')}",
        "picture": content_type in PICTURES,
    }


def read_upload() -> PageFile:
    """The file of a form. Raises BadRequest if it is missing or empty."""
    request.max_content_length = LARGEST_UPLOAD
    file = request.files.get("file")
    if file is None or not (data := file.read()):
        raise BadRequest("Choose a file that is not empty.")
    return PageFile(file.filename or "file", file.mimetype, data)


def files(places: Mapping[str, FindFile]) -> Blueprint:
    """The addresses from which the browser gets files."""
    blueprint = Blueprint("files", __name__, url_prefix="/files")

    @blueprint.get("/<place>/<path:file_id>")
    def show(place: str, file_id: str) -> Response:
        file = places[place](file_id)
        if file.content_type in PICTURES:
            return Response(file.data, content_type=file.content_type)
        saved = f"attachment; filename*=UTF-8''{quote(file.name)}"
        return Response(
            file.data,
            content_type="application/octet-stream",
            headers={"Content-Disposition": saved},
        )

    return blueprint
