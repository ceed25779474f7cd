"""Files that came with messages: https://www.twilio.com/docs/messaging/api/media-resource"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

from flask import Flask, Response, request
from werkzeug.exceptions import NotFound

from sandbox.twilio.account import Account
from sandbox.twilio.errors import Refused
from sandbox.twilio.message import API_VERSION, Media

Authenticate = Callable[[str], None]


def add_storage(app: Flask, twilio: Account, authenticate: Authenticate) -> None:
    """The API redirects to the storage, which is another host at Twilio's, too."""

    @app.get(f"/{API_VERSION}/Accounts/<account>/Messages/<sid>/Media/<media>")
    def file(account: str, sid: str, media: str) -> Response:
        try:
            authenticate(account)
        except Refused as refusal:
            return Response(json.dumps(refusal.answer()), refusal.status)
        _found(twilio, sid, media)
        return Response(
            status=307, headers={"Location": f"{request.host_url}storage/{sid}/{media}"}
        )

    @app.get(f"/{API_VERSION}/Accounts/<account>/Messages/<sid>/Media.json")
    def files(account: str, sid: str) -> Response:
        try:
            authenticate(account)
        except Refused as refusal:
            return Response(json.dumps(refusal.answer()), refusal.status)
        of = [each for message in twilio.messages() if message.sid == sid for each in message.media]
        listed = [
            {
                "sid": media.sid,
                "account_sid": account,
                "parent_sid": sid,
                "content_type": media.content_type,
                "uri": f"/{API_VERSION}/Accounts/{account}/Messages/{sid}/Media/{media.sid}.json",
            }
            for media in of
        ]
        return Response(json.dumps({"media_list": listed}), content_type="application/json")

    @app.get("/storage/<sid>/<media>")
    def stored(sid: str, media: str) -> Response:
        """The storage takes its own signature only, and refuses a login beside it."""
        if request.authorization is not None:
            return Response("Only one auth mechanism allowed", 400)
        found = _found(twilio, sid, media)
        return Response(base64.b64decode(found.data), content_type=found.content_type)


def _found(twilio: Account, sid: str, media: str) -> Media:
    """Raises NotFound, which becomes Twilio's own 404."""
    for message in twilio.messages():
        for found in message.media:
            if (message.sid, found.sid) == (sid, media):
                return found
    raise NotFound
