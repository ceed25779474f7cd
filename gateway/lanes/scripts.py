"""The Lua scripts, one file each, every one behind the same prelude (`prelude/`)."""

from __future__ import annotations

from hashlib import sha1
from importlib.resources import files
from typing import Any

import redis

from gateway.lanes.batching import Batcher

PRELUDE = ("keys", "base", "lanes", "rates", "attempts", "statuses")

# A script that only drains may run when Redis is full: otherwise a full Redis could never empty.
TAKES_MEMORY = frozenset(
    {
        "append",
        "check_retry",
        "record_receipt",
        "replay",
        "restore",
        "retry",
        "set_aside",
        "tell_of_delay",
        "withdraw",
    }
)


class Scripts:
    """Runs the scripts by name. Threads may share it."""

    def __init__(self, client: redis.Redis) -> None:
        self._together = Batcher(client)
        self._known: dict[str, tuple[str, str]] = {}

    def __call__(self, name: str, *argv: str | int | float) -> Any:
        """Run the script `name`. Raises redis.RedisError."""
        text, digest = self._known.get(name) or self._learn(name)
        values = [_writable(value) for value in argv]
        try:
            return self._together("EVALSHA", digest, 0, *values)
        except redis.exceptions.NoScriptError:
            # A server that started anew has forgotten it.
            return self._together("EVAL", text, 0, *values)

    def _learn(self, name: str) -> tuple[str, str]:
        text = source(name)
        known = self._known[name] = text, sha1(text.encode(), usedforsecurity=False).hexdigest()
        return known


def _writable(value: str | int | float) -> str | int | float:
    """Half a surrogate pair cannot be sent, and some networks cut texts there. The commands that go
    together with it would fail as well."""
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-8", errors="replace").decode()


def source(name: str) -> str:
    """The whole text of a script, as Redis gets it."""
    here = files(__package__)
    flags = "" if name in TAKES_MEMORY else " flags=allow-oom"
    parts = [f"prelude/{part}.lua" for part in PRELUDE] + [f"{name}.lua"]
    texts = (here.joinpath(part).read_text("utf-8") for part in parts)
    return f"#!lua{flags}\n" + "\n".join(texts)
