"""Reading a request's body, whole or not at all."""

from __future__ import annotations

from flask import Flask, Request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

ONE_MORE = 1
"""Werkzeug cuts a chunked body at its limit without a word (`LimitedStream.readall`). So its limit
is one byte above ours, and a body that reaches it was too long."""


def limit_bodies(app: Flask, limit: int) -> None:
    """Refuse bodies of more than `limit` bytes, whether or not their length is announced."""
    most = limit + ONE_MORE
    app.config.update(MAX_CONTENT_LENGTH=most, MAX_FORM_MEMORY_SIZE=most)


def read_body(request: Request, limit: int | None = None) -> bytes:
    """The body of a request, of `limit` bytes at most, or as many as any body may have.

    Raises RequestEntityTooLarge, and BadRequest if it breaks off or its chunks are malformed.
    """
    if limit is not None:
        most = request.max_content_length
        request.max_content_length = min(
            limit + ONE_MORE, limit + ONE_MORE if most is None else most
        )
    try:
        body = request.get_data(cache=False)
    except (ParseException, OSError) as error:
        raise BadRequest("The body cannot be read.") from error
    most = request.max_content_length
    if most is not None and len(body) >= most:
        raise RequestEntityTooLarge
    return body
