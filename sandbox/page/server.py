"""Serves the page: its files, the state of everything, a stream of it, and what both sides do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from flask import Flask, Response, json, jsonify, request, send_from_directory
from werkzeug.exceptions import Forbidden, HTTPException

from sandbox.chatwoot.refusals import Refusal
from sandbox.page.actions import actions
from sandbox.page.changes import Changes
from sandbox.page.files import files
from sandbox.page.scene import Scene
from sandbox.web import WebServer

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
LARGEST_BODY = 256 * 1024
AT_MOST_EVERY = 0.05
"""Seconds between two states that are pushed: what changes together is shown together."""
SILENCE = 5.0
"""Seconds after which the state is pushed although nothing has changed."""
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class PageServer:
    """The page, on 127.0.0.1."""

    def __init__(self, scene: Scene, changes: Changes, port: int) -> None:
        self._changes = changes
        self._server = WebServer(_app(scene, changes), port=port)

    @property
    def url(self) -> str:
        return self._server.url

    def start(self) -> None:
        """Raises OSError if the port is taken."""
        self._server.start()

    def stop(self) -> None:
        self._changes.close()
        self._server.stop()


def _app(scene: Scene, changes: Changes) -> Flask:
    app = Flask(__name__, static_folder="static", static_url_path="/static")
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.before_request(_refuse_other_sites)
    app.after_request(_add_headers)
    app.register_error_handler(HTTPException, lambda error: _refusal(error.code, error.description))
    app.register_error_handler(LookupError, lambda _: _refusal(404, "This does not exist here."))
    app.register_error_handler(
        Refusal, lambda error: _refusal(error.status, f"Chatwoot refused this: {error.body}")
    )
    app.add_url_rule("/", "page", lambda: send_from_directory(str(app.static_folder), "page.html"))
    app.add_url_rule("/api/state", "state", lambda: jsonify(scene.shown()))
    app.add_url_rule(
        "/api/events",
        "events",
        lambda: Response(_states(scene, changes), content_type="text/event-stream"),
    )
    app.register_blueprint(actions(scene, changes.note))
    places = {name: device.file for name, device in scene.devices.items()}
    app.register_blueprint(files({**places, "desk": scene.desk.file}))
    return app


def _refuse_other_sites() -> None:
    """Another site open in the same browser can send requests here, too.

    Under a name of its own that leads to loopback (DNS rebinding) it shows itself in Host,
    otherwise in Origin, which browsers send with every POST to another site.
    """
    if urlsplit(f"//{request.host}").hostname not in LOOPBACK:
        raise Forbidden(
            "Open the sandbox at 127.0.0.1: it answers only to this machine's own names."
        )
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise Forbidden("The sandbox accepts requests only from its own page.")


def _add_headers(response: Response) -> Response:
    response.headers.update(HEADERS)
    return response


def _refusal(status: int | None, reason: str | None) -> tuple[Response, int]:
    return jsonify(error=reason or "The request failed."), status or 500


def _states(scene: Scene, changes: Changes) -> Iterator[str]:
    """The state now, and again whenever it has changed, as server-sent events."""
    seen = 0
    while not changes.closed:
        yield f"data: {json.dumps(scene.shown())}\n\n"
        time.sleep(AT_MOST_EVERY)
        seen = changes.wait(seen, SILENCE)
