"""A webhook's form, read when an adapter asks for it and no sooner, and never a large one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from io import BytesIO

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from gateway.errors import Malformed

FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
LARGEST_FORM = 64 * 1024
"""Bytes. An SMS of 1,600 characters needs 15 kB at most."""
MOST_FIELDS = 256
"""A value of a few bytes becomes an object of hundreds."""


def is_form(content_type: str) -> bool:
    return parse_options_header(content_type)[0].lower() in FORMS


class Form(Mapping[str, str]):
    """The fields of a form; the first value of each. Empty if the body is not a form.

    Whatever asks for a field may raise `Malformed`: the form is too large, or cannot be read.
    """

    def __init__(self, content_type: str, body: bytes) -> None:
        self._content_type = content_type
        self._body = body

    def __getitem__(self, name: str) -> str:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    @cached_property
    def _fields(self) -> Mapping[str, str]:
        if not is_form(self._content_type):
            return {}
        if len(self._body) > LARGEST_FORM or self._body.count(b"&") >= MOST_FIELDS:
            raise Malformed("the form is too large")
        kind, options = parse_options_header(self._content_type)
        parser = FormDataParser(
            max_form_memory_size=LARGEST_FORM, max_form_parts=MOST_FIELDS, silent=True
        )
        try:
            _, fields, _ = parser.parse(BytesIO(self._body), kind, len(self._body), options)
        except RequestEntityTooLarge as error:
            raise Malformed("the form is too large") from error
        return fields.to_dict()
