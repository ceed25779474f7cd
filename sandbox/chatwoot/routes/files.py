"""Files: uploads ahead of a message, and downloads by a redirect to a link that expires soon."""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import quote

from sandbox.chatwoot.records import JSON, Blob, Upload
from sandbox.chatwoot.refusals import NotFound, Unprocessable
from sandbox.chatwoot.routing import Access, Call, Route
from sandbox.server import Reply

_STORAGE = "/rails/active_storage"
LIFETIME = 300
"""Seconds for which the address behind the redirect is good."""


def upload(call: Call) -> JSON:
    file = call.fields.get("attachment")
    if not isinstance(file, Upload):
        raise Unprocessable("No file or URL provided")
    blob = call.store.keep(file)
    url = f"{call.store.url}{_STORAGE}/blobs/redirect/{blob.key}/{quote(blob.name)}"
    return {"file_url": url, "blob_id": blob.key}


def redirect(call: Call) -> Reply:
    """The public address never expires; where it leads does."""
    blob = _blob(call)
    until = int(call.store.now()) + LIFETIME
    path = f"{blob.key}/{until}/{_seal(call, blob, until)}/{quote(blob.name)}"
    return Reply(302, headers={"Location": f"{call.store.url}{_STORAGE}/disk/{path}"})


def download(call: Call) -> Reply:
    """404 while the file is still being written, which happens after the message is told of."""
    blob = _blob(call)
    until = int(call.path["until"]) if call.path["until"].isdigit() else 0
    sealed = hmac.compare_digest(call.path["seal"], _seal(call, blob, until))
    if not sealed or until < call.store.now() or blob.ready_at > call.store.now():
        raise NotFound
    return Reply(200, base64.b64decode(blob.data), blob.content_type)


def _blob(call: Call) -> Blob:
    blob = call.store.blobs.get(call.path["key"])
    if blob is None:
        raise NotFound
    return blob


def _seal(call: Call, blob: Blob, until: int) -> str:
    """Made with the first user's token: the one secret that lasts as long as the state."""
    key = call.store.users.get(1).token.encode()
    return hmac.new(key, f"{blob.key}.{until}".encode(), hashlib.sha256).hexdigest()


ROUTES = (
    Route("POST", "/api/v1/accounts/{account}/upload", Access.USER, upload),
    Route("GET", _STORAGE + "/blobs/redirect/{key}/{name}", Access.ANYBODY, redirect),
    Route("GET", _STORAGE + "/representations/redirect/{key}/{name}", Access.ANYBODY, redirect),
    Route("GET", _STORAGE + "/disk/{key}/{until}/{seal}/{name}", Access.ANYBODY, download),
)
