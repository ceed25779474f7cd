"""What a request says: query and body in one, as Rails merges them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from werkzeug.formparser import parse_form_data

from sandbox.chatwoot.records import JSON, Upload
from sandbox.chatwoot.refusals import NotFound, Refusal, Unprocessable
from sandbox.server import Head


@dataclass(frozen=True, slots=True)
class Parameters:
    """The body's fields over the query's. Files are `Upload`s, wherever they stand."""

    fields: JSON
    query: Mapping[str, list[str]]

    def text(self, name: str, default: str = "") -> str:
        value = self.fields.get(name)
        return default if value is None else str(value)

    def number(self, name: str) -> int | None:
        """None if it is missing or not a number."""
        try:
            return int(self.fields[name])
        except (KeyError, TypeError, ValueError):
            return None

    def inside(self, name: str) -> JSON:
        """Raises Unprocessable if it is missing."""
        value = self.fields.get(name)
        if not value or not isinstance(value, dict):
            raise Unprocessable(f"param is missing or the value is empty: {name}")
        return value


def as_id(value: Any) -> int:
    """Raises NotFound for what is not an id."""
    try:
        return int(value)
    except (TypeError, ValueError):
        raise NotFound from None


def parameters_of(head: Head, body: bytes) -> Parameters:
    """Raises Refusal 400 for broken JSON."""
    fields: JSON = {}
    for name, values in head.query.items():
        for value in values:
            _put(fields, name, value)
    fields.update(_body_fields(head.headers.get("content-type", ""), body))
    return Parameters(fields, head.query)


def _body_fields(content_type: str, body: bytes) -> JSON:
    kind = content_type.partition(";")[0].strip().lower()
    if not body:
        return {}
    if kind == "multipart/form-data":
        return _multipart(content_type, body)
    if kind == "application/x-www-form-urlencoded":
        return _nested(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    return _json(body) if kind == "application/json" else {}


def _json(body: bytes) -> JSON:
    try:
        value = json.loads(body)
    except ValueError:
        raise Refusal(400, {"status": 400, "error": "Bad Request"}) from None
    return value if isinstance(value, dict) else {"_json": value}


def _multipart(content_type: str, body: bytes) -> JSON:
    environ = {
        "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": content_type,
        "REQUEST_METHOD": "POST",
    }
    _, form, files = parse_form_data(environ)
    pairs: list[tuple[str, Any]] = list(form.items(multi=True))
    for name, file in files.items(multi=True):
        kind = file.mimetype or "application/octet-stream"
        pairs.append((name, Upload(file.filename or "file", kind, file.read())))
    return _nested(pairs)


def _nested(pairs: list[tuple[str, Any]]) -> JSON:
    fields: JSON = {}
    for name, value in pairs:
        _put(fields, name, value)
    return fields


def _put(fields: JSON, name: str, value: Any) -> None:
    """`a[]` makes a list, `a[b]` an object."""
    outer, bracket, inner = name.partition("[")
    inner = inner.removesuffix("]")
    if not bracket:
        fields[name] = value
    elif inner:
        nested = fields.setdefault(outer, {})
        if isinstance(nested, dict):
            nested[inner] = value
    else:
        listed = fields.setdefault(outer, [])
        if isinstance(listed, list):
            listed.append(value)
