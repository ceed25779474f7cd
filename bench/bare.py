"""Flask applications that the gateway's webhooks are measured against, for the same gunicorn."""

from __future__ import annotations

import os

import requests
from flask import Flask, request

from bench.baselines import post


def view() -> Flask:
    """A view that reads the JSON of a webhook and says 200: it keeps nothing."""
    app = Flask(__name__)

    @app.post("/channels/bench/webhook")
    def receive() -> str:
        return "" if request.get_json()["id"] else "no id"

    return app


def bridge() -> Flask:
    """A bridge that does its work inside the webhook, as most scripts do: posts, then says 200."""
    app, session, url = Flask(__name__), requests.Session(), os.environ["BENCH_PEER"]

    @app.post("/channels/bench/webhook")
    def receive() -> str:
        post(session, url, request.get_json()["text"])
        return ""

    return app
