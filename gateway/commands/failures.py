"""What a command prints when it fails for a reason that its user can remove."""

from __future__ import annotations

import sys

import redis

from gateway.commands.printing import print_problems
from gateway.commands.settings import CannotDo
from gateway.config import ConfigError
from gateway.processes.supervisor import CannotStart
from gateway.storage.embedded import NoEmbeddedServer


def print_failure(error: Exception) -> None:
    """Say on stderr what is wrong. Raises `error` itself if it is a fault of the gateway."""
    match error:
        case ConfigError():
            print_problems(error.problems, sys.stderr)
        case CannotDo() | CannotStart() | NoEmbeddedServer():
            print(f"gateway: {error}.", file=sys.stderr)
        case redis.RedisError():
            print(f"gateway: Redis cannot be used: {type(error).__name__}.", file=sys.stderr)
        case _:
            raise error
