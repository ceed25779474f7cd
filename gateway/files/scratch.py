"""A folder for files on their way, which outlives its process only until the next one starts."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PREFIX: Final = "chatwoot-gateway-"
LOCK: Final = ".lock"


class Scratch:
    """A process's own folder below the system's folder for temporary files (`TMPDIR`).

    Its lock is held as long as the process lives, whatever becomes of it: a folder whose lock is
    free belongs to a dead one, and is removed when another process makes its own.
    """

    def __init__(self, parent: Path | None = None) -> None:
        """Raises OSError if no folder can be made."""
        self._parent = parent or Path(tempfile.gettempdir())
        _remove_abandoned(self._parent)
        self._lock, self._lock_path = _create_lock(self._parent)
        self.path = _folder_of(self._lock_path)
        self.path.mkdir(mode=0o700)

    @contextmanager
    def room(self) -> Iterator[Path]:
        """An empty folder; it and all in it is gone afterwards."""
        with tempfile.TemporaryDirectory(dir=self.path, ignore_cleanup_errors=True) as name:
            yield Path(name)

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock_path.unlink(missing_ok=True)
        os.close(self._lock)


def _create_lock(parent: Path) -> tuple[int, Path]:
    while True:
        lock, name = tempfile.mkstemp(prefix=PREFIX, suffix=LOCK, dir=parent)
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Another process may have taken it for an abandoned one before it was locked.
        if os.fstat(lock).st_nlink:
            return lock, Path(name)
        os.close(lock)


def _remove_abandoned(parent: Path) -> None:
    for path in parent.glob(f"{PREFIX}*{LOCK}"):
        try:
            lock = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        except OSError:
            continue  # somebody else's, or gone
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(_folder_of(path), ignore_errors=True)
            path.unlink(missing_ok=True)
        except OSError:
            continue  # its process lives
        finally:
            os.close(lock)


def _folder_of(lock: Path) -> Path:
    return lock.with_suffix("")
