"""The REST API: https://www.twilio.com/docs/messaging/api/message-resource"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, ParamSpec
from urllib.parse import urlencode

from flask import Flask, Response, request
from werkzeug.exceptions import NotFound

from sandbox.twilio.account import Account
from sandbox.twilio.errors import Refused, bad_request, not_found
from sandbox.twilio.message import API_VERSION, Message
from sandbox.twilio.storage import add_storage

P = ParamSpec("P")
LARGEST_PAGE = 1000


def rest_api(twilio: Account) -> Flask:
    """The app that answers below `/2010-04-01/Accounts/{sid}`."""
    app = Flask("twilio")
    prefix = f"/{API_VERSION}/Accounts/<account>"

    @app.post(f"{prefix}/Messages.json")
    @_answering
    def create(account: str) -> tuple[Any, int]:
        _authenticate(twilio, account)
        form = request.form
        message = twilio.send(
            to=form.get("To", ""),
            from_=form.get("From", ""),
            body=form.get("Body", ""),
            messaging_service_sid=form.get("MessagingServiceSid", ""),
            status_callback=form.get("StatusCallback", ""),
        )
        return message.shown(), 201

    @app.get(f"{prefix}/Messages.json")
    @_answering
    def many(account: str) -> tuple[Any, int]:
        _authenticate(twilio, account)
        wanted = [message for message in reversed(twilio.messages()) if _asked_for(message)]
        return _page(wanted), 200

    @app.get(f"{prefix}/Messages/<sid>.json")
    @_answering
    def one(account: str, sid: str) -> tuple[Any, int]:
        _authenticate(twilio, account)
        for message in twilio.messages():
            if message.sid == sid:
                return message.shown(), 200
        raise not_found(request.path)

    @app.get(f"/{API_VERSION}/Accounts/<account>.json")
    @_answering
    def shown(account: str) -> tuple[Any, int]:
        """https://www.twilio.com/docs/iam/api/account"""
        _authenticate(twilio, account)
        return {"sid": account, "status": twilio.account_status, "type": "Full"}, 200

    @app.get(f"{prefix}/IncomingPhoneNumbers.json")
    @_answering
    def numbers(account: str) -> tuple[Any, int]:
        """https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource"""
        _authenticate(twilio, account)
        asked = request.args.get("PhoneNumber", twilio.number)
        own = {
            "phone_number": twilio.number,
            "sms_url": twilio.sms_url,
            "sms_method": "POST",
            "sms_application_sid": "",
        }
        return {"incoming_phone_numbers": [own] if asked == twilio.number else []}, 200

    add_storage(app, twilio, partial(_authenticate, twilio))

    @app.errorhandler(NotFound)
    @_answering
    def unknown(_: Exception) -> tuple[Any, int]:
        raise not_found(request.path)

    return app


def _answering(view: Callable[P, tuple[Any, int]]) -> Callable[P, Response]:
    """Turns a view's values, or its refusal, into JSON."""

    @wraps(view)
    def answer(*args: P.args, **kwargs: P.kwargs) -> Response:
        try:
            value, status = view(*args, **kwargs)
        except Refused as refusal:
            value, status = refusal.answer(), refusal.status
        return Response(json.dumps(value), status, content_type="application/json")

    return answer


def _authenticate(twilio: Account, account: str) -> None:
    """Account SID and auth token, or an API key and its secret; else 401."""
    given = request.authorization
    user, password = (given.username or "", given.password or "") if given else ("", "")
    secret = {twilio.account_sid: twilio.auth_token, twilio.api_key: twilio.api_secret}.get(user)
    if secret is None or not hmac.compare_digest(secret.encode(), password.encode()):
        raise Refused(401, 20003, "Authenticate")
    if account != twilio.account_sid:
        raise not_found(request.path)


def _asked_for(message: Message) -> bool:
    """The filters To, From, DateSent, «DateSent>» and «DateSent<», all inclusive."""
    asked = request.args
    return (
        asked.get("To", message.to) == message.to
        and asked.get("From", message.from_) == message.from_
        and asked.get("DateSent", message.day)[:10] == message.day
        and asked.get("DateSent>", message.day)[:10] <= message.day
        and asked.get("DateSent<", message.day)[:10] >= message.day
    )


def _page(messages: list[Message]) -> dict[str, Any]:
    """One page of a list. https://www.twilio.com/docs/usage/twilios-response#pagination"""
    size, page = min(_count("PageSize", 50), LARGEST_PAGE), _count("Page", 0)
    if size < 1:
        raise bad_request(20001, "Page size must be greater than 0")
    first = page * size
    shown = messages[first : first + size]
    return {
        "messages": [message.shown() for message in shown],
        "page": page,
        "page_size": size,
        "start": first,
        "end": max(first, first + len(shown) - 1),
        "uri": _page_uri(page, size),
        "first_page_uri": _page_uri(0, size),
        "previous_page_uri": _page_uri(page - 1, size) if page else None,
        "next_page_uri": _page_uri(page + 1, size) if first + size < len(messages) else None,
    }


def _page_uri(page: int, size: int) -> str:
    kept = {name: text for name, text in request.args.items() if not name.startswith("Page")}
    return f"{request.path}?{urlencode(kept | {'PageSize': size, 'Page': page})}"


def _count(name: str, default: int) -> int:
    text = request.args.get(name, str(default))
    if not text.isdecimal():
        raise bad_request(20001, f"Invalid value for {name}")
    return int(text)
