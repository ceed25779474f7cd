"""`dead list`, `show`, `replay` and `drop`: messages that were given up on."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Literal

from gateway.commands import audit
from gateway.commands.printing import print_table
from gateway.commands.settings import CannotDo, load_settings_with_redis
from gateway.config import Settings
from gateway.lanes.dead_letters import DeadLetters
from gateway.observability import logs
from gateway.storage.connections import connect

log = logging.getLogger(__name__)


def list_letters(limit: int) -> None:
    """Print the newest `limit` letters. Like all here raises redis.RedisError, `ConfigError` and
    `CannotDo`."""
    rows = [
        (letter.id, logs.format_time(letter.at), letter.channel, letter.kind, letter.reason)
        for letter in _dead_letters().list(limit=limit)
    ]
    print_table(("id", "given up at", "channel", "kind", "reason"), rows)


def show_letter(message: str) -> None:
    letter = _dead_letters().show(message)
    if letter is None:
        raise CannotDo(f"dead letter {message} does not exist")
    print(f"id           {letter.id}")
    print(f"given up at  {logs.format_time(letter.at)}")
    print(f"channel      {letter.channel}")
    print(f"kind         {letter.kind}")
    print(f"attempts     {letter.attempts}")
    print(f"reason       {letter.reason}")
    print(f"first error  {letter.first_error}")
    print(f"body         {letter.body}")


def replay_letters(messages: Sequence[str]) -> int:
    """Let them be delivered after all. Returns 1 if one does not exist."""
    return _apply("replay", messages, "will be delivered")


def drop_letters(messages: Sequence[str]) -> int:
    """Forget them for good. Returns 1 if one does not exist."""
    return _apply("drop", messages, "is forgotten")


def _apply(name: Literal["replay", "drop"], messages: Sequence[str], done: str) -> int:
    settings, status = load_settings_with_redis(), 0
    letters = _letters_in(settings)
    action = letters.replay if name == "replay" else letters.drop
    for message in messages:
        if action(message):
            with audit.open_log(settings):
                logs.event(
                    log,
                    "dead_replayed" if name == "replay" else "dead_dropped",
                    level=audit.LEVEL,
                    by=audit.user(),
                    message=message,
                )
            print(f"{message} {done}")
        else:
            print(f"gateway: dead letter {message} does not exist.", file=sys.stderr)
            status = 1
    return status


def _dead_letters() -> DeadLetters:
    return _letters_in(load_settings_with_redis())


def _letters_in(settings: Settings) -> DeadLetters:
    return DeadLetters(connect(settings.gateway.redis_url, connections=1, retries=1))
