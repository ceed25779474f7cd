"""The Bot API's methods over HTTP. https://core.bot.org/bots/api#making-requests"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Response, request

from sandbox.telegram.bot import Bot
from sandbox.telegram.errors import Refused, bad_request
from sandbox.telegram.files import Upload
from sandbox.telegram.updates import Webhook

Parameters = Mapping[str, Any]
SECRET_TOKEN = re.compile(r"[A-Za-z0-9_-]{0,256}")
SENDABLE = ("photo", "document", "voice", "audio", "video", "animation")
CHAT_ACTIONS = {
    "typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice",
    "upload_document", "choose_sticker", "find_location", "record_video_note",
    "upload_video_note",
}  # fmt: skip


def bot_api(bot: Bot) -> Flask:
    """The app that answers `/bot<token>/<method>`."""
    app = Flask("telegram")
    methods: dict[str, Callable[[Parameters], tuple[Any, str]]] = {
        "getme": lambda _: (bot.store.bot, ""),
        "sendmessage": lambda given: (_send_message(bot, given), ""),
        **{f"send{kind}": _sending(bot, kind) for kind in SENDABLE},
        "getfile": lambda given: (bot.files.describe(str(given.get("file_id", ""))), ""),
        "getuserprofilephotos": lambda given: (_portraits(bot, given), ""),
        "sendchataction": lambda given: (_send_chat_action(bot, given), ""),
        "deletemessage": lambda given: (_delete_message(bot, given), ""),
        "editmessagereplymarkup": lambda given: (_edit_markup(bot, given), ""),
        "answercallbackquery": lambda given: (_answer_press(bot, given), ""),
        "setwebhook": lambda given: _set_webhook(bot, given),
        "deletewebhook": lambda given: _delete_webhook(bot, given),
        "getwebhookinfo": lambda _: (bot.webhook_info(), ""),
        "getupdates": lambda given: (_get_updates(bot, given), ""),
    }

    @app.route("/bot<token>/<method>", methods=["GET", "POST"])
    def call(token: str, method: str) -> Response:
        try:
            _check_token(bot, token)
            result, description = methods.get(method.lower(), _not_found)(_parameters())
        except Refused as refusal:
            return _json(refusal.answer(), refusal.code)
        told = {"description": description} if description else {}
        return _json({"ok": True, "result": result} | told, 200)

    @app.get("/file/bot<token>/<path:path>")
    def file(token: str, path: str) -> Response:
        try:
            _check_token(bot, token)
        except Refused as refusal:
            return _json(refusal.answer(), refusal.code)
        kept = bot.files.at(path)
        if kept is None:
            return _json(Refused(404, "Not Found").answer(), 404)
        return Response(kept.content, content_type="application/octet-stream")

    @app.errorhandler(404)
    def unknown(_: Exception) -> Response:
        return _json(Refused(404, "Not Found").answer(), 404)

    return app


def _check_token(bot: Bot, token: str) -> None:
    if not hmac.compare_digest(token.encode(), bot.token.encode()):
        raise Refused(401, "Unauthorized")


def _not_found(_: Parameters) -> tuple[Any, str]:
    raise Refused(404, "Not Found")


def _json(value: Any, status: int) -> Response:
    return Response(json.dumps(value), status, content_type="application/json")


def _parameters() -> Parameters:
    """From the query, a form of either kind, or a JSON body, as the Bot API takes them."""
    if request.mimetype == "application/json":
        given = request.get_json(silent=True)
        if not isinstance(given, dict):
            raise bad_request("can't parse JSON object")
        return request.args.to_dict() | given
    return request.values.to_dict()


def _integer(given: Parameters, name: str, default: int) -> int:
    try:
        return int(given.get(name, default))
    except (TypeError, ValueError):
        raise bad_request(f"invalid {name} specified") from None


def _truth(given: Parameters, name: str) -> bool:
    return str(given.get(name, "")).lower() in {"true", "1", "yes"}


def _object(given: Parameters, name: str) -> Any:
    """A parameter that is JSON itself; in a form it comes as text."""
    value = given.get(name)
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise bad_request(f"can't parse {name} JSON object") from None


def _chat_id(given: Parameters) -> int:
    if not given.get("chat_id"):
        raise bad_request("chat_id is empty")
    try:
        return int(given["chat_id"])
    except ValueError:
        raise bad_request("chat not found") from None


def _send_message(bot: Bot, given: Parameters) -> Any:
    reply = _object(given, "reply_parameters") or {}
    return bot.bot_says(
        _chat_id(given),
        str(given.get("text", "")),
        parse_mode=str(given.get("parse_mode", "")),
        entities=_object(given, "entities"),
        markup=_object(given, "reply_markup"),
        reply_to=_integer(reply, "message_id", 0) or None,
        reply_must_exist=not reply.get("allow_sending_without_reply"),
    )


def _sending(bot: Bot, kind: str) -> Callable[[Parameters], tuple[Any, str]]:
    """The method that sends this kind of file: «sendPhoto» takes the file as «photo»."""

    def send(given: Parameters) -> tuple[Any, str]:
        file = request.files.get(kind)
        if file is None:
            raise bad_request(f"there is no {kind} in the request")
        upload = Upload(file.read(), file.filename or "", file.mimetype)
        reply = _object(given, "reply_parameters") or {}
        message = bot.bot_sends_file(
            _chat_id(given),
            kind,
            upload,
            caption=str(given.get("caption", "")),
            entities=_object(given, "caption_entities"),
            markup=_object(given, "reply_markup"),
            reply_to=_integer(reply, "message_id", 0) or None,
            reply_must_exist=not reply.get("allow_sending_without_reply"),
        )
        return message, ""

    return send


def _send_chat_action(bot: Bot, given: Parameters) -> bool:
    if given.get("action") not in CHAT_ACTIONS:
        raise bad_request("wrong parameter action in request")
    chat_id = _chat_id(given)
    bot.store.reachable(chat_id)
    bot.feed.publish({"type": "action", "chat": chat_id, "action": given["action"]})
    return True


def _portraits(bot: Bot, given: Parameters) -> Any:
    limit = min(100, max(1, _integer(given, "limit", 100)))
    user, offset = _integer(given, "user_id", 0), _integer(given, "offset", 0)
    return bot.portraits(user, offset, limit)


def _delete_message(bot: Bot, given: Parameters) -> bool:
    bot.bot_deletes(_chat_id(given), _integer(given, "message_id", 0))
    return True


def _edit_markup(bot: Bot, given: Parameters) -> Any:
    return bot.bot_changes_buttons(
        _chat_id(given), _integer(given, "message_id", 0), _object(given, "reply_markup")
    )


def _answer_press(bot: Bot, given: Parameters) -> bool:
    bot.bot_answers_press(str(given.get("callback_query_id", "")))
    return True


def _set_webhook(bot: Bot, given: Parameters) -> tuple[bool, str]:
    url, secret = str(given.get("url", "")), str(given.get("secret_token", ""))
    if not url:
        return _delete_webhook(bot, given)
    # Telegram's own servers want https; a self-hosted Bot API server takes http, as this one does.
    if not url.startswith(("http://", "https://")):
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    if not SECRET_TOKEN.fullmatch(secret):
        raise bad_request("secret token contains unallowed characters")
    webhook = Webhook(url, secret, _integer(given, "max_connections", 40))
    bot.set_webhook(webhook, _allowed(given), drop=_truth(given, "drop_pending_updates"))
    return True, "Webhook was set"


def _delete_webhook(bot: Bot, given: Parameters) -> tuple[bool, str]:
    had = bool(bot.updates.webhook.url)
    bot.set_webhook(Webhook(), None, drop=_truth(given, "drop_pending_updates"))
    return True, "Webhook was deleted" if had else "Webhook is already deleted"


def _get_updates(bot: Bot, given: Parameters) -> Any:
    if (allowed := _allowed(given)) is not None:
        bot.updates.allowed = allowed
    fetched = bot.updates.fetch(
        _integer(given, "offset", 0),
        min(100, max(1, _integer(given, "limit", 100))),
        min(50, max(0, _integer(given, "timeout", 0))),
    )
    bot.save()
    return fetched


def _allowed(given: Parameters) -> list[str] | None:
    """None: not given, so the setting of the last call stays."""
    kinds = _object(given, "allowed_updates")
    if kinds is None:
        return None
    if not isinstance(kinds, list):
        raise bad_request("can't parse allowed updates JSON object")
    return [str(kind) for kind in kinds]
