"""The settings of a command, from the file and the environment of whoever typed it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from gateway.config import Settings, load
from gateway.storage.embedded import data_folder, embedded_in


class CannotDo(Exception):
    """A command cannot be carried out. The text says why."""


def config_path() -> Path:
    """`$GATEWAY_CONFIG`, or channels.toml in the current folder."""
    return Path(os.environ.get("GATEWAY_CONFIG") or "channels.toml")


def load_settings() -> Settings:
    """Raises `ConfigError`."""
    return load(config_path(), os.environ)


def load_settings_with_redis() -> Settings:
    """As `load_settings`; without REDIS_URL with the embedded server that `run` started here.

    Raises `ConfigError`, and `CannotDo` if neither exists.
    """
    settings = load_settings()
    if settings.gateway.redis_url:
        return settings
    server = embedded_in(data_folder())
    if not server.socket.exists():
        raise CannotDo(
            "Redis is missing: set REDIS_URL or REDIS_SENTINELS, or start everything with "
            "`python -m gateway run`"
        )
    return replace(settings, gateway=settings.gateway.model_copy(update={"redis_url": server.url}))
