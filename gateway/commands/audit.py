"""The log of what is done to messages by hand: who did it."""

from __future__ import annotations

import getpass
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gateway.config import Settings
from gateway.observability import logs

LEVEL: Final = logging.WARNING
"""Written before the command goes on, and to be noticed."""


@contextmanager
def open_log(settings: Settings) -> Iterator[None]:
    """Meanwhile this command writes lines to stderr, as every role does."""
    handler, root = logs.make_handler(settings, "command"), logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


def user() -> str:
    """Who has called the command, as the system knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
