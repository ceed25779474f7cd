"""The web process: takes webhooks, stores them durably, and only then answers 200."""

from gateway.web.app import create_app

__all__ = ["create_app"]
