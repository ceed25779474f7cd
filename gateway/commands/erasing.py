"""`erase`: all that Redis holds of a person."""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Sequence

from gateway.commands import audit
from gateway.commands.settings import CannotDo, load_settings, load_settings_with_redis
from gateway.config import Settings
from gateway.erasure.erase import Erased, Erasure, Found, find
from gateway.erasure.person import names_of
from gateway.observability import logs
from gateway.storage.connections import connect
from gateway.storage.rewriting import NotRewritten, rewrite

log = logging.getLogger(__name__)

PATIENCE = 120.0
"""Seconds: a worker that was killed has a message for as long as its lease."""
NOT_REACHED = """\
Not erased, because the gateway cannot reach it:
- Chatwoot's contact, conversations and messages: delete the contact there.
- What the networks keep: messages in the chat, the mailbox, the provider's logs.
- Log lines and copies of them, and backups of Redis's data."""
OTHER_SERVER = """\
- The server's append-only file and snapshots: have it write them anew (BGREWRITEAOF, BGSAVE)."""


def show(person: str, channels: Sequence[str]) -> int:
    """Print what would be erased. Both raise redis.RedisError, `ConfigError` and `CannotDo`."""
    _, found = _find(person, channels)
    _print_found(found)
    print("Nothing was erased.")
    return 0


def erase(person: str, channels: Sequence[str]) -> int:
    """Erase it. Returns 1 if something is left that a second run would take out."""
    is_ours = not load_settings().gateway.redis_url
    settings, found = _find(person, channels)
    _print_found(found)
    store = connect(settings.gateway.redis_url, connections=1, retries=1)
    erased = Erasure(store, PATIENCE).erase(found)
    print(
        f"Erased: {erased.messages} messages, what was remembered of {erased.lanes} lanes, "
        f"{erased.others} other entries."
    )
    left = [f"{name} is still being delivered: run this again" for name in erased.busy]
    if is_ours:
        try:
            rewrite(store, patience=PATIENCE)
            print("Redis's append-only file was written anew.")
        except NotRewritten as error:
            left.append(str(error))
    print(NOT_REACHED if is_ours else f"{NOT_REACHED}\n{OTHER_SERVER}")
    _note(settings, person, erased)
    for problem in left:
        print(f"gateway: {problem}.", file=sys.stderr)
    return 1 if left else 0


def _find(person: str, channels: Sequence[str]) -> tuple[Settings, Found]:
    settings = load_settings_with_redis()
    for name in channels:
        if name not in settings.channels:
            raise CannotDo(f"channel {name} does not exist")
    if not person.strip():
        raise CannotDo("a person needs a name: type an address, a number or an identifier")
    store = connect(settings.gateway.redis_url, connections=1, retries=1)
    return settings, find(store, names_of(person, channels or tuple(settings.channels)))


def _print_found(found: Found) -> None:
    print(
        f"Found: {len(found.messages)} messages, what is remembered of {len(found.lanes)} lanes, "
        f"{len(found.others)} other entries. They belong to"
    )
    for sort, channel, name in sorted(found.names):
        print(f"  {sort:<12} {name}{f' on {channel}' if channel else ''}")


def _note(settings: Settings, person: str, erased: Erased) -> None:
    """The log must not keep what was erased: it tells the person by a fingerprint."""
    fingerprint = hashlib.sha256(person.strip().casefold().encode()).hexdigest()[:12]
    with audit.open_log(settings):
        logs.event(
            log,
            "erased",
            level=audit.LEVEL,
            by=audit.user(),
            person=fingerprint,
            messages=erased.messages,
            lanes=erased.lanes,
            others=erased.others,
            busy=len(erased.busy),
        )
