"""Ports that are kept, so that addresses noted in one run still fit in the next."""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import MappingProxyType

from sandbox.state import StateFile

OUT_OF_THE_WAY = range(15_000, 32_000)
"""Below those that the kernel gives to whoever asks for any port: such a one could be another's
between its choice and the moment at which a program binds it."""
TRIES = 100


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everything listens, on 127.0.0.1. In `wanted`, 0 means any free port."""

    page: int = 8000
    gateway: int = 8080
    chatwoot: int = 0
    telegram: int = 0
    twilio: int = 0
    imap: int = 0
    smtp: int = 0


class PortTaken(Exception):
    """A port that was asked for by name is in use."""


def keep_ports(
    path: Path,
    wanted: Ports | None = None,
    named: Mapping[str, str] = MappingProxyType({}),
    say: Callable[[str], object] = lambda text: None,
) -> Ports:
    """The ports noted in `path`, else those `wanted`; a free one in place of each that is taken,
    which `say` is told.

    `named`: port → the variable that asks for it; such a port goes before a noted one. Raises
    `PortTaken` if it is taken.
    """
    asked = asdict(wanted or Ports())
    kept = {name: port for name, port in _read_ports(path).items() if name not in named}
    with contextlib.ExitStack() as held:
        # All are held until the last is chosen, so that none is chosen twice.
        chosen = {name: _hold(held, port) for name, port in (asked | kept).items()}
    for name, port in (asked | kept).items():
        if port not in {0, chosen[name]}:
            if name in named:
                raise PortTaken(
                    f"port {port} ({named[name]}) is in use: stop what uses it, or set "
                    f"{named[name]} to another"
                )
            say(f"Port {port} is in use; the {name} is on port {chosen[name]} from now on.")
    StateFile(path).save(chosen)
    return Ports(**chosen)


def free_ports(count: int) -> tuple[int, ...]:
    """So many free ports of 127.0.0.1, for programs that must be told one."""
    with contextlib.ExitStack() as held:
        return tuple(_hold(held, 0) for _ in range(count))


def _read_ports(path: Path) -> dict[str, int]:
    try:
        noted = StateFile(path).load()
    except json.JSONDecodeError:
        return {}
    known = {field.name for field in fields(Ports)}
    return {
        name: port
        for name, port in noted.items()
        if name in known and isinstance(port, int) and 0 < port < 65536
    }


def _hold(held: contextlib.ExitStack, port: int) -> int:
    """Bind the port, or any other if it is taken or 0; it is let go when `held` closes.

    Raises OSError if none can be bound.
    """
    for candidate in (port or _choose(), *(_choose() for _ in range(TRIES))):
        listener = held.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", candidate))
            listener.listen()
            return candidate
    raise OSError("no port of 127.0.0.1 can be bound")


def _choose() -> int:
    return secrets.choice(OUT_OF_THE_WAY)
