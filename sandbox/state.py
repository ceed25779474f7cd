"""Keeps a stand-in's state in a JSON file, so that `make run` finds it again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class StateFile:
    """A JSON document on disk; with no path it remembers nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @property
    def kept(self) -> bool:
        """Whether there is a file at all: collecting the state can be spared otherwise."""
        return self._path is not None

    def load(self) -> dict[str, Any]:
        """What was saved last; empty if nothing was. Raises ValueError for a damaged file."""
        if self._path is None or not self._path.exists():
            return {}
        state = json.loads(self._path.read_text("utf-8"))
        return dict(state)

    def save(self, state: dict[str, Any]) -> None:
        """Replace the file in one step: a crash leaves the old state or the new one."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_name(self._path.name + ".new")
        fresh.write_text(json.dumps(state), "utf-8")
        fresh.replace(self._path)
