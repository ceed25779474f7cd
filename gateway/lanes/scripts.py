"""The Lua scripts, one file each, every one behind the same prelude."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import redis

# A script that only drains may run when Redis is full: otherwise a full Redis could never empty.
TAKES_MEMORY = frozenset({"append", "withdraw", "receipt", "replay", "retry", "notice", "suspect"})


class Scripts:
    """Runs the scripts by name, within one namespace."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._scripts: dict[str, Any] = {}

    def __call__(self, name: str, *argv: str | int | float) -> Any:
        """Run the script `name`. Raises redis.RedisError."""
        script = self._scripts.get(name)
        if script is None:
            script = self._scripts[name] = self._client.register_script(source(name))
        return script(keys=[self._namespace], args=argv)


def source(name: str) -> str:
    """The whole text of a script, as Redis gets it."""
    here = files(__package__)
    flags = "" if name in TAKES_MEMORY else " flags=allow-oom"
    parts = (here.joinpath(f"{part}.lua").read_text("utf-8") for part in ("prelude", name))
    return f"#!lua{flags}\n" + "\n".join(parts)
