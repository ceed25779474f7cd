"""`run`, and the roles one by one.

Each function imports only its own role: a clock needs no worker's memory.
"""

from __future__ import annotations

import os

from gateway.commands.settings import config_path, load_settings, load_settings_with_redis
from gateway.observability import logs


def run_everything() -> None:
    """Raises `ConfigError`, `CannotStart`, `NoEmbeddedServer`."""
    from gateway.processes.launch import supervise

    supervise(load_settings(), config_path())


def run_web() -> None:
    """Becomes gunicorn, and does not return. Raises `ConfigError`, `CannotDo`."""
    from gateway.processes.launch import web_command

    load_settings_with_redis()
    command = web_command(os.environ)
    os.execv(command[0], command)  # noqa: S606 (no shell is wanted)


def run_worker() -> None:
    """Raises `ConfigError`, `CannotDo`, redis.RedisError."""
    from gateway import worker

    settings = load_settings_with_redis()
    logs.configure(settings, "worker")
    worker.main(settings)


def run_clock() -> None:
    """Raises `ConfigError`, `CannotDo`, redis.RedisError."""
    from gateway.clock import main

    settings = load_settings_with_redis()
    logs.configure(settings, "clock")
    main.main(settings)
