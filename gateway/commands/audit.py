"""The log of what is done to messages by hand: who did it."""

from __future__ import annotations

import getpass
import logging
from typing import Final

from gateway.config import Settings
from gateway.observability import logs

LEVEL: Final = logging.WARNING
"""Written before the command goes on, and to be noticed."""


def open_log(settings: Settings) -> None:
    """Let this command write lines to stderr, as every role does."""
    logs.configure(settings, "command")


def user() -> str:
    """Who has called the command, as the system knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
