"""What a visitor of the page can do on either side. Bodies are JSON, or forms with a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import BadRequest, NotFound

from sandbox.chatwoot.records import Upload
from sandbox.page.files import read_upload
from sandbox.page.scene import Scene

LONGEST_TEXT = 20_000


def actions(scene: Scene, changed: Callable[[], None]) -> Blueprint:
    """The addresses below /api that change something; each calls `changed` at its end."""
    blueprint = Blueprint("actions", __name__, url_prefix="/api")
    _add_customers(blueprint, scene)
    _add_agent(blueprint, scene)
    _add_choices(blueprint, scene)
    _add_troubles(blueprint, scene)

    @blueprint.after_request
    def note(response: Response) -> Response:
        changed()
        return response

    return blueprint


def _add_customers(blueprint: Blueprint, scene: Scene) -> None:
    @blueprint.post("/customers/<channel>")
    def add_customer(channel: str) -> Response:
        return jsonify(id=scene.add_customer(channel).id)

    @blueprint.post("/customers/<channel>/<customer>/messages")
    def write(channel: str, customer: str) -> Response:
        who = scene.people.find(channel, customer)
        subject, quoted = _text("subject", needed=False), _text("quoted", needed=False)
        scene.devices[channel].write(who, _text("text"), subject, quoted=quoted)
        return jsonify(done=True)

    @blueprint.post("/customers/<channel>/<customer>/files")
    def send_file(channel: str, customer: str) -> Response:
        file, text, form = read_upload(), _caption(), request.form
        who = scene.people.find(channel, customer)
        subject, quoted = form.get("subject", ""), form.get("quoted", "")
        scene.devices[channel].write(who, text, subject, [file], quoted)
        return jsonify(done=True)

    @blueprint.post("/customers/<channel>/<customer>/unreachable")
    def set_unreachable(channel: str, customer: str) -> Response:
        who, device = scene.people.find(channel, customer), scene.devices[channel]
        if _flag("on"):
            device.refuse(who)
        else:
            device.accept(who)
        return jsonify(done=True)


def _add_agent(blueprint: Blueprint, scene: Scene) -> None:
    chatwoot = scene.stand_ins.chatwoot

    @blueprint.post("/conversations")
    def begin() -> Response:
        who = scene.people.find(_text("channel"), _text("customer"))
        return jsonify(id=scene.desk.begin(who, _text("text")))

    @blueprint.post("/conversations/<int:number>/messages")
    def reply(number: int) -> Response:
        text, private, quoted = _text("text"), _flag("private"), _number("in_reply_to")
        said = chatwoot.agent_reply(number, text, private=private, in_reply_to=quoted)
        return jsonify(id=said)

    @blueprint.post("/conversations/<int:number>/typing")
    def show_typing(number: int) -> Response:
        chatwoot.agent_typing(number)
        return jsonify(done=True)

    @blueprint.post("/conversations/<int:number>/files")
    def attach(number: int) -> Response:
        file, text = read_upload(), _caption() or None
        upload = Upload(file.name, file.content_type, file.data)
        private = request.form.get("private") == "true"
        attached = chatwoot.agent_reply(number, text, private=private, attachments=[upload])
        return jsonify(id=attached)

    @blueprint.post("/conversations/<int:number>/status")
    def set_status(number: int) -> Response:
        wanted = _text("status")
        change = {"open": chatwoot.agent_open, "resolved": chatwoot.agent_resolve}.get(wanted)
        if change is None:
            raise BadRequest("«status» must be «open» or «resolved».")
        change(number)
        return jsonify(done=True)

    @blueprint.post("/conversations/<int:number>/seen")
    def mark_seen(number: int) -> Response:
        chatwoot.agent_looks(number)
        return jsonify(done=True)

    @blueprint.post("/messages/<int:number>/delete")
    def delete(number: int) -> Response:
        chatwoot.agent_delete(number)
        return jsonify(done=True)

    @blueprint.post("/messages/<int:number>/retry")
    def retry(number: int) -> Response:
        chatwoot.agent_retry(number)
        return jsonify(done=True)


def _add_choices(blueprint: Blueprint, scene: Scene) -> None:
    @blueprint.post("/conversations/<int:number>/choices")
    def offer(number: int) -> Response:
        question, *titles = [line.strip() for line in _text("text").splitlines() if line.strip()]
        if not titles:
            raise BadRequest("Write a question, and each choice on a line of its own below it.")
        items = [{"title": title, "value": title} for title in titles]
        offered = scene.stand_ins.chatwoot.interactive_reply(
            number, question, "input_select", items
        )
        return jsonify(id=offered)

    @blueprint.post("/customers/telegram/<customer>/presses")
    def press(customer: str) -> Response:
        who, message = scene.people.find("telegram", customer), _number("message") or 0
        try:
            scene.stand_ins.telegram.customer_presses(int(who.id), message, _text("label"))
        except LookupError:
            raise NotFound("The message no longer has this button.") from None
        return jsonify(done=True)


def _add_troubles(blueprint: Blueprint, scene: Scene) -> None:
    @blueprint.post("/troubles/<name>")
    def switch_trouble(name: str) -> Response:
        if _flag("on"):
            scene.troubles.switch_on(name)
        else:
            scene.troubles.switch_off(name)
        return jsonify(done=True)

    @blueprint.post("/processes/<role>/kill")
    def kill(role: str) -> Response:
        if not scene.gateway.kill(role):
            raise NotFound(f"{role} is not running.")
        return jsonify(done=True)


def _caption() -> str:
    """The text of a form with a file; may be empty."""
    text = request.form.get("text", "").strip()
    if len(text) > LONGEST_TEXT or "\0" in text:
        raise BadRequest(f"«text» must be at most {LONGEST_TEXT} characters long, without NUL.")
    return text


def _fields() -> dict[str, Any]:
    fields = request.get_json()
    if not isinstance(fields, dict):
        raise BadRequest("The body must be a JSON object.")
    return fields


def _text(name: str, *, needed: bool = True) -> str:
    value = _fields().get(name, "")
    if not isinstance(value, str) or len(value) > LONGEST_TEXT or "\0" in value:
        raise BadRequest(
            f"«{name}» must be a text of at most {LONGEST_TEXT} characters, without NUL."
        )
    if needed and not value.strip():
        raise BadRequest(f"«{name}» must not be empty.")
    return value.strip()


def _flag(name: str) -> bool:
    value = _fields().get(name, False)
    if not isinstance(value, bool):
        raise BadRequest(f"«{name}» must be true or false.")
    return value


def _number(name: str) -> int | None:
    """A whole number that may be left out."""
    value = _fields().get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise BadRequest(f"«{name}» must be a whole number.")
    return value
